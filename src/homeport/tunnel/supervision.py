"""Keeps a tunnel open: starts its child, sees whether anything comes through, and starts it anew where nothing does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from homeport.ports import Heard, Tunnel
from homeport.rules import backoff, reach
from homeport.rules.reach import Seen, State
from homeport.tunnel import state as states
from homeport.tunnel.child import Child
from homeport.tunnel.state import TunnelState

LOOK_S, CALM_S = 0.2, 1.0  # how often it is looked at; while it is up
ALIVE_S = 5.0  # how often the file says that this process lives
STAND_S = 30.0  # for a child to say that it stands
PACES = {"unreachable": (0.5, 10.0), "lost": (0.5, 10.0), "held": (0.5, 1.0), "refused": (2.0, 60.0), "stuck": (15.0, 15.0)}  # first and longest wait
STUCK_AFTER = 30  # tries that met a held port, in a row: whoever holds it will not let go, and each try is a login on the VPS
AFTER: dict[str, State] = {"unreachable": "down", "lost": "connecting", "held": "connecting", "refused": "refused"}


class Evidence(Protocol):
    """What is known of what comes through: a relay's, or an asking's. Times are seconds of the supervisor's clock; -inf: never."""

    place: str
    arrived_at: float
    proved_at: float
    fault: str

    @property
    def waiting(self) -> bool:
        """Whether an answer is awaited."""

    @property
    def round_trip_ms(self) -> float | None:
        """None before anything came through."""

    async def start(self) -> None:
        """Begin to look. Raises OSError."""

    async def stop(self) -> None:
        """Look no more."""

    def forget(self) -> None:
        """Another connection begins."""


class Supervisor:
    """One tunnel. `told` hears of each new state or reason; the file of `folder` has it as well. `beat` is called every few seconds while all turns."""

    def __init__(
        self,
        tunnel: Tunnel,
        evidence: Evidence,
        folder: Path,
        told: Callable[[TunnelState], None],
        *,
        probe_timeout_s: float,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.state = TunnelState(state="connecting", since=round(time.time(), 3))
        self._tunnel = tunnel
        self._evidence = evidence
        self._folder = folder
        self._told = told
        self._limit_s = probe_timeout_s
        self._beaten = beat
        self._clock = clock
        self._chance = chance
        self._heard: Heard | None = None  # why the child ended, as far as it said
        self._words = ""  # its last ones that nothing is known of
        self._connected_at: float | None = None
        self._was_up = False  # at least once
        self._failure: str | None = None  # the last one's event, since it was up
        self._failures = 0  # of that kind, in a row
        self._silent = 0  # connections that were given up for silence, in a row
        self._alive_at = float("-inf")

    async def run(self, ended: asyncio.Event) -> None:
        """Keep it open until `ended`. Raises HomeportError where its command is not there, OSError where nothing can be relayed."""
        await self._evidence.start()
        try:
            self._tell("connecting", "starting")
            while not ended.is_set():
                failure = await self._connection(ended)
                if ended.is_set():
                    break
                event = "unreachable" if failure.event == "lost" and self._connected_at is None else failure.event
                self._failures = self._failures + 1 if event == self._failure else 1
                self._failure = event
                self._tell(AFTER[event], failure.reason)
                first_s, longest_s = PACES["stuck" if event == "held" and self._failures > STUCK_AFTER else event]
                await self._pause(ended, backoff.wait_s(self._failures, self._chance(), first_s=first_s, longest_s=longest_s))
        finally:
            await self._evidence.stop()
            self._tell("down", "it was stopped")

    async def _connection(self, ended: asyncio.Event) -> Heard:
        """One run of the child, from its start to its end; what ended it."""
        self._heard, self._words, self._connected_at = None, "", None
        self._evidence.forget()
        begun = self._clock()
        try:
            child = await Child.start(self._tunnel, self._evidence.place, self._hear)
        except OSError as error:  # no memory, no process, no room: it passes
            return Heard("unreachable", f"{self._tunnel.kind} cannot be started: {error.strerror or error}")
        over, end = asyncio.ensure_future(child.ended()), asyncio.ensure_future(ended.wait())
        try:
            while True:
                await asyncio.wait([over, end], timeout=CALM_S if self.state.state == "up" else LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if end.done():
                    return Heard("lost", "it was stopped")
                if over.done():
                    return self._cause(over.result())
                given_up = self._look(begun)
                if given_up is not None:
                    return given_up
        finally:
            end.cancel()
            await child.end()
            over.cancel()
            await asyncio.gather(over, end, return_exceptions=True)

    def _cause(self, status: int) -> Heard:
        """Why the child ended by itself."""
        return self._heard or Heard("lost", f"{self._tunnel.kind} ended (status {status}){self._words and ': ' + self._words}")

    def _look(self, begun: float) -> Heard | None:
        """See how it stands; why it is given up, or None."""
        now, evidence = self._clock(), self._evidence
        if self._connected_at is None and evidence.arrived_at >= begun:
            self._connected_at = begun
        if self._connected_at is None:
            self._beat(now)
            return None if now - begun <= STAND_S else self._heard or Heard("lost", f"{self._tunnel.kind} did not get through in {STAND_S:.0f} s")
        seen = Seen(self._connected_at, evidence.arrived_at, evidence.proved_at, evidence.fault, evidence.waiting)
        verdict = reach.judge(seen, now, limit_s=self._limit_s, silent=self._silent, asks=self._tunnel.asks)
        if verdict.state == "up":
            self._silent, self._failure = 0, None
        elif seen.arrived_at >= seen.connected_at:
            self._silent = 0
        if verdict.again:
            self._silent += 1
            return Heard("lost", verdict.why)
        self._tell(verdict.state, verdict.why)
        self._beat(now)
        return None

    def _hear(self, line: str) -> None:
        heard = self._tunnel.hear(line)
        if heard is None:
            self._words = self._words if line.startswith("debug") or not line.strip() else line.strip()[:200]
        elif heard.event == "connected":
            self._connected_at = self._clock() if self._connected_at is None else self._connected_at
        elif self._heard is None or heard.event == "refused":  # the first cause; a refusal is named by its last word
            self._heard = heard

    async def _pause(self, ended: asyncio.Event, seconds: float) -> None:
        until = self._clock() + seconds
        while not ended.is_set() and (left := until - self._clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, ALIVE_S)):
                    await ended.wait()
            self._beat(self._clock())

    def _beat(self, now: float) -> None:
        """Now and then: the round trip as it is now, and that this process lives."""
        if now - self._alive_at >= ALIVE_S:
            self._alive_at = now
            self._keep(msgspec.structs.replace(self.state, round_trip_ms=self._trip(self.state.state)))
            states.alive(self._folder)
            self._beaten()

    def _trip(self, state: State) -> float | None:
        return self._evidence.round_trip_ms if state == "up" else None

    def _tell(self, state: State, why: str) -> None:
        """Note the state; whoever wants to know hears of what is new."""
        before = self.state
        new = state != before.state
        if not new and (why or None) == before.reason:
            return
        since = round(time.time(), 3) if new else before.since
        reconnects = before.reconnects + (new and state == "up" and self._was_up)
        self._was_up = self._was_up or state == "up"
        self._keep(TunnelState(state=state, reason=why or None, since=since, round_trip_ms=self._trip(state), reconnects=reconnects))
        self._told(self.state)

    def _keep(self, state: TunnelState) -> None:
        if state != self.state:
            self.state = state
            with contextlib.suppress(OSError):  # a full disk: the tunnel stands all the same
                states.write(self._folder, state)
