"""What one server-sent event says, and which are damaged."""

from __future__ import annotations

import pytest

from homeport.errors import BrokeMidStream
from homeport.wire.sse import payload


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"event: message_stop\ndata: {}\n\n", b"{}"),
        (b"id: 7\nretry: 3000\nevent: a\ndata: x\ndata: y\n\n", b"x\ny"),
        (b"data: caf\xc3\xa9\nid: 1\n\n", b"caf\xc3\xa9"),
        (b": keep-alive \xff\n\n", None),
        (b":\n\n", None),
        (b"event: ping\n\n", None),
        (b"data\n\n", None),
        (b"\n\n", None),
    ],
)
def test_what_an_event_says(event: bytes, says: bytes | None) -> None:
    assert payload(event) == says


@pytest.mark.parametrize(
    "event",
    [
        b'\x00\xff\xfe\x00: {"choices": []}\n\n',  # a reader would pass over a field that there is not, and with it over a word of the answer
        b'da\x00\xff\xfe\x00{"choices": []}\n\n',
        b"dat: {}\n\n",
        b"event: content_block_delta\nda\x00a: {}\n\n",
        b"event: content_block_delta\x00\xff\xfe\x00data: {}\n\n",
        b"event: \xc3\xa9\ndata: {}\n\n",
        b"\xef\xbb\xbfdata: {}\n\n",
        b" data: {}\n\n",
    ],
)
def test_one_that_is_damaged(event: bytes) -> None:
    with pytest.raises(BrokeMidStream, match="damaged"):
        payload(event)
