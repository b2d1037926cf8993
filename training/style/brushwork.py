"""Measures the brushwork of a stylizer: how near it comes to the strokes of the paintings, and what patterns it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table
from torch import Tensor

from ganvas.card import Metric
from training.console import track
from training.metrics.brushwork import coarse, lattice, relative_error, smooth_sky
from training.style.losses import gram_matrix
from training.style.painter import Painter
from training.text import count_of
from training.vgg import VggFeatures

_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_CONTENT_LAYER = "relu4_2"
LAYERS = (*_STYLE_LAYERS, _CONTENT_LAYER)
"""Of VGG-16; the same for every config, so that networks with different objectives can be compared."""

_EDGE = 8  # pixels of a shifted photo that are not compared


@dataclass(frozen=True)
class Brushwork:
    """The brushwork of every style. All arrays have one row a style; means over the photos.

    Attributes:
        size: longer side of the photos in pixels.
        photos: how many.
        styles: names.
        gram: float [k, 5], relative error of the Gram matrices by layer.
        photo_gram: the same of the unpainted photos.
        content: float [k], relative error of the content.
        lattice_4, lattice_2: float [k], grey levels, in the painting of a smooth sky.
        coarse: float [k], of the same; divided by that of the style's own painting.
        steadiness: float [k], mean difference of the painting if the photo is shifted by a pixel, in grey levels.
    """

    size: int
    photos: int
    styles: tuple[str, ...]
    gram: npt.NDArray[np.float64]
    photo_gram: npt.NDArray[np.float64]
    content: npt.NDArray[np.float64]
    lattice_4: npt.NDArray[np.float64]
    lattice_2: npt.NDArray[np.float64]
    coarse: npt.NDArray[np.float64]
    steadiness: npt.NDArray[np.float64]

    @property
    def method(self) -> str:
        """How it was measured, as the card states it."""
        return (
            f"VGG-16; mean over {count_of(self.photos, 'photo')} in {count_of(len(self.styles), 'style')}; relative errors are "
            "mean squared differences over the mean square of the painting's Gram matrix, or of the photo's features at "
            f"{_CONTENT_LAYER}; lattice and coarse share: of a smooth sky of 512 px, the worst style"
        )

    def table(self) -> Table:
        """One row a style, and the mean."""
        table = Table(title=f"Brushwork at {self.size} pixels")
        table.add_column("", no_wrap=True)
        for heading in ("Gram", _STYLE_LAYERS[-1], "Content", "Lattice", "Coarse", "Shift"):
            table.add_column(heading, justify="right", no_wrap=True)
        rows = np.stack(
            [
                self.gram.mean(axis=1), self.gram[:, -1], self.content, np.maximum(self.lattice_4, self.lattice_2), self.coarse,
                self.steadiness,
            ],
            axis=1,
        )  # fmt: skip
        for name, row in zip((*self.styles, "Mean"), (*rows, rows.mean(axis=0)), strict=True):
            table.add_row(name, *(f"{value:.3g}" for value in row))
        return table

    def metrics(self) -> tuple[Metric, ...]:
        """For the card, unrounded. What real images score: the unpainted photos."""
        at = f"at {self.size} px"
        photos = self.photo_gram.mean(axis=0)
        values: dict[str, tuple[float, float | None]] = {
            f"Relative Gram error {at}": (self.gram.mean(), photos.mean()),
            **{
                f"Relative Gram error of {layer} {at}": (self.gram[:, i].mean(), photos[i])
                for i, layer in enumerate(_STYLE_LAYERS)
            },
            f"Relative content error {at}": (self.content.mean(), 0),
            "Lattice of 4 px, grey levels": (self.lattice_4.max(), 0),
            "Lattice of 2 px, grey levels": (self.lattice_2.max(), 0),
            "Coarse share, of the painting's": (self.coarse.min(), 1),
            f"Change after a shift of 1 px {at}, grey levels": (self.steadiness.mean(), 0),
        }
        return tuple(
            Metric(name=name, value=float(value), real=None if real is None else float(real), method=self.method)
            for name, (value, real) in values.items()
        )


@torch.no_grad()
def measure_brushwork(
    painter: Painter, photos: Sequence[Tensor], paintings: Mapping[str, Tensor], vgg: VggFeatures, size: int
) -> Brushwork:
    """Paint each photo, and a smooth sky, in each style.

    Args:
        painter: the network.
        photos: float [1, 3, h, w] in whole levels 0..255 each, with sides that the network takes.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255; at least the network's styles.
        vgg: has `LAYERS`.
        size: of the photos.
    """
    device = vgg.means.device
    sky = smooth_sky()
    kept = [vgg(photo.to(device), LAYERS) for photo in photos]
    rows: list[list[npt.NDArray[np.float64]]] = []
    for k, style in enumerate(track(painter.styles, f"Measuring brushwork at {size} pixels", unit="style")):
        weights = torch.eye(len(painter.styles))[k]
        target = {layer: gram_matrix(features) for layer, features in vgg(paintings[style].to(device), _STYLE_LAYERS).items()}
        errors, contents, changes, plain = [], [], [], []
        for photo, features in zip(photos, kept, strict=True):
            painted = _painted(painter, photo, weights)
            found = vgg(painted.to(device), LAYERS)
            errors.append(_gram_errors(found, target))
            plain.append(_gram_errors(features, target))
            contents.append(relative_error(found[_CONTENT_LAYER].float(), features[_CONTENT_LAYER].float()).item())
            again = _painted(painter, photo.roll(1, 3), weights).roll(-1, 3)
            changes.append((painted - again)[..., _EDGE:-_EDGE].abs().mean().item())
        in_sky = _painted(painter, torch.tensor(sky).permute(2, 0, 1)[None].float(), weights)
        image = in_sky[0].permute(1, 2, 0).byte().numpy()
        own = paintings[style][0].permute(1, 2, 0).byte().numpy()
        share = coarse(image) / coarse(own)
        numbers = [np.mean(contents), lattice(image, 4), lattice(image, 2), share, np.mean(changes)]
        rows.append([np.mean(errors, axis=0), np.mean(plain, axis=0), np.array(numbers)])
    gram, photo_gram, others = (np.stack(each) for each in zip(*rows, strict=True))
    return Brushwork(size, len(photos), painter.styles, gram, photo_gram, *others.T)


def _painted(painter: Painter, photo: Tensor, weights: Tensor) -> Tensor:
    """Float [1, 3, h, w] in whole levels, on the CPU."""
    return painter.paint(photo.byte().permute(0, 2, 3, 1), weights[None]).permute(0, 3, 1, 2).float().cpu()


def _gram_errors(features: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> list[float]:
    return [relative_error(gram_matrix(features[layer]), target[layer]).item() for layer in _STYLE_LAYERS]
