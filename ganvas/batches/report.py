"""What a batch did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganvas.files import write_whole
from ganvas.text import printable

FAILURES = "failures.txt"


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
        failures_file: lists all failures, one per line; None if there are none.
        left_out: path -> reason for each file of the folders that is not read as a photo.
    """

    made: int
    skipped: int
    failures: tuple[Failure, ...]
    seconds: float
    manifest: Path
    failures_file: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every image exists now."""
        return not self.failures

    def __str__(self) -> str:
        rate = f" ({self.made / self.seconds:.1f}/s)" if self.made and self.seconds else ""
        return f"{self.made} made{rate}, {self.skipped} skipped, {len(self.failures)} failed"


def write_failures(folder: Path, failures: Sequence[Failure]) -> Path | None:
    """List the failures of a batch in `failures.txt`, one per line. Without failures, remove the list of an earlier batch.

    Raises:
        OSError: the list cannot be written.
    """
    path = folder / FAILURES
    if not failures:
        path.unlink(missing_ok=True)
        return None
    write_whole(path, "".join(f"{printable(str(failure))}\n" for failure in failures).encode())
    return path
