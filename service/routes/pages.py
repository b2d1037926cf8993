"""GET / and GET /docs: the studio, and a page to read and try the API."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.settings import ROOT

STUDIO = ROOT / "service" / "studio"
SECURITY_HEADERS = {
    # Only the studio's own files, this service's API, and the images that the page made from its responses.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of everything that a browser shows as a page."""

STUDIO_HEADERS = {
    **SECURITY_HEADERS,
    "Cache-Control": "no-cache",  # the browser asks each time; an unchanged file is answered with 304
}


async def studio(_: Request) -> Response:
    """Serve the studio's page."""
    return FileResponse(STUDIO / "index.html", headers=STUDIO_HEADERS)


class StudioFiles(StaticFiles):
    """The scripts, style sheets and images of both pages, and Swagger UI, with the studio's headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file, or 304 if the browser has it."""
        response = await super().get_response(path, scope)
        response.headers.update(STUDIO_HEADERS)
        return response


async def api_page(_: Request) -> Response:
    """Serve the API's page: Swagger UI from the studio's folder."""
    return FileResponse(STUDIO / "docs.html", headers=STUDIO_HEADERS)
