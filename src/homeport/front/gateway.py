"""What both ways in need of the gateway behind them, as Protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from homeport.errors import HomeportError
from homeport.front import pages
from homeport.ports import Out
from homeport.vocabulary import Caller, Request


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

    def other(self) -> asyncio.Protocol:
        """A protocol that serves every other page."""
