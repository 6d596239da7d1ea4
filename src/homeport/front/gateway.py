"""What both ways in need of the gateway behind them, as Protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from homeport.errors import HomeportError
from homeport.front import pages
from homeport.ports import Out, Siblings
from homeport.vocabulary import Caller, Request

if TYPE_CHECKING:
    from homeport.tasks.served import Served


class Live(Protocol):
    """Something a caller is served by: a connection, or one request of the twin."""

    def drain(self) -> None:
        """Answer what is under way, then close; an idle connection closes now."""

    def leave(self, error: HomeportError) -> None:
        """End the journey under way with an error."""

    def revoke(self, names: set[str]) -> None:
        """Only these keys are left: an answer for another one ends now."""

    def sweep(self, now: float) -> None:
        """Close what was quiet for too long."""


class Clock(Protocol):
    """A coarse clock."""

    now: float  # the loop's time at its last sweep, seconds


After = Callable[[Callable[[bytes], object], bytes], None]  # ports.Store.after: send what may go out only once its receipt is on record


class Gateway(pages.Overview, Protocol):
    """What a connection needs of the gateway behind it."""

    max_body: int  # bytes
    public: bool  # whether other machines can connect
    draining: bool
    connections: set[Live]

    @property
    def clock(self) -> Clock:
        """What time it is, roughly."""

    after: After

    def serve(self, request: Request, out: Out) -> Coroutine[Any, Any, None]:
        """The journey of one request."""

    @property
    def keyless(self) -> bool:
        """Whether no key exists, so that only this machine may ask."""

    def greet(self, headers: dict[bytes, bytes]) -> Caller:
        """Check who asks before anything is read of the body: the key, or without keys whether it comes from this machine.

        Raises Unauthenticated or Forbidden.
        """

    @property
    def tasks(self) -> Served:
        """The tasks that are served."""

    @property
    def siblings(self) -> Siblings:
        """The other workers."""

    async def totals(self) -> Mapping[str, int]:
        """Settled Asks by outcome, of all workers since the start."""

    async def metrics(self, accept: str, names: Sequence[str]) -> tuple[bytes, str]:
        """`/metrics` in the form that an Accept header asks for, and its content type; only series of these names, where there are any."""

    def wanted(self) -> None:
        """A gateway in front of this one would have asked, and did not since something here is away: it is woken where it can be."""

    def other(self) -> asyncio.Protocol:
        """A protocol that serves every other page."""
