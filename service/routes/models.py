"""The GET routes: which models there are, what each makes, the studio, and the page of the API."""

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ganvas.api import MODEL, MODELS, PREVIEW
from service.engine.codecs import contact_sheet, encode
from service.engine.errors import RequestError
from service.engine.handlers.base import Handler
from service.engine.models import models
from service.http.deadline import in_time, while_connected
from service.http.problems import Problem, answer_problem
from service.process.versions import versions
from service.settings import ROOT

WITHOUT_THUMBNAILS = {"styles": {"__all__": {"thumbnail"}}}  # what a card is dumped without in a list

STUDIO = ROOT / "service" / "studio"
STUDIO_HEADERS = {
    # The studio's own files, this service's API, and the pictures that the page made of its answers: nothing else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # asked for again each time, and answered 304 while it is the same
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# BentoML's page without its tracking script; the Swagger files are BentoML's own, so no other host is asked.
API_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Ganvas: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="./static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script src="./static_content/swagger-ui-standalone-preset.js"></script>
<script src="./static_content/swagger-initializer.js"></script>
</body>
</html>
"""


async def studio(_: Request) -> Response:
    """The studio: a page for people, on the public API."""
    return FileResponse(STUDIO / "index.html", headers=STUDIO_HEADERS)


class StudioFiles(StaticFiles):
    """The studio's scripts, style and icon, with its headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file, or 304 where the browser has it."""
        response = await super().get_response(path, scope)
        response.headers.update(STUDIO_HEADERS)
        return response


async def api_page(_: Request) -> Response:
    """The API as a page, to read and to try."""
    return HTMLResponse(API_PAGE)


async def list_models(_: Request) -> Response:
    """Every served model, and the files that were refused. Thumbnails are left to the single model: a list is for reading."""
    refused = [{"file": name, "reason": reason} for name, reason in models().refused.items()]
    served = [_entry(model, WITHOUT_THUMBNAILS) for model in models().all()]
    return JSONResponse({"models": served, "refused": refused, "versions": versions()})


async def show_model(request: Request) -> Response:
    """One model: its version and its card."""
    return JSONResponse(_entry(models().get(request.path_params["name"])))


async def show_preview(request: Request) -> Response:
    """A contact sheet: a generator's samples of a fixed seed, or a stylizer's styles."""
    return await in_time(PREVIEW, _preview(request))


def _entry(model: Handler, exclude: dict[str, Any] | None = None) -> dict[str, Any]:
    card = model.card.model_dump(mode="json", exclude=exclude)
    return {"version": model.version, "device": model.device, "card": card}


class _Preview:
    """A version's contact sheet, made once for all who ask for it; where the last of them has left, it is not made."""

    def __init__(self, model: Handler) -> None:
        self.version = model.version
        self.png: bytes | None = None
        self.given_up = False  # whether to make it anew for whoever comes next
        self._waiting = 0
        self._making = asyncio.create_task(_contact_sheet_of(model))

    async def made(self) -> bytes:
        """Wait for it."""
        self._waiting += 1
        try:
            self.png = await asyncio.shield(self._making)  # whoever leaves takes nothing from the others
            return self.png
        finally:
            self._waiting -= 1
            if self.png is None and (self._making.done() or not self._waiting):
                self.given_up = True
                self._making.cancel()


_previews: dict[str, _Preview] = {}  # by name


async def _preview(request: Request) -> Response:
    model = models().get(request.path_params["name"])
    preview = _previews.get(model.card.name)
    if preview is None or preview.given_up or preview.version != model.version:
        preview = _previews[model.card.name] = _Preview(model)
    png = preview.png or await while_connected(request, preview.made())
    return Response(png, media_type="image/png", headers={"ETag": f'"{preview.version}"'})


async def _contact_sheet_of(model: Handler) -> bytes:
    tiles = await model.preview()
    return await run_in_threadpool(lambda: encode(contact_sheet(tiles), "png"))


app = Starlette(
    routes=[
        Route("/", studio),
        Mount("/studio", StudioFiles(directory=STUDIO)),
        Route("/docs", api_page),
        Route(MODELS, list_models),
        Route(MODEL, show_model),
        Route(PREVIEW, show_preview),
    ],
    exception_handlers={Problem: answer_problem, RequestError: answer_problem},
)
"""Mounted into BentoML's application, whose own routes are POST only."""
