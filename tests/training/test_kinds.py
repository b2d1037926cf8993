"""The kinds of models, a third kind that the shared modules do not know, and samples."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from pydantic import BaseModel
from typer.main import get_command

from ganvas.card import IMAGES, METADATA_KEY, OUTPUT, Card
from ganvas.tensors import ROWS, Dimension, Tensor
from tests.training.commands import done, refused
from tests.training.conftest import MakeImages
from training import kinds
from training.card_details import CardDetails, card_fields
from training.cli.app import app
from training.cli.options import takes_options_of
from training.gan.sample import SampleOptions
from training.kind import Exportable, Kind, TableEntry
from training.kinds import KINDS
from training.run import Checkpoint, Plan, Run


def test_plan_and_card_agree_with_the_registry() -> None:
    for name, kind in KINDS.items():
        assert name == kind.name == kind.plan.model_fields["kind"].default
    assert len({kind.card for kind in KINDS.values()}) == len(KINDS)


class UpscalerConfig(BaseModel):
    factor: int = 2


class UpscalerPlan(Plan):
    kind: Literal["upscaler"] = "upscaler"
    config: UpscalerConfig

    @property
    def steps(self) -> int:
        return 1


class UpscalerCard(Card):
    kind: Literal["upscaler"] = "upscaler"
    factor: int

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        shape = (ROWS, Dimension("h", least=8, multiple=4), Dimension("w", least=8), 3)
        return (Tensor(IMAGES, "uint8", shape, "pixels"),)

    @property
    def output(self) -> Tensor:
        sides = (Dimension("h", least=8, multiple=4, factor=self.factor), Dimension("w", least=8, factor=self.factor))
        return Tensor(OUTPUT, "uint8", (ROWS, *sides, 3), "pixels")


class UpscalerGraph(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).float() * self.gain
        return F.interpolate(pixels, scale_factor=2.0, mode="nearest").round().to(torch.uint8).permute(0, 2, 3, 1)


def export_upscaler(run: Run[UpscalerPlan], checkpoint: Checkpoint, name: str, details: CardDetails) -> Exportable:
    graph = UpscalerGraph()
    run.fit(graph, checkpoint, "network")
    fields = card_fields(name, run.plan, details, checkpoint["step"], "Images of twice the size.")
    return Exportable(graph.eval(), UpscalerCard(**fields, architecture="nearest", factor=run.plan.config.factor))


def unused(*_: object) -> Any:
    raise NotImplementedError


UPSCALER = Kind(
    name="upscaler",
    plan=UpscalerPlan,
    card=UpscalerCard,
    export=export_upscaler,
    evaluate=unused,
    evaluate_options=SampleOptions,
    sample=unused,
    sample_options=SampleOptions,
    write_report=unused,
    table_entry=lambda _: TableEntry(),
)


def test_a_new_kind_is_exported_without_changes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card is read by its class: `parse_card` knows only the kinds of `AnyCard`."""
    monkeypatch.setitem(kinds.KINDS, "upscaler", UPSCALER)
    run = Run.create(tmp_path / "run", UpscalerPlan(config=UpscalerConfig(), data="photos", images=3))
    run.save_checkpoint(1, {"network": UpscalerGraph()})
    done("export", run.folder, tmp_path / "twice.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "twice.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 17, 3), dtype=np.uint8)
    (found,) = session.run([OUTPUT], {IMAGES: images})
    assert np.array_equal(found, images.repeat(2, axis=1).repeat(2, axis=2))
    card = UpscalerCard.model_validate_json(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert (card.kind, card.name, card.factor) == ("upscaler", "twice", 2)
    assert card.training_config == {"trained_steps": 1, "factor": 2}


def test_every_kind_has_the_command_that_trains_it() -> None:
    assert KINDS.keys() <= get_command(app).commands.keys()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class UpscalerOptions:
    n: Annotated[int, typer.Option("--n", "-n", help="Photos to enlarge.")] = 3
    sharp: Annotated[bool, typer.Option("--sharp", help="Sharpen.")] = False


def test_help_describes_an_option_for_each_kind_that_has_it() -> None:
    @takes_options_of({"gan": SampleOptions, "upscaler": UpscalerOptions})
    def command(**options: Any) -> None:
        pass

    parameters = inspect.signature(command).parameters
    described = {name: get_args(parameter.annotation)[1].help for name, parameter in parameters.items()}
    assert described == {
        "n": "gan: Images on the sheet. Default: 16. upscaler: Photos to enlarge. Default: 3.",
        "seed": "gan: Seed of the latents. Default: 0.",
        "sharp": "upscaler: Sharpen. Default: False.",
    }


def test_samples_of_a_generator_depend_on_the_seed(gan_run: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(gan_run / "checkpoint.pt", weights_only=True)
    for name, value in checkpoint["generator_ema"].items():
        if name.endswith("weight") and value.ndim == 4:
            value.mul_(20)  # untrained, all images are nearly grey
    torch.save(checkpoint, gan_run / "checkpoint.pt")
    sheets = [tmp_path / f"{name}.png" for name in ("one", "again", "other")]
    for sheet, seed in zip(sheets, (1, 1, 2), strict=True):
        assert f"Wrote {sheet}, from step 1." in done("sample", gan_run, "-o", sheet, "--n", 5, "--seed", seed)
    one, again, other = (sheet.read_bytes() for sheet in sheets)
    assert one == again != other
    with Image.open(sheets[0]) as image:
        assert (image.size, image.mode) == ((3 * 28 + 2 * 2, 2 * 28 + 2), "L")


def test_samples_of_a_style_network_show_each_photo_in_each_style(
    style_run: Path, make_images: MakeImages, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.jpg"
    photos = make_images("photos", 3, size=(300, 280))
    done("sample", style_run, "--content", photos, "-n", 2, "-o", sheet)
    with Image.open(sheet) as image:
        assert image.size == (4 * 256 + 3 * 2, 2 * 256 + 2)  # a crop and three styles, in two rows


def test_sample_refuses_options_and_files_that_the_run_does_not_allow(
    gan_run: Path, style_run: Path, make_images: MakeImages, tmp_path: Path
) -> None:
    photos, out = make_images("photos", 1), tmp_path / "sheet.png"
    assert "a gan run, has no option --content" in refused("sample", gan_run, "-o", out, "--content", photos)
    assert "Name a folder or zip of photos to paint with --content" in refused("sample", style_run, "-o", out)
    assert "has no best checkpoint" in refused("sample", gan_run, "-o", out, "--checkpoint", "best")
    assert "Let --out end in .png" in refused("sample", gan_run, "-o", tmp_path / "sheet.gif")
    assert "holds no training run" in refused("sample", tmp_path, "-o", out)
    assert not out.exists()
