"""Progress of a batch in a terminal and in a log."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.batches.progress import progress
from service.settings import ROOT
from tests.ganvas.conftest import draw_photos
from tests.service.running import Running


def in_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a command writes if its stderr is a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=its) as process:
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # Linux raises it when the other side is closed
            while some := os.read(ours, 65536):
                shown += some
        os.close(ours)
        process.wait(60)
    return shown.decode()


@pytest.mark.parametrize("broken", [False, True])
def test_terminal_shows_bar_with_rate_and_time_left(service: Running, tmp_path: Path, broken: bool) -> None:
    for path in draw_photos(tmp_path / "in", 60):
        if broken:
            path.write_bytes(b"not an image")
    command = [sys.executable, "-m", "ganvas", "stylize", str(tmp_path / "in"), "-s", "night", "-o", str(tmp_path / "out")]
    environment = {**os.environ, "GANVAS_URL": service.url, "COLUMNS": "160", "TERM": "xterm"}
    shown = in_a_terminal(command, environment)
    assert "stylize" in shown
    assert "60/60" in shown
    assert re.search(r"left.*\d+:\d\d:\d\d", shown)
    assert " in flight" in shown
    rates = {float(rate) for rate in re.findall(r"([\d.]+)/s", shown)}
    assert (max(rates) > 0) is not broken  # failures do not count as made


def test_log_shows_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("stylize", 10, 4, True) as advance:
        advance(4, 0, 3)
        advance(2, 0, 1)
    assert capsys.readouterr().err == "stylize: 10/10, 0.0/s, 0 s left, 1 in flight\n"
    with progress("stylize", 10, 4, True) as advance:
        advance(6, 5, 1)
    assert re.fullmatch(r"stylize: 10/10, [\d.]+/s, 0 s left, 1 in flight\n", line := capsys.readouterr().err)
    assert " 0.0/s" not in line
