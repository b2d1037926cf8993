"""Run the service: `python -m service --port 3000`. When it is ready, it prints its address and commands to try.

This process holds the port and keeps one worker serving on it (`service/process/worker.py`). If a worker dies, the next one
starts at once; callers that connect in between wait. SIGTERM and Ctrl-C let accepted requests finish. A second signal ends both
processes at once. A worker that does not end in time is killed.

Exit codes: 0 after a signal; 1 if the worker had to be killed because it did not end in time; 2 if an argument or a setting is
invalid; otherwise the code of a worker that failed to start. Settings are environment variables; see `service/settings.py`.
"""

import argparse
import contextlib
import errno
import os
import resource
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
KILL_S = 5.0  # from the end of the drain until a worker that still runs is killed
PORT_IN_USE = "the port is in use; stop the other program, or choose another port with --port or PORT=8080 make serve"
STDERR = 2  # a descriptor; sys.stderr is None if it was closed at start
MAX_DESCRIPTORS = 16384  # of the worker: connections and files; fewer if the system allows fewer


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve until a signal comes, and return the exit code."""
    _open_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        reason = PORT_IN_USE if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        _report(f"cannot listen on {options.host}:{options.port}: {reason}")
        return 1
    _raise_descriptor_limit()
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
        self._ready = -1  # the worker writes GANVAS_DRAIN_S to this pipe when it is ready
        self._drain_s: float | None = None  # what it wrote
        self._signals: list[int] = []  # not a threading.Event: two signals in quick succession would deadlock on its lock

    def run(self) -> int:
        """Serve until a signal comes, and return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        served_before = False
        failures = 0
        while not self._signals:
            code, served = self._one_worker()
            if len(self._signals) > 1 or (self._signals and code == -signal.SIGTERM):  # SIGTERM: before it accepted a request
                return 0
            if self._signals or code == 0 or not (served or served_before):
                return code if code >= 0 else 1
            failures = 0 if served else failures + 1
            served_before = True
            if failures == MAX_FAILURES:
                _report(f"{failures} workers in a row failed to start; giving up")
                return 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
            _report(f"the worker {how}; starting another")
            if not served:
                time.sleep(PAUSE_S)
        return 0

    def _one_worker(self) -> tuple[int, bool]:
        """Start a worker and wait until it exits. Returns its exit code and whether it was ready."""
        parent_read, parent_write = os.pipe()  # the worker sees it close when this process dies
        self._ready, ready_write = os.pipe()
        self._drain_s = None
        inherited = (self._listener.fileno(), ready_write, parent_read)
        socket_, ready, parent = map(str, inherited)
        command = [sys.executable, "-m", "service.process.worker", "--socket", socket_, "--ready", ready, "--parent", parent]
        try:
            # The worker gets a session of its own, so Ctrl-C reaches only this process, which forwards it.
            worker = subprocess.Popen([*command, "--url", self._url], pass_fds=inherited, start_new_session=True)  # noqa: S603
            self._worker = worker
            self._stop_worker()  # if a signal came before there was a worker
            for descriptor in (parent_read, ready_write):
                os.close(descriptor)
            code = worker.wait()
            return code, self._drain_limit() is not None
        finally:
            self._worker = None
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(self._ready)
            os.close(parent_write)

    def _drain_limit(self) -> float | None:
        """GANVAS_DRAIN_S, in seconds, as the worker read it. None if the worker was never ready."""
        if self._drain_s is None and select.select([self._ready], [], [], 0)[0] and (written := os.read(self._ready, 64)):
            self._drain_s = float(written)
        return self._drain_s

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._stop_worker()

    def _stop_worker(self) -> None:
        """At the first signal, send SIGTERM to the worker, and kill it if it takes too long. At the second, kill it now."""
        if not self._worker or not self._signals:
            return
        self._listener.close()  # only the worker holds the port from here on, so callers notice when it closes
        if len(self._signals) > 1:
            self._worker.kill()
            return
        signal.setitimer(signal.ITIMER_REAL, (self._drain_limit() or 0) + KILL_S)
        self._worker.terminate()

    def _kill(self, number: int, frame: FrameType | None) -> None:
        if self._worker:
            _report("the worker did not end in time; killing it")
            self._worker.kill()


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


def _open_standard_streams() -> None:
    """Open what is closed of stdin, stdout and stderr. Otherwise the socket would take its number, and be written to."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _report(message: str) -> None:
    """Write a line to stderr. The service continues if nobody can read it."""
    with contextlib.suppress(OSError):
        os.write(STDERR, f"ganvas: {message}\n".encode())


def _raise_descriptor_limit() -> None:
    """Take more than the usual 1,024 descriptors, which a client could use up with idle connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MAX_DESCRIPTORS, hard)
    if wanted > soft:
        with contextlib.suppress(OSError, ValueError):  # macOS allows less than it states
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _shown(host: str) -> str:
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
