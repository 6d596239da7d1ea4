"""A message's head that was seen before: the same bytes but for the length of its body need no parsing again.

Clients and engines write every head of a kept connection from one mould; only content-length differs (and `date`,
once a second). So once the strict parser has taken a head, those like it are known by comparing bytes.
"""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(?=\d+\r\n)")
_NOT_PLAIN = (b"transfer-encoding", b"expect", b"upgrade", b"trailer")
_NOTHING = (b"\0", 0, b"")  # the mould of no head: no message begins so
PATIENCE = 8  # heads learned in a row that none after them was like: this peer writes each anew


class Heads:
    """What is known of one peer's heads."""

    __slots__ = ("_misses", "_mould", "headers")

    def __init__(self) -> None:
        self._mould = _NOTHING  # the head up to the digits of content-length, its size; the rest of the head
        self._misses = 0
        self.headers: dict[bytes, bytes] = {}  # of the head last learned; its content-length is not the next one's

    def body(self, data: bytes) -> bytes | None:
        """The body of a message that came as a whole in one read under a head seen before; None where it must be parsed."""
        before, at, after = self._mould
        if data.startswith(before):
            end = data.find(b"\r", at)
            if data.startswith(after, end):
                body = data[end + len(after) :]
                if data[at:end] == b"%d" % len(body):
                    self._misses = 0
                    return body
        return None

    def learn(self, message: bytes, headers: dict[bytes, bytes]) -> None:
        """Take in the head of a message that the parser found to be whole and sound, and whose connection lives on.

        `headers` are what it was read as, by lower-case names. RFC 9112, 6.3: with a content-length and no
        transfer-encoding, the digits alone tell where the body ends.
        """
        self._mould = _NOTHING  # what is not learned is not known: else one head would pass for another, seen longer ago
        if self._misses >= PATIENCE:
            return
        self._misses += 1
        if b"content-length" not in headers or any(name in headers for name in _NOT_PLAIN):
            return
        end = message.find(b"\r\n\r\n") + 4
        found = _LENGTH.findall(message, 0, end)
        match = _LENGTH.search(message, 0, end)
        if match is None or len(found) > 1:
            return
        at = match.end()
        self._mould = (message[:at], at, message[message.find(b"\r", at) : end])
        self.headers = headers
