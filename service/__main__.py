"""Run the service: `python -m service --port 3000`. When it is ready, it prints its address and commands to try.

This process holds the port and keeps one worker serving on it (`service/process/worker.py`). If a worker dies, the next one
starts at once; callers who connect meanwhile wait. SIGTERM and Ctrl-C let accepted requests finish, then exit with 0. Settings
are environment variables; see `service/settings.py`.
"""

import argparse
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType

BACKLOG = 2048  # connections that the kernel holds, as BentoML's own default
MOST_FAILURES = 5  # workers in a row that die before they serve: then there is no use in another
PAUSE_S = 1.0  # before the next, once one has died before it served


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve until a signal comes, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        reason = "it is in use; choose another with --port" if busy else error.strerror or str(error)
        sys.stderr.write(f"ganvas: cannot listen on {options.host}:{options.port}: {reason}\n")
        return 1
    with listener:
        return Supervisor(listener, f"http://{_shown(options.host)}:{listener.getsockname()[1]}").run()


class Supervisor:
    """Keeps one worker running on a listening socket, until a signal ends both.

    Args:
        listener: which every worker takes over in turn, with the connections that wait on it.
        url: where it is reached, for the worker's welcome.
    """

    def __init__(self, listener: socket.socket, url: str) -> None:
        self._listener = listener
        self._url = url
        self._worker: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()

    def run(self) -> int:
        """Serve until a signal comes, and return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        served_before = False
        failures = 0
        while not self._ending.is_set():
            code, served = self._one_worker()
            if self._ending.is_set() and code == -signal.SIGTERM:  # before it could have accepted anything
                return 0
            if self._ending.is_set() or code == 0 or not (served or served_before):
                return code if code >= 0 else 1
            failures = 0 if served else failures + 1
            served_before = True
            if failures == MOST_FAILURES:
                sys.stderr.write(f"ganvas: {failures} workers in a row did not come to serve; giving up\n")
                return 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            sys.stderr.write(f"ganvas: the worker {how}; starting another\n")
            if not served:
                time.sleep(PAUSE_S)
        return 0

    def _one_worker(self) -> tuple[int, bool]:
        """Start a worker and wait until it ends: its exit code, and whether it came to serve."""
        life, lives_on = os.pipe()  # the worker's end of it closes with this process
        told, tell = os.pipe()  # the worker writes when it serves
        given = (self._listener.fileno(), tell, life)
        socket_, ready, parent = map(str, given)
        command = [sys.executable, "-m", "service.process.worker", "--socket", socket_, "--ready", ready, "--parent", parent]
        try:
            # A session of its own: Ctrl-C is for this process, which passes it on.
            worker = subprocess.Popen([*command, "--url", self._url], pass_fds=given, start_new_session=True)  # noqa: S603
            self._worker = worker
            if self._ending.is_set():
                self._pass_on()
            for descriptor in (life, tell):
                os.close(descriptor)
            code = worker.wait()
            return code, bool(select.select([told], [], [], 0)[0] and os.read(told, 1))
        finally:
            os.close(told)
            os.close(lives_on)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending.set()
        self._pass_on()

    def _pass_on(self) -> None:
        """Tell the worker to end. From here on it alone has the port: once it lets go of it, callers know at once."""
        if self._worker:
            self._listener.close()
            self._worker.terminate()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="Serve the exported models over HTTP.")
    parser.add_argument("--port", type=_port, default=3000, help="TCP port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything slow is imported: a busy one is known at once, and early callers wait in line."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _shown(host: str) -> str:
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
