"""What is served, in the protocol's words: the service, each model, its configuration, its statistics, and the index."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ganvas.tensors import ROWS, Dimension, Tensor
from service.engine.errors import NotFoundError
from service.engine.handlers.base import Handler
from service.engine.metrics import Total
from service.engine.models import models
from service.http.deadline import respond_in_time
from service.http.json_response import JsonResponse
from service.http.parsing import JSON_BYTES
from service.http.problems import TooLarge, Unavailable
from service.process.versions import versions
from service.routes.health import raise_if_hung, raise_unless_ready
from service.routes.v2.reading import parse_fields
from service.routes.v2.schemas import DATATYPES, IndexFields

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics")
NS = 10**9


def served(request: Request) -> Handler:
    """The model in a request's path.

    Raises:
        NotFoundError: no model has this name, or the model has another version; the message says which.
    """
    model = models().get(request.path_params["name"])
    version = request.path_params.get("version", model.version)
    if version != model.version:
        raise NotFoundError(f"{model.card.name} has no version {version[:64]!r}; the served version is {model.version}.")
    return model


async def live(_: Request) -> Response:
    """Whether the process works."""
    raise_if_hung()
    return JsonResponse({"live": True})


async def ready(_: Request) -> Response:
    """Whether the service accepts requests."""
    raise_unless_ready()
    return JsonResponse({"ready": True})


async def server(_: Request) -> Response:
    """Name, version and extensions of the service."""
    return JsonResponse({"name": "ganvas", "version": versions()["ganvas"], "extensions": EXTENSIONS})


async def model_ready(request: Request) -> Response:
    """Whether a model accepts requests."""
    model = served(request)
    if models().hung() == model.card.name:
        raise Unavailable(f"A batch of {model.card.name} does not end.")
    return JsonResponse({"name": model.card.name, "version": model.version, "ready": True})


async def metadata(request: Request) -> Response:
    """The inputs and outputs of a model; -1 is a size that the request chooses."""
    model = served(request)

    def described(tensor: Tensor) -> dict[str, Any]:
        return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": _shape(tensor)}

    return JsonResponse(
        {
            "name": model.card.name,
            "versions": [model.version],
            "platform": PLATFORM,
            "inputs": [described(tensor) for tensor in model.card.inputs],
            "outputs": [described(model.card.output)],
        }
    )


async def configuration(request: Request) -> Response:
    """The configuration of a model, as Triton writes it: sizes without the rows, of which there are up to max_batch_size."""
    model = served(request)

    def described(tensor: Tensor) -> dict[str, Any]:
        datatype = f"TYPE_{DATATYPES[tensor.dtype]}"
        return {"name": tensor.name, "data_type": datatype, "dims": _shape(tensor)[1:]}

    inputs = [{**described(tensor), "optional": tensor.name in model.optional} for tensor in model.card.inputs]
    return JsonResponse(
        {
            "name": model.card.name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "max_batch_size": model.largest[ROWS.name],
            "input": inputs,
            "output": [described(model.card.output)],
        }
    )


def _shape(tensor: Tensor) -> list[int]:
    return [-1 if isinstance(size, Dimension) else size for size in tensor.shape]


async def statistics(request: Request) -> Response:
    """The statistics of one model, or of all, since their versions were loaded."""
    chosen = [served(request)] if "name" in request.path_params else models().all()
    return JsonResponse({"model_stats": [_statistics(model) for model in chosen]})


def _statistics(model: Handler) -> dict[str, Any]:
    totals = model.batcher.metrics.totals

    def written(total: Total) -> dict[str, int]:
        return {"count": total.count, "ns": round(total.seconds * NS)}

    return {
        "name": model.card.name,
        "version": model.version,
        "last_inference": round((totals.last or 0) * 1000),
        "inference_count": totals.rows,
        "execution_count": totals.ran.count,
        "inference_stats": {
            "success": written(totals.served),
            "fail": written(totals.failed),
            "queue": written(totals.waited),
            "compute_infer": written(totals.ran),
        },
    }


async def index(request: Request) -> Response:
    """Every model of the models folder, and the reason why one is not served."""
    return await respond_in_time(request.url.path, _index(request))


async def _index(request: Request) -> Response:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > JSON_BYTES:
            raise TooLarge(f"The body is larger than the limit of {JSON_BYTES} bytes.")
    fields = parse_fields(IndexFields, bytes(body) or b"{}")
    found = [{"name": model.card.name, "version": model.version, "state": "READY", "reason": ""} for model in models().all()]
    names = {model["name"] for model in found}
    for file, reason in {} if fields.ready else models().refused.items():
        name = file.removesuffix(".onnx")
        if name != file and name not in names:  # files of styles are no models
            found.append({"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason})
    return JsonResponse(found)
