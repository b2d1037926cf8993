"""GET /v1/models/NAME/preview.png: what a model makes, as one contact sheet."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from ganvas.api import PREVIEW
from service.engine.codecs import contact_sheet, encode
from service.engine.handlers.base import Handler
from service.engine.models import models
from service.http.deadline import cancel_on_disconnect, respond_in_time
from service.routes.pages import SECURITY_HEADERS
from service.routes.threads import codec_threads


async def show_preview(request: Request) -> Response:
    """Show the contact sheet of a model."""
    return await respond_in_time(PREVIEW, _preview_response(request))


class _Preview:
    """The contact sheet of one version of a model.

    It is made once for all requests that wait for it. When the last of them disconnects, the work is cancelled.
    """

    def __init__(self, model: Handler) -> None:
        self.version = model.preview_version
        self.png: bytes | None = None
        self.abandoned = False  # whether the next request must start again
        self._waiting = 0
        self._task = asyncio.create_task(_contact_sheet_of(model))

    async def wait(self) -> bytes:
        """Wait for the PNG."""
        self._waiting += 1
        try:
            self.png = await asyncio.shield(self._task)  # a caller that disconnects must not cancel it for the others
            return self.png
        finally:
            self._waiting -= 1
            if self.png is None and (self._task.done() or not self._waiting):
                self.abandoned = True
                self._task.cancel()


_previews: dict[str, _Preview] = {}  # by model name


async def _preview_response(request: Request) -> Response:
    model = models().get(request.path_params["name"])
    preview = _previews.get(model.card.name)
    if preview is None or preview.abandoned or preview.version != model.preview_version:
        preview = _previews[model.card.name] = _Preview(model)
    png = preview.png or await cancel_on_disconnect(request, preview.wait())
    return Response(png, media_type="image/png", headers={**SECURITY_HEADERS, "ETag": f'"{preview.version}"'})


async def _contact_sheet_of(model: Handler) -> bytes:
    tiles = await model.preview()
    return await codec_threads().encode(lambda: encode(contact_sheet(tiles), "png"))
