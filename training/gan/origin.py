"""Begins a run with the weights of another GAN: `--from`.

Few images are not enough to learn what images are like, but they are enough to change a generator that knows it (Wang et al.
2018, "Transferring GANs"). The first layers of the discriminator may keep their weights: see `training.gan.freeze`. The
optimizers and the second discriminator start new.
"""

from collections.abc import Sequence

from training.config import change, load_config, with_values
from training.gan.config import GanConfig
from training.gan.plan import GanPlan, Origin
from training.gan.setup import RESOLVED
from training.gan.trainer import GanTrainer
from training.run import Run

ARCHITECTURE = (
    "architecture", "image_size", "channels", "latent_size", "generator", "discriminator", "pack", "classes.count",
)  # fmt: skip
"""The values that define the networks. They cannot change for trained networks."""


def settings_to_begin_with(old: GanConfig, name: str, config: str | None, changes: Sequence[str]) -> GanConfig:
    """The named config or, if there is none, that of the trained networks, whose other images do not matter.

    Args:
        old: of the trained networks.
        name: of their run, for messages.
        config: as for `load_config`.
        changes: as for `load_config`.
    """
    if config:
        settings = load_config(config, GanConfig, changes)
    else:
        settings = change(with_values(old, dict.fromkeys(RESOLVED) | {"precision": "auto"}), changes, f"of {name}")
    return settings if settings.channels else with_values(settings, {"channels": old.channels})


def origin_of(first: Run[GanPlan]) -> Origin:
    """What a plan says of the run that another run begins with. Raises as `load_weights`."""
    return Origin(path=str(first.folder.resolve()), step=first.checkpoint_to_export()["step"], data=first.plan.data)


def load_weights(trainer: GanTrainer, first: Run[GanPlan]) -> None:
    """Load the weights that `export` would take: of the generator, of its average and of the discriminator.

    A folder of weights without optimizers is enough, in any precision. Without a generator, its average takes its place.

    Raises:
        RunError: there is no checkpoint, or it does not fit.
    """
    checkpoint = first.checkpoint_to_export()
    first.fit(trainer.generator_ema, checkpoint, "generator_ema")
    first.fit(trainer.discriminator, checkpoint, "discriminator")
    if "generator" in checkpoint:
        first.fit(trainer.generator, checkpoint, "generator")
    else:
        trainer.generator.load_state_dict(trainer.generator_ema.module.state_dict())
