"""Thousands of pictures: as fast as the service can, in bounded memory, and once each.

`stylize_many` and `sample_many` plan the work and skip what the manifest has, `Runner` sends as much at once as the service
bears and outlives its restarts, `Manifest` remembers what was made from what.
"""

from ganvas.batches.link import Link
from ganvas.batches.runner import MOST_AT_ONCE
from ganvas.batches.sample import sample_many
from ganvas.batches.stylize import stylize_many

__all__ = ["MOST_AT_ONCE", "Link", "sample_many", "stylize_many"]
