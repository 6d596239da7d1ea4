"""Server-sent events: cutting a byte stream into whole events, wherever its reads were split."""

from __future__ import annotations

import re

from homeport.errors import BrokeMidStream

MAX_EVENT = 16 * 1024 * 1024  # bytes of one unfinished event we are ready to hold
_SOUND = re.compile(rb"(?:(?:data(?::[^\n]*)?|(?:event|id|retry)(?::[\t -~]*)?|:[^\n]*|)\n)+")  # nothing but fields there are, comments and empty lines


class EventCutter:
    """Takes bytes as they come and gives back those that make whole events; the rest waits for more.

    An event ends with an empty line (WHATWG HTML, "Server-sent events"): LF LF, or CR LF CR LF.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """All whole events so far that were not given back yet, with LF for line ends. Raises BrokeMidStream on an endless event."""
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n\n"):
            self._rest = b""
        else:
            end = data.rfind(b"\n\n") + 2
            if b"\r" in data:
                end = max(end, data.rfind(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0)
            if end < 2:
                end = 0
            self._rest = data[end:]
            if len(self._rest) > MAX_EVENT:
                raise BrokeMidStream(f"an event of more than {MAX_EVENT} bytes")
            data = data[:end]
        if b"\r" in data:  # never inside JSON; the same events with the other line ending
            data = data.replace(b"\r\n", b"\n")
        return data.rstrip(b"\n") + b"\n\n" if data.endswith(b"\n\n\n") else data  # a further empty line says nothing


def payload(event: bytes) -> bytes | None:
    """The joined `data` lines of one event; None for a comment or an event without data.

    Raises BrokeMidStream where a line is neither a field of such an event nor a comment. A reader may pass over those; but no engine
    writes any, so there a line was damaged, and what it said would be missing from the answer.
    """
    if event.startswith(b"data: ") and event.find(b"\n") >= len(event) - 2:
        return event[6:].rstrip(b"\n")
    if _SOUND.fullmatch(event) is None:
        raise BrokeMidStream("a line of the stream is damaged")
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
