"""The architectures that a config can name. A new architecture is one file beside this one and one line here."""

from training.gan.architectures import dcgan, dcgan_nearest, dcgan_residual, mlp, msg, progressive, style
from training.gan.architectures.base import GanArchitecture

GANS: dict[str, GanArchitecture] = {
    "dcgan": dcgan.DCGAN,
    "dcgan-nearest": dcgan_nearest.DCGAN_NEAREST,
    "dcgan-residual": dcgan_residual.DCGAN_RESIDUAL,
    "mlp": mlp.MLP,
    "msg": msg.MSG,
    "progressive": progressive.PROGRESSIVE,
    "style": style.STYLE,
}
