"""What a batch did."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """One source that gave no picture, and why."""

    source: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.source}: {self.error}"


@dataclass(frozen=True)
class BatchReport:
    """What a batch did.

    Attributes:
        made: pictures that were made now.
        skipped: pictures that were there already, unchanged.
        failures: what could not be made; the rest was not held up by it. The next run tries it again.
        seconds: from the first request to the last picture.
        manifest: the file that says what was made from what, one JSON object a line.
    """

    made: int
    skipped: int
    failures: tuple[Failure, ...]
    seconds: float
    manifest: Path

    @property
    def ok(self) -> bool:
        """Whether every picture is there."""
        return not self.failures

    def __str__(self) -> str:
        rate = f" ({self.made / self.seconds:.1f}/s)" if self.made and self.seconds else ""
        return f"{self.made} made{rate}, {self.skipped} there already, {len(self.failures)} failed"
