"""Files that are there whole or not at all."""

import hashlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then put it in place in one step: whoever is killed leaves the old file, or none.

    What a killed writer leaves beside it is overwritten by the next that writes the same file.
    """
    # Not named by the file itself, whose name may be as long as a name can be.
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    partial = path.with_name(f".{digest}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
