import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.http.compression import MAX_RATIO, Coding, compress, decompress, decompress_bytes, wanted_coding
from service.http.problems import TooLarge


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_decompresses_what_it_compresses(coding: Coding) -> None:
    assert decompress(compress([b"one ", memoryview(b"two")], coding), coding, limit=7) == b"one two"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_result_may_have_the_size_of_the_limit_but_no_more(coding: Coding) -> None:
    body = (gzip if coding == "gzip" else zlib).compress(bytes(1000))
    assert decompress(body, coding, limit=1000) == bytes(1000)
    with pytest.raises(TooLarge, match="limit of 999 bytes"):
        decompress(body, coding, limit=999)


@settings(deadline=None)
@given(size=st.integers(0, 300_000), byte=st.integers(0, 255))
def test_no_body_becomes_larger_than_the_known_ratio(size: int, byte: int) -> None:
    data = bytes([byte]) * size
    body = zlib.compress(data, 9)
    assert len(decompress(body, "deflate", limit=size)) <= MAX_RATIO * len(body)
    assert decompress_bytes(len(body), limit=size) >= size


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [("gzip", "gzip"), (" Deflate ", "deflate"), ("gzip, deflate", None), ("br", None), ("gzip;q=0", None), ("", None)],
)
def test_compresses_only_for_clients_that_accept_nothing_else(accepted: str, wanted: str | None) -> None:
    assert wanted_coding(Headers({"Accept-Encoding": accepted})) == wanted
