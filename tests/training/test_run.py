import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganvas.files import write_whole
from training.errors import RunError
from training.gan.config import GanConfig
from training.gan.plan import GanPlan
from training.kinds import open_run
from training.run import SCHEMA_VERSION, Run
from training.style.plan import StylePlan


@pytest.fixture
def run(tmp_path: Path) -> Run[GanPlan]:
    return Run.create(tmp_path / "run", GanPlan(config=GanConfig(channels=1), data="digits.zip", images=10))


def test_open_returns_the_plan_that_create_wrote(run: Run[GanPlan]) -> None:
    assert Run.open(run.folder, GanPlan).plan == run.plan


def test_restores_a_checkpoint(run: Run[GanPlan]) -> None:
    assert run.load_checkpoint() is None
    saved, restored = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    assert run.restore({"network": restored}) == 0
    run.save_checkpoint(7, {"network": saved})
    assert run.restore({"network": restored}) == 7
    assert torch.equal(saved.weight, restored.weight)


def test_refuses_a_broken_checkpoint_and_a_folder_without_run(run: Run[GanPlan], tmp_path: Path) -> None:
    (run.folder / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(RunError, match=r"checkpoint.pt cannot be read"):
        run.load_checkpoint()
    with pytest.raises(RunError, match="holds no training run"):
        Run.open(tmp_path, GanPlan)
    for text in ("", "[]", '{"schema_version": 2}', '{"schema_version": 2, "kind": "gan"}'):
        (run.folder / "run.json").write_text(text)
        with pytest.raises(RunError, match=r"run.json cannot be read"):
            Run.open(run.folder, GanPlan)


@pytest.mark.parametrize(("version", "message"), [(None, "an older version"), (1, "an older version"), (3, "a newer version")])
def test_refuses_a_run_of_another_schema_version(run: Run[GanPlan], version: int | None, message: str) -> None:
    plan = json.loads((run.folder / "run.json").read_text())
    assert plan.pop("schema_version") == SCHEMA_VERSION
    (run.folder / "run.json").write_text(json.dumps(plan if version is None else plan | {"schema_version": version}))
    with pytest.raises(RunError, match=f"was started by {message} of Ganvas.*tart a new run") as error:
        open_run(run.folder)
    assert "\n" not in str(error.value)


def test_refuses_a_run_of_another_kind(run: Run[GanPlan]) -> None:
    with pytest.raises(RunError, match="holds a gan run, not a style run"):
        Run.open(run.folder, StylePlan)
    text = (run.folder / "run.json").read_text()
    (run.folder / "run.json").write_text(text.replace('"kind": "gan"', '"kind": "poetry"'))
    with pytest.raises(RunError, match=r"holds a poetry run, which this version does not know\. Known: gan, style"):
        open_run(run.folder)


def test_refuses_a_checkpoint_of_another_network(run: Run[GanPlan], tmp_path: Path) -> None:
    run.save_checkpoint(7, {"network": torch.nn.Linear(2, 3)})
    with pytest.raises(RunError, match=r"does not fit run.json beside it \(network: "):
        run.restore({"network": torch.nn.Linear(5, 3)})
    with pytest.raises(RunError, match=r"does not fit run.json beside it \(generator_ema: "):
        run.restore({"generator_ema": torch.nn.Linear(2, 3)})
    for content in (b"", b"PK"):
        (run.folder / "checkpoint.pt").write_bytes(content)
        with pytest.raises(RunError, match=r"checkpoint.pt cannot be read"):
            run.load_checkpoint()
    torch.save([1, 2], run.folder / "checkpoint.pt")
    with pytest.raises(RunError, match="is not a checkpoint"):
        run.load_checkpoint()


def test_nan_weights_never_replace_a_checkpoint(run: Run[GanPlan]) -> None:
    network = torch.nn.Linear(2, 3)
    run.save_checkpoint(1, {"network": network})
    before = (run.folder / "checkpoint.pt").read_bytes()
    torch.nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(RunError, match="A weight became NaN or infinite by step 2"):
        run.save_checkpoint(2, {"network": network})
    assert (run.folder / "checkpoint.pt").read_bytes() == before


def _full(path: Path) -> None:
    """Let the next `write_whole` of a path meet a full disk."""
    with pytest.MonkeyPatch.context() as patch:
        seen: list[Path] = []
        patch.setattr(Path, "replace", lambda partial, _: seen.append(partial))
        write_whole(path, b"")
    seen[0].unlink()
    seen[0].symlink_to("/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["checkpoint.pt", "samples/0000007.png", "stats.jsonl", "run.json"])
def test_full_disk_names_the_file_and_keeps_the_last_checkpoint(run: Run[GanPlan], name: str) -> None:
    network = torch.nn.Linear(2, 3)
    run.save_checkpoint(1, {"network": network})
    before = (run.folder / "checkpoint.pt").read_bytes()
    if name == "stats.jsonl":
        (run.folder / name).symlink_to("/dev/full")
    else:
        _full(run.folder / name)
    with pytest.raises(OSError, match="No space left on device") as error:
        {
            "checkpoint.pt": lambda: run.save_checkpoint(2, {"network": network}),
            "samples/0000007.png": lambda: run.save_sample(7, Image.new("RGB", (400, 400))),
            "stats.jsonl": lambda: run.log(2, loss=1.0),
            "run.json": lambda: run.record_threads(3),
        }[name]()
    assert error.value.filename == str(run.folder / name)
    assert (run.folder / "checkpoint.pt").read_bytes() == before
    assert Run.open(run.folder, GanPlan).plan.threads is None
    assert [path.name for path in run.folder.glob(".*.partial")] == []


def test_records_the_threads_in_the_plan(run: Run[GanPlan]) -> None:
    run.record_threads(3)
    assert run.plan.threads == Run.open(run.folder, GanPlan).plan.threads == 3


def test_failed_create_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be made"):
        Run.create(tmp_path / "file" / "run", GanPlan(config=GanConfig(channels=1), data="digits.zip", images=10))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_refuses_an_existing_folder(run: Run[GanPlan]) -> None:
    with pytest.raises(RunError, match=r"exists already\. Name another folder with --out, or continue the run with --resume"):
        Run.create(run.folder, run.plan)


def test_only_one_process_can_train_a_run(run: Run[GanPlan]) -> None:
    open_it = f"from pathlib import Path; from training.kinds import open_run; _, run = open_run(Path({str(run.folder)!r}))"
    train = f"{open_it}\nwith run.held(): print('held')"

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", train], capture_output=True, text=True, check=False)

    with run.held():
        refused = other()
    assert refused.returncode
    assert f"Another process is training {run.folder}. Wait for it, or stop it first." in refused.stderr
    assert other().stdout == "held\n"


def test_resume_deletes_stats_after_the_checkpoint(run: Run[GanPlan]) -> None:
    for step in (10, 20, 30):
        run.log(step, loss=1.5)
    with (run.folder / "stats.jsonl").open("a") as stream:
        stream.write('{"step": 4')  # killed while writing
    run.save_checkpoint(20, {})
    assert run.restore({}) == 20
    assert (run.folder / "stats.jsonl").read_text() == '{"step": 10, "loss": 1.5}\n{"step": 20, "loss": 1.5}\n'
