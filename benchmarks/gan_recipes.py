"""Trains one run with each GAN recipe on the same images and compares them, to show the effect of each part.

    python -m benchmarks.gan_recipes --data FOLDER_OR_ZIP --out runs/recipes [--size 64] [--width 48] [--images 60000]
                                     [--features vgg --weights FILE] [--vgg FILE] [--only NAME ...] [--table FILE]

Writes a Markdown table and OUT/recipes.png, which shows the images of each recipe for the same 8 latents. A finished run is
not trained again. An interrupted run resumes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.command import run_command
from benchmarks.recipe_results import Outcome, markdown, write_image
from ganvas.files import write_whole
from training.config import Features, flatten, load_config, resolve, with_values
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder, require_count, require_size
from training.devices import find_device, launch
from training.errors import ConfigError, RunError, first_line
from training.gan.augment import AUGMENTATIONS
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.loop import train_gan
from training.gan.plan import GanPlan
from training.gan.setup import channels_of, precision_of, resolve_gan
from training.metrics.features import FeatureNetwork, build_features
from training.report.stats import read_stats
from training.run import Run
from training.vgg import VggFeatures

Changes = dict[str, object]

_PIXELS: Changes = {"features.layers": ()}

_PLAIN: Changes = _PIXELS | {"penalty.r1": 0.0, "penalty.r2": 0.0, "ema_decay": 0.0, "augment": (), "shared_pass": False}

# Radford et al. 2016: a normalised discriminator, binary cross-entropy, Adam at 2e-4 with a momentum of 0.5.
_CLASSIC: Changes = _PLAIN | {
    "objective": "bce", "discriminator.norm": True,
    "optimizer.learning_rate": 2e-4, "optimizer.beta1": 0.5, "optimizer.beta2": 0.999,
}  # fmt: skip

# Huang et al. 2024 (R3GAN): pairs of images, penalties on real and fake ones.
_RELATIVISTIC: Changes = _PIXELS | {"ema_decay": 0.0, "augment": ()}


@dataclass(frozen=True)
class Recipe:
    """Its title in the table, and its changes to the default config."""

    title: str
    changes: Changes


RECIPES = {
    "classic": Recipe("classic DCGAN", _CLASSIC),
    "ttur": Recipe("classic + TTUR", _CLASSIC | {"optimizer.d_learning_rate": 5e-5}),
    "skip": Recipe("classic + skipped discriminator steps", _CLASSIC | {"skip_below": 0.5}),
    "hinge": Recipe(
        "hinge",
        _PLAIN | {"objective": "hinge", "optimizer": {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.9}},
    ),
    "relativistic": Recipe("relativistic + R1 + R2", _RELATIVISTIC),
    "diffaugment": Recipe("relativistic + R1 + R2 + DiffAugment", _RELATIVISTIC | {"augment": tuple(AUGMENTATIONS)}),
    "ema": Recipe("relativistic + R1 + R2 + EMA", _PIXELS),
    "features": Recipe("relativistic + R1 + R2 + EMA + features", {"features.layers": FEATURE_LAYERS}),
    "default": Recipe(
        "the same with dcgan-residual (the default)", {"features.layers": FEATURE_LAYERS, "architecture": "dcgan-residual"}
    ),
}
"""Name -> recipe. The default augments if there are few images."""

DEFAULT = "default"

_LEAST_IMAGES = 16


def gan_recipes(
    data: Annotated[Path, typer.Option(help="Folder or zip of images.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the runs, one per recipe.", show_default=False)],
    size: Annotated[int, typer.Option(help="Side of the images in pixels.")] = 64,
    width: Annotated[int, typer.Option(help="Width of both networks.")] = 48,
    images: Annotated[int, typer.Option(help="Real images shown in each run, with repeats.")] = 60_000,
    evaluations: Annotated[int, typer.Option(min=1, help="Evaluations per run, evenly spread.")] = 10,
    features: Annotated[Features, typer.Option(help="Network whose features the metrics use.")] = "inception",
    weights: Annotated[
        Path | None, typer.Option(help="Local file with its weights. By default they are downloaded.", show_default=False)
    ] = None,
    vgg: Annotated[Path | None, typer.Option(help="VGG-16 weights. Default: torchvision downloads them.")] = None,
    only: Annotated[list[str], typer.Option(help=f"One of {', '.join(RECIPES)}. May be repeated. Default: all.")] = [],  # noqa: B006
    set_: Annotated[
        list[str], typer.Option("--set", help="Set key=value for all recipes that do not set it. May be repeated.")
    ] = [],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="File for the table.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Train a GAN with each recipe on the same images and compare them."""
    if unknown := [name for name in only if name not in RECIPES]:
        raise ConfigError(f"There is no recipe {', '.join(unknown)}. Known: {', '.join(RECIPES)}.")
    where = find_device(device)
    common = flatten(load_config("dcgan", GanConfig, set_), only_set=True) | {
        "image_size": size, "generator.width": width, "discriminator.width": width, "images": images,
        "evaluation.network": features,
    }  # fmt: skip
    configs = {name: recipe_config(name, common, evaluations) for name in RECIPES if not only or name in only}
    folder = open_image_folder(data)
    require_count(folder, _LEAST_IMAGES)
    require_size(folder, size, "--size")
    network = build_features(features, weights)
    configs = {name: resolve_gan(config, len(folder.names), folder.grey, where) for name, config in configs.items()}
    first = next(iter(configs.values()))
    dataset, _ = load_images(folder, size, channels_of(first))
    fabric = launch(where, precision_of(first))

    outcomes = []
    for name, config in configs.items():
        typer.echo(f"{name}: {RECIPES[name].title}")
        plan = GanPlan(config=config, data=data.resolve().name, images=len(dataset), fingerprint=folder.fingerprint)
        judge = VggFeatures(config.features.layers, vgg) if config.features.layers else None
        outcomes.append(train(name, out / name, plan, dataset, fabric, network, judge))
    text = markdown(outcomes, DEFAULT)
    typer.echo(f"\n{text}")
    if table is not None:
        write_whole(table, lambda partial: partial.write_text(text))
    write_image(out / "recipes.png", outcomes, where)
    typer.echo(f"See {out / 'recipes.png'}.")


