"""Newline-delimited JSON: cutting a byte stream into whole lines, wherever its reads were split."""

from __future__ import annotations

from homeport.errors import BrokeMidStream

MAX_LINE = 16 * 1024 * 1024  # bytes of one unfinished line we are ready to hold


class LineCutter:
    """Takes bytes as they come and gives back those that make whole lines; the rest waits for more.

    A line ends with LF. JSON holds none but between its tokens, and no engine puts one there.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """All whole lines so far that were not given back yet, as they came. Raises BrokeMidStream on an endless line."""
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n"):
            self._rest = b""
            return data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if len(self._rest) > MAX_LINE:
            raise BrokeMidStream(f"a line of more than {MAX_LINE} bytes")
        return data[:end]
