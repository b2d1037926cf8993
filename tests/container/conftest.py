from collections.abc import Iterator

import pytest

from tests.container.images import IMAGE, Mounted, Opened, build


@pytest.fixture(scope="session")
def image() -> Iterator[Opened]:
    """The target `cpu` of the Dockerfile, built and mounted."""
    build("cpu")
    with Mounted(IMAGE) as opened:
        yield opened
