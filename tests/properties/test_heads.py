"""Heads seen before: whatever they let pass without parsing, the strict parser reads in the same way."""

from __future__ import annotations

import httptools
from hypothesis import given
from hypothesis import strategies as st

from homeport.wire.heads import PATIENCE, Heads


class Parsed:
    """What llhttp makes of one request."""

    def __init__(self, data: bytes) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.whole = 0
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except httptools.HttpParserError:
            self.whole = -1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


def request(body: bytes, *, length: bytes | None = None, spelled: bytes = b"Content-Length", more: bytes = b"") -> bytes:
    digits = b"%d" % len(body) if length is None else length
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\n%b: %b\r\n%bUser-Agent: t\r\n\r\n%b" % (spelled, digits, more, body)


def learned(message: bytes) -> Heads:
    heads = Heads()
    heads.learn(message, Parsed(message).headers)
    return heads


@given(st.binary(max_size=40), st.binary(max_size=3000), st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]))
def test_the_next_request_under_the_same_head_gives_its_body(first: bytes, second: bytes, spelled: bytes) -> None:
    heads = learned(request(first, spelled=spelled))
    assert heads.body(request(second, spelled=spelled)) == second
    assert heads.headers[b"user-agent"] == b"t"


@given(st.data(), st.binary(max_size=30))
def test_a_changed_byte_never_passes_as_something_else(data: st.DataObject, body: bytes) -> None:
    heads = learned(request(b"{}"))
    message = bytearray(request(body))
    at = data.draw(st.integers(0, len(message) - 1))
    change = data.draw(st.sampled_from(["set", "drop", "insert"]))
    byte = data.draw(st.sampled_from(b"\r\n 0159:-+aA\x00\xff,"))
    if change == "set":
        message[at] = byte
    elif change == "drop":
        del message[at]
    else:
        message.insert(at, byte)
    taken = heads.body(bytes(message))
    if taken is not None:
        parsed = Parsed(bytes(message))
        assert (parsed.whole, parsed.body) == (1, taken)
        assert parsed.headers | {b"content-length": b""} == heads.headers | {b"content-length": b""}


def test_what_is_not_a_whole_message_is_left_to_the_parser() -> None:
    heads = learned(request(b"{}"))
    for message in (
        request(b"abc", length=b"4"),
        request(b"abc", length=b"2"),
        request(b"abc", length=b"+3"),
        request(b"abc", length=b" 3"),
        request(b"abc", length=b"3 "),
        request(b"abc", length="٣".encode()),
        request(b"abc", length=b""),
        request(b"abc")[:-1],
        request(b"abc") + request(b"abc"),
        b"",
        b"\0",
    ):
        assert heads.body(message) is None


def test_heads_whose_body_has_another_end_are_never_learned() -> None:
    for more in (b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Trailer: x\r\n", b"X: \r\nContent-Length: 2\r\n"):
        message = request(b"{}", more=more)
        heads = Heads()
        heads.learn(message, Parsed(message).headers | {line.partition(b":")[0].lower(): b"" for line in more.splitlines()})
        assert heads.body(message) is None


def test_a_peer_that_writes_each_head_anew_is_soon_left_alone() -> None:
    heads = Heads()
    for number in range(PATIENCE + 3):
        message = request(b"{}", more=b"X-Number: %d\r\n" % number)
        assert heads.body(message) is None
        heads.learn(message, Parsed(message).headers)
    assert heads.body(message) is None


def test_a_head_that_is_not_learned_is_the_last_that_is_known() -> None:
    """Who keeps something beside what is known here, such as the route of a head, must never find an older head under it."""
    heads = learned(request(b"{}"))
    for number in range(PATIENCE + 1):
        message = request(b"{}", more=b"x-number: %d\r\n" % number)
        heads.learn(message, Parsed(message).headers)
        assert heads.body(request(b"{}")) is None
    heads = learned(request(b"{}"))
    heads.learn(b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {b"transfer-encoding": b"chunked"})
    assert heads.body(request(b"{}")) is None
