"""Thousands of images: as fast as the service accepts them, in bounded memory, and each image once.

`stylize_many` and `sample_many` plan the requests and skip what the manifest lists. `Runner` sends them, follows the service's
limits and survives its restarts. `Manifest` records what each image was made from.
"""

from ganvas.batches.runner import MAX_CONCURRENCY
from ganvas.batches.sample import sample_many
from ganvas.batches.send import Send
from ganvas.batches.stylize import stylize_many

__all__ = ["MAX_CONCURRENCY", "Send", "sample_many", "stylize_many"]
