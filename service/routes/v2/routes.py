"""The routes of the Open Inference Protocol."""

from collections.abc import Iterator

from starlette.routing import Route

from ganvas import api
from service.routes.v2 import models
from service.routes.v2.infer import infer


def _routes() -> Iterator[Route]:
    yield Route(api.V2, models.server)
    yield Route(api.V2_LIVE, models.live)
    yield Route(api.V2_READY, models.ready)
    yield Route(api.V2_INDEX, models.index, methods=["POST"])
    yield Route(api.V2_STATISTICS, models.statistics)  # before a model of this name
    for path in (api.V2_MODEL, api.V2_VERSION):
        yield Route(path, models.metadata)
        yield Route(f"{path}/ready", models.model_ready)
        yield Route(f"{path}/config", models.configuration)
        yield Route(f"{path}/stats", models.statistics)
        yield Route(f"{path}/infer", infer, methods=["POST"])


ROUTES = tuple(_routes())
