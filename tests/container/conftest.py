from collections.abc import Iterator

import pytest

from tests.container.images import IMAGE, Mounted, Opened, build


@pytest.fixture(scope="session")
def image() -> Iterator[Opened]:
    """The Dockerfile's cpu target, built and opened."""
    build("cpu")
    with Mounted(IMAGE) as opened:
        yield opened
