"""Whether the service works and accepts requests, as all health routes say it."""

from service.engine.models import models
from service.http.lifecycle import lifecycle
from service.http.problems import Unavailable
from service.routes.threads import codec_threads
from service.settings import settings


def raise_if_hung() -> None:
    """Check that this process works.

    Raises:
        Unavailable: a device hangs in a batch, or a thread hangs in an image.
    """
    if hung := models().hung():
        raise Unavailable(f"A batch of {hung} has run for more than {settings().hang_s:g} s. The device appears to hang.")
    if hung := codec_threads().hung():
        raise Unavailable(f"{hung} has taken more than {settings().hang_s:g} s for one image or response. It appears to hang.")


def raise_unless_ready() -> None:
    """Check that the service accepts requests.

    Raises:
        Unavailable: it is shutting down, it hangs, or it serves no model.
    """
    if lifecycle().draining:
        raise Unavailable("The service is shutting down.")
    raise_if_hung()
    if not models().all():
        raise Unavailable("No model is served: no file in the models folder can be loaded. /v1/models says why.")
