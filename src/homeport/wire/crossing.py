"""What lies between a caller's dialect and a backend's, as Protocols: streams and wholes on their way, and the Bridge itself."""

from __future__ import annotations

from typing import Any, Protocol

from homeport.errors import HomeportError
from homeport.vocabulary import (
    Ask,
    Route,
    Usage,
)

Whole = tuple[bytes, Usage, str | None, bool]
"""A whole reply for the caller: its bytes, its usage, its finish, and whether it is empty."""


class Streaming(Protocol):
    """A stream on its way through: see `openai.stream.Stream`."""

    begun: bool
    finish: str | None

    @property
    def done(self) -> bool:
        """Its terminal event came."""

    @property
    def events(self) -> int:
        """Events that carried content; about one token each."""

    @property
    def usage(self) -> Usage | None:
        """What the backend counted."""

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream."""

    def close(self, figures: dict[str, Any]) -> bytes:
        """The end of a whole stream. Raises BrokeMidStream where it is cut."""


class Assembling(Protocol):
    """A stream being collected: see `assemble.Assembly`."""

    @property
    def done(self) -> bool:
        """Its terminal event came."""

    @property
    def events(self) -> int:
        """Events that carried content; about one token each."""

    @property
    def usage(self) -> Usage | None:
        """What the backend counted."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BrokeMidStream."""

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply, its finish, and whether it is empty. Raises BrokeMidStream where it is cut."""


class Bridge(Protocol):
    """How one surface is answered by backends of one dialect."""

    stream_type: str  # what the backend's streams are
    out_type: str  # what the caller's streams are

    def streamable(self, ask: Ask) -> bool:
        """Whether a stream carries all that a whole reply to this request would hold."""

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        """The path and the body to send. Raises Uncarried."""

    def stream(self, ask: Ask, created: int) -> Streaming:
        """For the stream a caller asked for. `created`: seconds since the epoch."""

    def assembly(self, ask: Ask, created: int) -> Assembling:
        """For the whole reply a caller asked for, from a backend's stream."""

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        """A backend's whole reply, for the caller. Raises BrokeMidStream where it is none."""

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        """A whole reply (as `whole` gives it) as the stream its caller asked for. Raises BrokeMidStream."""

    def timed(self, body: bytes, figures: dict[str, Any]) -> bytes:
        """A whole reply for the caller with how long it took, where its dialect says that in the body."""

    def instead(self, status: int, ask: Ask) -> bytes | None:
        """What can be answered although the backend refused, or None."""

    def refusal(self, status: int, body: bytes) -> HomeportError:
        """What a refusal means."""
