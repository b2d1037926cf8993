"""Multipart forms: Starlette's parser with files in memory, and files whose name is written only as `filename*=`."""

import contextlib
import re
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.http.problems import Malformed

MAX_PARAMETERS = 32
"""Most semicolons in a header that is parsed. Parsing holds the event loop, for microseconds a parameter."""

# Possessive: otherwise, a name of spaces takes time that grows with the square of its length.
_EXTENDED_NAME = re.compile(rb";\s*+filename\*\s*+=\s*+\"?+[^';\"]*+'[^';\"]*+'([^;\"]*+)", re.IGNORECASE)


async def read_form(request: Request) -> FormData:
    """Read the form of a request. The caller closes it.

    Raises:
        Malformed: the body is not a multipart form.
    """
    try:
        async with contextlib.aclosing(request.stream()) as stream:
            return await _Parser(request.headers, stream).parse()
    except MultiPartException as error:
        raise Malformed(f"The body is not a valid multipart form: {error.message.removesuffix('.')}.") from None


class _Parser(MultiPartParser):
    spool_max_size = 0  # Files stay in memory, where `RequestLimits` counts them. A full disk does not matter.

    def on_headers_finished(self) -> None:
        """Give a part that has only `filename*=` a `filename`, which makes it a file.

        RFC 7578 forbids this form, so python-multipart ignores it. Older libraries send it for names that are not ASCII. The
        charset in it is not read: it is UTF-8 in practice, and the name is only a name.
        """
        disposition = self._current_part.content_disposition or b""
        if disposition.count(b";") > MAX_PARAMETERS:
            raise MultiPartException(f"A Content-Disposition has more than {MAX_PARAMETERS} parameters.")
        extended = _EXTENDED_NAME.search(disposition)
        if extended and b"filename" not in parse_options_header(disposition)[1]:
            name = re.sub(rb'["\\\x00-\x1f]', b"_", unquote_to_bytes(extended[1]))
            self._current_part.content_disposition = disposition + b'; filename="' + name + b'"'
        super().on_headers_finished()
