"""What a batch did."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """One photo or seed that gave no image, and why."""

    source: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.source}: {self.error}"


@dataclass(frozen=True)
class BatchReport:
    """What a batch did.

    Attributes:
        made: number of images that this call made.
        skipped: number of images that existed already, unchanged.
        failures: what could not be made. The next call tries it again.
        seconds: from the first request to the last image.
        manifest: the file that says what each image was made from, one JSON object per line.
    """

    made: int
    skipped: int
    failures: tuple[Failure, ...]
    seconds: float
    manifest: Path

    @property
    def ok(self) -> bool:
        """Whether every image exists now."""
        return not self.failures

    def __str__(self) -> str:
        rate = f" ({self.made / self.seconds:.1f}/s)" if self.made and self.seconds else ""
        return f"{self.made} made{rate}, {self.skipped} skipped, {len(self.failures)} failed"
