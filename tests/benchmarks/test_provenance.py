"""Tables name machine and versions, and all servers are measured with the same versions."""

import importlib.metadata
import re

import pytest

from benchmarks.codecs import LIBRARIES
from benchmarks.provenance import CONSTRAINTS, machine, measured_on, pinned
from benchmarks.serving.contestants import CONTESTANTS


def test_pins_come_from_constraints() -> None:
    lines = CONSTRAINTS.read_text().splitlines()
    assert set(pinned("onnxruntime", "numpy")) <= {*lines}
    extra, without = pinned("uvicorn[standard]", "uvicorn")
    assert without in lines
    assert extra == without.replace("uvicorn", "uvicorn[standard]")
    with pytest.raises(KeyError, match="litserve"):
        pinned("litserve")


@pytest.mark.parametrize("name", [name for name, one in CONTESTANTS.items() if one.script])
def test_all_servers_use_the_same_onnxruntime(name: str) -> None:
    assert {*pinned("onnxruntime", "numpy", "pillow")} <= {*CONTESTANTS[name].packages}


def test_service_is_installed_with_the_same_pins() -> None:
    assert CONTESTANTS["ganvas"].packages[:2] == ("--constraint", CONSTRAINTS.name)


def test_all_packages_are_pinned() -> None:
    named = [*CONTESTANTS.values(), *LIBRARIES.values()]
    loose = [package for one in named if one.name != "ganvas" for package in one.packages if "==" not in package]
    assert not loose


def test_head_names_machine_and_versions() -> None:
    ort = importlib.metadata.version("onnxruntime")
    said = measured_on()
    assert said.startswith(f"{machine()}; Ganvas ")
    assert f", onnxruntime {ort}, BentoML " in said
    assert re.search(r"Python 3\.\d+\.\d+\.$", said)
    assert "onnxruntime 9.9, " in measured_on(lambda package: "9.9")  # versions of another environment
