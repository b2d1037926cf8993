"""The manifest: broken and foreign files, and full disks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.batches.manifest import MAX_LINE, Entry, Manifest
from service.settings import ROOT

MADE_FROM = {"style": "night"}
GOOD = json.dumps({"file": "a.jpg", "bytes": 3, **MADE_FROM}).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"abc")
    return tmp_path


def test_ignores_broken_lines(folder: Path) -> None:
    broken = [
        b"[" * 60_000 + b"\n",
        b'{"file": "a.jpg", "bytes": "3", "style": "night"}\n',
        b'{"file": "a.jpg", "bytes": true, "style": "night"}\n',
        b'{"file": ["a.jpg"], "bytes": 3, "style": "night"}\n',
        b'{"bytes": ' + b"9" * 10_000 + b', "file": "a.jpg"}\n',
        b"\xff\xfe\x00\n",
        b"x" * (3 * MAX_LINE) + b"\n",
        b"\n",
    ]
    path = folder / "manifest.jsonl"
    path.write_bytes(b"".join(broken))
    with Manifest(folder) as manifest:
        assert not manifest.has("a.jpg", MADE_FROM)
    path.write_bytes(b"".join(broken[:4]) + GOOD + b"".join(broken[4:]) + b'{"file": "half')
    with Manifest(folder) as manifest:
        assert manifest.has("a.jpg", MADE_FROM)
        assert not manifest.has("a.jpg", {"style": "wave"})
    assert path.read_bytes() == b"".join(broken[:4]) + GOOD + b"".join(broken[4:])


def test_folder_in_place_of_the_manifest_is_named(folder: Path) -> None:
    (folder / "manifest.jsonl").mkdir()
    with pytest.raises(FileExistsError, match="Is not a file") as raised:
        Manifest(folder)
    assert raised.value.filename == str(folder / "manifest.jsonl")
    (folder / "manifest.jsonl").rmdir()
    with Manifest(folder):
        pass  # the lock was released


def test_full_disk_leaves_no_partial_line(folder: Path) -> None:
    (folder / "manifest.jsonl").write_bytes(GOOD)
    code = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))\n"
        "from ganvas.batches.manifest import Entry, Manifest\n"
        "with Manifest(pathlib.Path(sys.argv[1])) as manifest:\n"
        "    for i in range(2):\n"
        "        try: manifest.add([Entry(f'{i}-{j}.jpg', 1, {'style': 'wave'}) for j in range(3)])\n"
        "        except OSError as error: print(error.filename)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [str(folder / "manifest.jsonl")] * 2
    assert (folder / "manifest.jsonl").read_bytes() == GOOD
    with Manifest(folder) as manifest:
        manifest.add([Entry("b.jpg", 1, {})])
        assert manifest.has("a.jpg", MADE_FROM)
