"""What the tables say they were measured with, and that everybody is measured with the same."""

import importlib.metadata
import re

import pytest

from benchmarks.codecs import LIBRARIES
from benchmarks.provenance import CONSTRAINTS, machine, measured_on, pinned
from benchmarks.serving.contestants import CONTESTANTS


def test_pins_are_those_of_the_service() -> None:
    lines = CONSTRAINTS.read_text().splitlines()
    assert set(pinned("onnxruntime", "numpy")) <= {*lines}
    extra, without = pinned("uvicorn[standard]", "uvicorn")
    assert without in lines
    assert extra == without.replace("uvicorn", "uvicorn[standard]")
    with pytest.raises(KeyError, match="litserve"):
        pinned("litserve")


@pytest.mark.parametrize("name", [name for name, one in CONTESTANTS.items() if one.script])
def test_every_peer_runs_the_onnxruntime_of_the_service(name: str) -> None:
    assert {*pinned("onnxruntime", "numpy", "pillow")} <= {*CONTESTANTS[name].packages}


def test_the_service_itself_is_installed_by_the_same_pins() -> None:
    assert CONTESTANTS["ganvas"].packages[:2] == ("--constraint", CONSTRAINTS.name)


def test_nobody_is_left_to_the_newest_version() -> None:
    named = [*CONTESTANTS.values(), *LIBRARIES.values()]
    loose = [package for one in named if one.name != "ganvas" for package in one.packages if "==" not in package]
    assert not loose


def test_a_head_names_the_machine_and_the_versions() -> None:
    ort = importlib.metadata.version("onnxruntime")
    said = measured_on()
    assert said.startswith(f"{machine()}; Ganvas ")
    assert f", onnxruntime {ort}, BentoML " in said
    assert re.search(r"Python 3\.\d+\.\d+\.$", said)
    assert "onnxruntime 9.9, " in measured_on(lambda package: "9.9")  # of another environment
