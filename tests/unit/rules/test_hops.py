"""The way of a request through Homeports: a circle is seen, and ids lead to both receipts."""

from __future__ import annotations

import pytest

from homeport.errors import Looped
from homeport.rules import hops

OWN = b"ab12"


@pytest.mark.parametrize(("via", "way"), [(b"cd34", b"cd34"), (b"cd34,ef56", b"cd34, ef56"), (b"cd34, ef56", b"cd34, ef56"), (b"ab123", b"ab123")])
def test_the_way_goes_on(via: bytes, way: bytes) -> None:
    assert hops.through(via, OWN) == way


@pytest.mark.parametrize("via", [b"ab12", b"cd34, ab12", b"ab12,cd34", b", ".join([b"cd34"] * hops.MOST)])
def test_a_circle_is_refused(via: bytes) -> None:
    with pytest.raises(Looped, match="in a circle") as caught:
        hops.through(via, OWN)
    assert (caught.value.status, caught.value.code, caught.value.should_retry) == (508, "loop", False)


@pytest.mark.parametrize("via", [b"", b"AB12", b"cd34;x", b"cd34,,ef", b"c" * 33, b"\xff", b"cd34\r\nx: y"])
def test_what_is_no_way_goes_no_further(via: bytes) -> None:
    assert hops.through(via, OWN) == b""


def test_ids() -> None:
    own, theirs = "req-222222222222000000f", b"req-1111111111110000001"
    assert hops.request_id(theirs, own) == "req-1111111111110000001.222222222222000000f"
    assert hops.request_id(theirs + b".3333333333330000002", own) == "req-1111111111110000001.222222222222000000f"
    for nothing in (None, b"", b"hello", b"req-zz", b"REQ-1111111111110000001"):
        assert hops.request_id(nothing, own) == own
