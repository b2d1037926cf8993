"""A stand-in for a Kubernetes Service: it distributes connections between pods."""

import contextlib
import itertools
import socket
import socketserver
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx


class Balancer:
    """A port that sends each new connection to the next endpoint. Open connections stay where they are, as with kube-proxy.

    Args:
        endpoints: URLs of the pods, read again for each connection.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        turns = itertools.count()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                url = httpx.URL(endpoints[next(turns) % len(endpoints)])
                with socket.create_connection((url.host, url.port or 80)) as pod:
                    back = threading.Thread(target=_pump, args=(pod, self.request), daemon=True)
                    back.start()
                    _pump(self.request, pod)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._turns = turns
        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def connections(self) -> int:
        """The number of connections so far. Call this once, at the end."""
        return next(self._turns)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Forward bytes, and finally the end of the stream."""
    with contextlib.suppress(OSError):  # the other side has closed the connection
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
