"""GET /v1/models and /v1/models/NAME: which models are served, their versions and their cards."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.engine.handlers.base import Handler
from service.engine.models import models
from service.http.json_response import JsonResponse
from service.process.versions import versions

SHORT = {"styles": {"__all__": {"thumbnail", "vector"}}}  # a list is for reading; a single card has them


async def list_models(_: Request) -> Response:
    """List every served model, the defaults among them, and every refused file with the reason."""
    refused = [{"file": name, "reason": reason} for name, reason in models().refused.items()]
    served = [_entry(model, SHORT) for model in models().all()]
    return JsonResponse({"models": served, "defaults": models().defaults(), "refused": refused, "versions": versions()})


async def show_model(request: Request) -> Response:
    """Show one model: its version, its device and its card."""
    return JsonResponse(_entry(models().get(request.path_params["name"])))


def _entry(model: Handler, exclude: dict[str, Any] | None = None) -> dict[str, Any]:
    card = model.card.model_dump(mode="json", exclude=exclude)
    return {"version": model.version, "device": model.device, "card": card}
