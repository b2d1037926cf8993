"""The files of one painting by optimisation.

night.png            the image
night-losses.jsonl   one line an iteration: the three weighted losses
night-losses.png     the losses as a plot
night-0100.png       the image after 100 iterations, if intermediate images were asked for
"""

import json
from pathlib import Path

from PIL import Image
from torch import Tensor

from ganvas.files import write_whole
from training.errors import ConfigError
from training.images import format_of
from training.style.paint import Losses
from training.style.plots import plot_painting

_QUALITY = 95


class Painting:
    """Collects the losses and writes the files, each in one step.

    Args:
        out: the image to write.

    Raises:
        ConfigError: the file exists, its ending is not that of an image, or its folder does not exist.
    """

    def __init__(self, out: Path) -> None:
        self._format = format_of(out)
        if out.exists():
            raise ConfigError(f"{out} exists already. Name another file with --out.")
        if not out.parent.is_dir():
            raise ConfigError(f"{out.parent} is not a folder. Make it first, or name another with --out.")
        self.out = out
        self.losses: list[Losses] = []
        self._image: Tensor | None = None

    def record(self, losses: Losses, image: Tensor) -> None:
        """Record an iteration: its losses, and the image, float [1, 3, h, w] RGB in 0..255, which keeps changing later."""
        self.losses.append(losses)
        self._image = image

    def save_sample(self) -> Path:
        """Write the current image, named by its iteration."""
        return self._save(self.out.with_stem(f"{self.out.stem}-{self.losses[-1].iteration:04d}"))

    def save(self) -> Path | None:
        """Write the current image and the losses. Returns the image's path; None if there is no image yet."""
        if self._image is None:
            return None
        lines = "".join(json.dumps(losses._asdict()) + "\n" for losses in self.losses)
        write_whole(self._beside(".jsonl"), lambda partial: partial.write_text(lines))
        history = {name: [getattr(losses, name) for losses in self.losses] for name in ("content", "style", "variation")}
        write_whole(self._beside(".png"), lambda partial: plot_painting(history).save(partial, format="PNG"))
        return self._save(self.out)

    def _beside(self, ending: str) -> Path:
        return self.out.with_name(f"{self.out.stem}-losses{ending}")

    def _save(self, path: Path) -> Path:
        assert self._image is not None  # noqa: S101  set with the first losses
        levels = self._image[0].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
        write_whole(path, lambda partial: Image.fromarray(levels).save(partial, format=self._format, quality=_QUALITY))
        return path
