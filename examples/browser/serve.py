"""A page of your own and the service under one address: python examples/browser/serve.py [PORT].

A browser lets a page read only what comes from the page's own address, so a gateway serves both; it also keeps the API
key, which must not be in a page. Any reverse proxy does the same.
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
PASSED_ON = ("Content-Type", "Ganvas-Seed", "Ganvas-Model")


class Gateway(BaseHTTPRequestHandler):
    """Answers / with the page, and /v1/... with what the service answers."""

    def do_GET(self) -> None:
        """Answer with the page, or pass the request on."""
        if self.path == "/":
            self._answer(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE.read_bytes())
        else:
            self._pass_on()

    def do_POST(self) -> None:
        """Pass the request on."""
        self._pass_on()

    def _pass_on(self) -> None:
        if not self.path.startswith("/v1/"):
            self._answer(404, {"Content-Type": "text/plain"}, b"only /v1/ is passed on")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Content-Type": self.headers["Content-Type"]} if body else {}
        answer = SERVICE.request(self.command, self.path, content=body, headers=headers)
        self._answer(
            answer.status_code, {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}, answer.content
        )

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Gateway) as server:
    print(f"http://localhost:{server.server_port}/", flush=True)
    server.serve_forever()
