"""Run the service: `python -m service --port 3000`. When it is ready, it prints its address and commands to try.

This process holds the port and keeps one worker serving on it (`service/process/worker.py`). If a worker dies, the next one
starts at once; callers that connect in between wait. SIGTERM and Ctrl-C let accepted requests finish, then exit with 0.
Settings are environment variables; see `service/settings.py`.
"""

import argparse
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

BACKLOG = 2048  # connections that the kernel holds, as in BentoML
MAX_FAILURES = 5  # workers in a row that die before they are ready
PAUSE_S = 1.0  # before the next worker, if one died before it was ready


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve until a signal comes, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        reason = "the port is in use; choose another with --port" if busy else error.strerror or str(error)
        sys.stderr.write(f"ganvas: cannot listen on {options.host}:{options.port}: {reason}\n")
        return 1
    with listener:
        return Supervisor(listener, f"http://{_shown(options.host)}:{listener.getsockname()[1]}").run()


class Supervisor:
    """Keeps one worker running on a listening socket, until a signal ends both.

    Args:
        listener: each worker takes it over with the connections that wait on it.
        url: address for the welcome message.
    """

    def __init__(self, listener: socket.socket, url: str) -> None:
        self._listener = listener
        self._url = url
        self._worker: subprocess.Popen[bytes] | None = None
        self._signals: list[int] = []  # not a threading.Event: two signals in quick succession would deadlock on its lock

    def run(self) -> int:
        """Serve until a signal comes, and return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        served_before = False
        failures = 0
        while not self._signals:
            code, served = self._one_worker()
            if self._signals and code == -signal.SIGTERM:  # before it accepted a request
                return 0
            if self._signals or code == 0 or not (served or served_before):
                return code if code >= 0 else 1
            failures = 0 if served else failures + 1
            served_before = True
            if failures == MAX_FAILURES:
                sys.stderr.write(f"ganvas: {failures} workers in a row failed to start; giving up\n")
                return 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
            sys.stderr.write(f"ganvas: the worker {how}; starting another\n")
            if not served:
                time.sleep(PAUSE_S)
        return 0

    def _one_worker(self) -> tuple[int, bool]:
        """Start a worker and wait until it exits. Returns its exit code and whether it was ready."""
        parent_read, parent_write = os.pipe()  # the worker sees it close when this process dies
        ready_read, ready_write = os.pipe()  # the worker writes when it is ready
        inherited = (self._listener.fileno(), ready_write, parent_read)
        socket_, ready, parent = map(str, inherited)
        command = [sys.executable, "-m", "service.process.worker", "--socket", socket_, "--ready", ready, "--parent", parent]
        try:
            # The worker gets a session of its own, so Ctrl-C reaches only this process, which forwards it.
            worker = subprocess.Popen([*command, "--url", self._url], pass_fds=inherited, start_new_session=True)  # noqa: S603
            self._worker = worker
            if self._signals:
                self._stop_worker()
            for descriptor in (parent_read, ready_write):
                os.close(descriptor)
            code = worker.wait()
            return code, bool(select.select([ready_read], [], [], 0)[0] and os.read(ready_read, 1))
        finally:
            os.close(ready_read)
            os.close(parent_write)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._stop_worker()

    def _stop_worker(self) -> None:
        """Send SIGTERM to the worker. Only the worker holds the port from here on, so callers notice when it closes."""
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
    """Take the port before slow imports: a port in use is reported at once, and early callers wait instead of failing."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _shown(host: str) -> str:
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
