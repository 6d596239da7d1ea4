"""What is told of a request by its bytes alone, before the parser has it; and the answer to one that never became any."""

from __future__ import annotations

import re

from homeport.front.exchange import STATUS

_UPGRADE = re.compile(rb"(?im)^upgrade:[^\r\n]*\r\n")


def without_upgrade(request: bytes) -> bytes:
    """A request without its offer of another protocol (Java's client offers h2c with each): not taken up, it must not end the parsing either."""
    head, end, body = request.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head + b"\r\n") + end[2:] + body


def bare_lf(head: bytes) -> bool:
    """Whether a line ends without CR, which the parser refuses."""
    return head.count(b"\n") != head.count(b"\r\n")


def is_plain(request: bytes) -> bool:
    """Whether this is one whole request without a body, framed so that nobody could read it in another way."""
    head = request.lower()
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") != 1 or bare_lf(head):
        return False
    return b"content-length" not in head and b"transfer-encoding" not in head and b"upgrade" not in head


def refusal(status: int, body: bytes) -> bytes:
    """The whole response to a request that never became one."""
    return b"%bcontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (STATUS[status], len(body), body)


def healthy(request: bytes) -> tuple[bytes, bool]:
    """The response to `GET /health`, and whether the connection is to close after it."""
    close = b"\r\nconnection: close" in request.lower() or request.startswith(b"GET /health HTTP/1.0")
    head = b"%bcontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n" % (STATUS[200], b"connection: close\r\n" if close else b"", len(_HEALTHY))
    return head + _HEALTHY, close


_HEALTHY = b'{"status":"ok"}'
