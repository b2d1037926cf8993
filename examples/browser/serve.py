"""A gateway that serves a web page and the service under one address: python examples/browser/serve.py [PORT].

A browser lets a page read responses only from the page's own address, so the gateway serves both. It also holds the API key,
which must not be in a page. Any reverse proxy can do the same.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

PAGE = Path(__file__).with_name("index.html")
KEY = os.environ.get("GANVAS_API_KEY")
SERVICE = httpx.Client(
    base_url=os.environ.get("GANVAS_URL", "http://localhost:3000"),
    headers={"Authorization": f"Bearer {KEY}"} if KEY else {},
    timeout=90,
)
FORWARDED_HEADERS = ("Content-Type", "Ganvas-Seed", "Ganvas-Model")


class Gateway(BaseHTTPRequestHandler):
    """Serves the page at /, and forwards /v1/... to the service."""

    def do_GET(self) -> None:
        """Serve the page, or forward the request."""
        if self.path == "/":
            self._respond(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE.read_bytes())
        else:
            self._forward()

    def do_POST(self) -> None:
        """Forward the request."""
        self._forward()

    def _forward(self) -> None:
        if not self.path.startswith("/v1/"):
            self._respond(404, {"Content-Type": "text/plain"}, b"This gateway forwards only /v1/.")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Content-Type": self.headers["Content-Type"]} if body else {}
        response = SERVICE.request(self.command, self.path, content=body, headers=headers)
        self._respond(
            response.status_code,
            {name: response.headers[name] for name in FORWARDED_HEADERS if name in response.headers},
            response.content,
        )

    def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Gateway) as server:
    print(f"http://localhost:{server.server_port}/", flush=True)
    server.serve_forever()
