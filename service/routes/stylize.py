"""POST /v1/stylize: uploaded images, painted in a style or in a blend of styles."""

from collections.abc import Sequence

from starlette.responses import Response

from service.engine.blends import style_names
from service.engine.codecs import ENCODE_BYTES, OpenUpload
from service.engine.decoding import Cost
from service.engine.handlers.stylizer import Stylizer
from service.engine.models import Models, Wanted
from service.routes.responses import stylize_response
from service.routes.schemas import StylizeRequest
from service.routes.threads import CodecThreads


async def respond(request: StylizeRequest, models: Models, threads: CodecThreads) -> Response:
    """Paint the images of a stylize request.

    Space in the queue and memory are reserved before anything is decoded, from the sizes in the uploads' headers.
    """
    wanted = Wanted[Stylizer]("style", style_names(request.style), Stylizer.style_names)
    stylizer = models.find(Stylizer, request.model, wanted)
    style = stylizer.style(request.style)
    opened = await threads.open_uploads(request.image, request.max_side)
    costs = _costs(opened, request, stylizer)
    sizes = [(upload.height, upload.width) for upload in opened]
    with stylizer.reserve(sizes, request.brush) as reservation, threads.reserve(costs, stylizer.card.name) as memory:
        painted = await stylizer.paint(
            reservation,
            await threads.decode(lambda image: stylizer.prepare(image, request.brush), opened, costs, memory),
            style,
            request.strength,
            request.keep_color,
        )
        names = [upload.name for upload in request.image]

        def encode() -> Response:
            return stylize_response([image.finish() for image in painted], names, request.format, stylizer)

        return await threads.encode(encode, memory)


def _costs(opened: Sequence[OpenUpload], request: StylizeRequest, stylizer: Stylizer) -> list[Cost]:
    """The memory of each image."""
    costs = []
    for upload in opened:
        paints = stylizer.memory(upload.height, upload.width, request.brush)
        encode = upload.height * upload.width * ENCODE_BYTES[request.format]
        costs.append(Cost(max(upload.decode_bytes, paints.decode), paints.kept, max(encode, paints.encode)))
    return costs
