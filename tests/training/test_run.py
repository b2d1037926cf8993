import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganvas.files import write_whole
from training.errors import RunError
from training.gan.config import GanConfig
from training.run import GanPlan, Run


@pytest.fixture
def run(tmp_path: Path) -> Run[GanPlan]:
    return Run.create(tmp_path / "run", GanPlan(config=GanConfig(channels=1), data="digits.zip", pictures=10))


def test_a_run_is_found_again_as_it_was(run: Run[GanPlan]) -> None:
    assert Run.open(run.folder).plan == run.plan


def test_a_checkpoint_comes_back(run: Run[GanPlan]) -> None:
    assert run.load_checkpoint() is None
    saved, restored = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    assert run.restore({"network": restored}) == 0
    run.save_checkpoint(7, {"network": saved})
    assert run.restore({"network": restored}) == 7
    assert torch.equal(saved.weight, restored.weight)


def test_a_broken_checkpoint_and_a_folder_without_run(run: Run[GanPlan], tmp_path: Path) -> None:
    (run.folder / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(RunError, match=r"checkpoint.pt cannot be read"):
        run.load_checkpoint()
    with pytest.raises(RunError, match="holds no training run"):
        Run.open(tmp_path)
    (run.folder / "run.json").write_text('{"kind": "poetry"}')
    with pytest.raises(RunError, match=r"run.json cannot be read"):
        Run.open(run.folder)


def test_a_checkpoint_of_another_network_is_refused(run: Run[GanPlan], tmp_path: Path) -> None:
    run.save_checkpoint(7, {"network": torch.nn.Linear(2, 3)})
    with pytest.raises(RunError, match=r"does not fit run.json beside it \(network: "):
        run.restore({"network": torch.nn.Linear(5, 3)})
    with pytest.raises(RunError, match=r"does not fit run.json beside it \(average: "):
        run.restore({"average": torch.nn.Linear(2, 3)})
    for content in (b"", b"PK"):
        (run.folder / "checkpoint.pt").write_bytes(content)
        with pytest.raises(RunError, match=r"checkpoint.pt cannot be read"):
            run.load_checkpoint()
    torch.save([1, 2], run.folder / "checkpoint.pt")
    with pytest.raises(RunError, match="is no checkpoint"):
        run.load_checkpoint()


def test_weights_that_are_no_numbers_never_replace_a_checkpoint(run: Run[GanPlan]) -> None:
    network = torch.nn.Linear(2, 3)
    run.save_checkpoint(1, {"network": network})
    before = (run.folder / "checkpoint.pt").read_bytes()
    torch.nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(RunError, match="A weight became NaN or infinite by step 2"):
        run.save_checkpoint(2, {"network": network})
    assert (run.folder / "checkpoint.pt").read_bytes() == before


def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be made"):
        Run.create(tmp_path / "file" / "run", GanPlan(config=GanConfig(channels=1), data="digits.zip", pictures=10))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_existing_folder_is_refused(run: Run[GanPlan]) -> None:
    with pytest.raises(RunError, match=r"exists already\. Name another folder with --out, or go on with it by --resume"):
        Run.create(run.folder, run.plan)


def test_two_processes_never_train_one_run(run: Run[GanPlan]) -> None:
    open_it = f"from pathlib import Path; from training.run import Run; run = Run.open(Path({str(run.folder)!r}))"
    train = f"{open_it}\nwith run.held(): print('held')"

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", train], capture_output=True, text=True, check=False)

    with run.held():
        refused = other()
    assert refused.returncode
    assert f"Another process is training {run.folder}. Wait for it, or stop it first." in refused.stderr
    assert other().stdout == "held\n"


def test_stats_after_the_checkpoint_are_forgotten_on_resume(run: Run[GanPlan]) -> None:
    for step in (10, 20, 30):
        run.log(step, loss=1.5)
    with (run.folder / "stats.jsonl").open("a") as stream:
        stream.write('{"step": 4')  # killed while writing
    run.save_checkpoint(20, {})
    assert run.restore({}) == 20
    assert (run.folder / "stats.jsonl").read_text() == '{"step": 10, "loss": 1.5}\n{"step": 20, "loss": 1.5}\n'


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