def recipe_config(name: str, common: Mapping[str, object], evaluations: int) -> GanConfig:
    """The config of a recipe.

    Args:
        name: key of `RECIPES`.
        common: values for all recipes that do not set them.
        evaluations: number in the run.

    Raises:
        ConfigError: a value that is not allowed.
    """
    config = resolve({**common, **RECIPES[name].changes}, GanConfig, name)
    every = -(-config.steps // evaluations)
    return with_values(config, {"evaluation.every": every, "sample_every": every, "checkpoint_every": every})


def train(
    name: str, folder: Path, plan: GanPlan, dataset: Tensor, fabric: Fabric, network: FeatureNetwork, vgg: VggFeatures | None
) -> Outcome:
    """Train one recipe. An interrupted run resumes, and a finished one is not trained again.

    Args:
        name: of `RECIPES`.
        folder: of the run.
        plan: what it is to do.
        dataset: uint8 [N, c, size, size], the real images.
        fabric: launched.
        network: its features are used for the metrics.
        vgg: VGG-16 with the layers of the second discriminator; needed if a recipe has one.

    Raises:
        RunError: the folder contains a run with other settings or images.
    """
    run = Run.open(folder, GanPlan) if folder.exists() else Run.create(folder, plan)
    if run.plan.model_copy(update={"threads": plan.threads}) != plan:
        raise RunError(f"{folder} was trained with other settings or images. Choose another --out or delete this folder.")
    failure = ""
    checkpoint = run.load_checkpoint()
    if checkpoint is None or checkpoint["step"] < plan.config.steps:
        try:
            train_gan(run, dataset, fabric, network, vgg=vgg)
        except RunError as error:  # a failed recipe is also a result
            failure = first_line(error)
    stats = read_stats(folder / "stats.jsonl", plan.config.images_per_step)
    return Outcome(name, RECIPES[name].title, run, stats, failure)


if __name__ == "__main__":
    run_command(gan_recipes)
