"""The files of one painting: the picture, and beside it what happened on the way.

night.png            the picture
night-losses.jsonl   a line an iteration: the three weighted losses
night-losses.png     the same as a plot
night-0100.png       the picture after 100 iterations, where intermediate ones were asked for
"""

import json
from pathlib import Path

from PIL import Image
from torch import Tensor

from ganvas.files import write_whole
from training.errors import ConfigError
from training.plots import plot_painting
from training.style.paint import Losses

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_QUALITY = 95


class Painting:
    """Gathers the losses and writes the files, each whole or not at all.

    Args:
        out: the picture to write.

    Raises:
        ConfigError: it exists, its ending is none of `FORMATS`, or its folder does not exist.
    """

    def __init__(self, out: Path) -> None:
        if out.suffix.lower() not in FORMATS:
            raise ConfigError(f"{out} is no picture that can be written. Let --out end in {', '.join(FORMATS)}.")
        if out.exists():
            raise ConfigError(f"{out} exists already. Name another file with --out.")
        if not out.parent.is_dir():
            raise ConfigError(f"{out.parent} is no folder. Make it first, or name another with --out.")
        self.out = out
        self.losses: list[Losses] = []
        self._picture: Tensor | None = None

    def seen(self, losses: Losses, picture: Tensor) -> None:
        """Note the losses of an iteration, and the picture as it goes on changing: float [1, 3, h, w] RGB in 0..255."""
        self.losses.append(losses)
        self._picture = picture

    def save_sample(self) -> Path:
        """Write the picture as it is now, named by its iteration."""
        return self._save(self.out.with_stem(f"{self.out.stem}-{self.losses[-1].iteration:04d}"))

    def save(self) -> Path | None:
        """Write the picture as it is now, and its losses; None where there is none yet."""
        if self._picture is None:
            return None
        lines = "".join(json.dumps(losses._asdict()) + "\n" for losses in self.losses)
        write_whole(self._beside(".jsonl"), lambda partial: partial.write_text(lines))
        history = {name: [getattr(losses, name) for losses in self.losses] for name in ("content", "style", "variation")}
        write_whole(self._beside(".png"), lambda partial: plot_painting(history).save(partial, format="PNG"))
        return self._save(self.out)

    def _beside(self, ending: str) -> Path:
        return self.out.with_name(f"{self.out.stem}-losses{ending}")

    def _save(self, path: Path) -> Path:
        assert self._picture is not None  # noqa: S101  there is a line of losses
        levels = self._picture[0].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
        kind = FORMATS[path.suffix.lower()]
        write_whole(path, lambda partial: Image.fromarray(levels).save(partial, format=kind, quality=_QUALITY))
        return path
