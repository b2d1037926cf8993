"""GET / and GET /docs: the studio, and a page to read and try the API."""

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.settings import ROOT

STUDIO = ROOT / "service" / "studio"
STUDIO_HEADERS = {
    # Only the studio's own files, this service's API, and the images that the page made from its responses.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # the browser asks each time; an unchanged file is answered with 304
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# BentoML's page without its tracking script. The Swagger files are BentoML's own, so the page loads nothing from another host.
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
    """Serve the studio's page."""
    return FileResponse(STUDIO / "index.html", headers=STUDIO_HEADERS)


class StudioFiles(StaticFiles):
    """The studio's scripts, style sheet and icon, with its headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file, or 304 if the browser has it."""
        response = await super().get_response(path, scope)
        response.headers.update(STUDIO_HEADERS)
        return response


async def api_page(_: Request) -> Response:
    """Serve the API's page."""
    return HTMLResponse(API_PAGE)
