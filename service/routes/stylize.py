"""POST /v1/stylize: uploaded images, painted in a style or in a blend of styles."""

from starlette.responses import Response

from service.engine.blends import parse_blend, style_names
from service.engine.codecs import ENCODE_BYTES
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
    weights = parse_blend(request.style, stylizer.style_names())
    opened = await threads.open_uploads(request.image, request.max_side)
    costs = [
        Cost(
            decode=upload.decode_bytes,
            kept=stylizer.kept_bytes(upload.height, upload.width),
            encode=upload.height * upload.width * ENCODE_BYTES[request.format],
        )
        for upload in opened
    ]
    with (
        stylizer.reserve([(upload.height, upload.width) for upload in opened]) as reservation,
        threads.reserve(costs, stylizer.card.name) as memory,
    ):
        painted = await stylizer.stylize(
            reservation, await threads.decode(opened, costs, memory), weights, request.strength, request.keep_color
        )
        names = [upload.name for upload in request.image]
        return await threads.encode(lambda: stylize_response(painted, names, request.format, stylizer), memory)
