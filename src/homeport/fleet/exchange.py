"""One member of a fleet and its store: what changed goes out in one message, the answer comes back, then the next; news come in between.

Whatever happens to the store, nobody waits for it longer than PATIENCE_S: then this member is away from it, goes on by itself,
and tries to come back in the background. It never raises and never ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec

from homeport.fleet.apart import Hinted
from homeport.fleet.rows import Level, Row
from homeport.fleet.store import Away, Store

PATIENCE_S = 0.25  # for an answer of the store; less, and a busy machine looks like an absent store
LATE_S = 0.05  # a clock that rings so late says that this process was busy, not the store
CONNECTED_S = 0.5  # a start waits for the store for so long
SETTLE_S = 0.75  # a store that has lost what it knew gives nothing out for so long, until all have said what they hold
BACK_OFF_S = (0.05, 0.4)  # between two tries to come back, first and longest: everybody is back before a store has settled
LAZY_S = 0.002  # a place that nobody waits for is given back with the next ask, or after so long
POLL_S = 0.25  # how often who waits asks again, though nobody rang
SIBLINGS_S = 0.02  # likewise away from the store, where the workers of a gateway do not ring each other
LONGEST_BEAT_S = 2.0
NEVER = "it has not answered yet"
SETTLING = "it is new, or has lost what it knew, and hears first what everybody holds"
LEFT = "this gateway has left"

log = logging.getLogger("homeport")
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class Exchange:
    """Fulfils rows.Company. `member` is "gateway:worker", the gateway's part the same for all of its workers; `gateways` is how many are taken to be there.

    `hinted` is called with what others hint, `counted` when the number of gateways is another.
    """

    def __init__(self, store: Store, member: str, ttl_s: float, gateways: int, *, hinted: Hinted, counted: Callable[[int], None]) -> None:
        self.together = False
        self.gateways = gateways
        self.members = 0
        self.reason = NEVER
        self.since = time.time()
        self.round_trip_s: float | None = None  # moving average
        self.rows: dict[str, Row] = {}
        self.levels: dict[str, Level] = {}
        self.first = asyncio.Event()  # the first try to reach the store is over
        self._store = store
        self._member = member
        self._ttl_s = ttl_s
        self._beat_s = min(LONGEST_BEAT_S, ttl_s / 5)
        self._hinted = hinted
        self._counted = counted
        self._number = 0  # of the last message
        self._dirty: dict[str, Row] = {}
        self._spent: dict[str, Level] = {}
        self._heard: dict[str, tuple[float, float]] = {}  # levels of keys that have not asked here: until when, time.monotonic()
        self._hints: list[tuple[str, list[str]]] = []
        self._claims: dict[str, tuple[int, asyncio.Future[bool]]] = {}
        self._claimed: dict[str, tuple[int, asyncio.Future[bool]]] = {}  # those that were sent
        self._work = asyncio.Event()
        self._settling = False
        self._again: asyncio.TimerHandle | None = None
        self._lazy: asyncio.TimerHandle | None = None  # until what is not urgent goes out
        self._task: asyncio.Task[None] | None = None
        self._leaving = False
        self._full_at = 0.0  # when the last message that told all went out; time.monotonic()
        self._full = False  # whether the last one did

    # what happens here

    def soon(self, row: Row, *, urgent: bool = True) -> None:
        self._dirty[row.name] = row
        if urgent:
            self._work.set()
        elif self._lazy is None and self._task is not None:
            self._lazy = asyncio.get_running_loop().call_later(LAZY_S, self._work.set)

    def again(self) -> None:
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(SIBLINGS_S, self._look)

    def add(self, row: Row) -> None:
        """Count this one too."""
        self.rows[row.name] = row
        self.soon(row)

    def level(self, level: Level) -> None:
        """Count this key too."""
        self.levels[level.name] = level
        until = self._heard.pop(level.name, None)
        if until is not None:
            now = time.monotonic()
            level.heard((until[0] - now, until[1] - now), now, anew=False)

    def spend(self, level: Level) -> None:
        """A key has used something."""
        self._spent[level.name] = level
        self._work.set()

    def hint(self, backend: str, models: list[str]) -> None:
        """Tell the others, where the store is there."""
        if self.together:
            self._hints.append((backend, models))
            self._work.set()

    async def once(self, name: str, for_s: float) -> bool:
        """Whether nobody else has said so for the time; True where the store cannot be asked."""
        if not self.together:
            return True
        if name in self._claims or name in self._claimed:
            return False
        claim: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._claims[name] = (max(1, int(for_s * 1000)), claim)
        self._work.set()
        return await claim

    def start(self) -> None:
        """Look for the store from now on."""
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """It ends only where it is to; whatever else ended it is a fault of ours, and it begins anew."""
        if self._leaving or task.cancelled() or task.exception() is None:
            return
        log.error("the exchange with the fleet's store failed", exc_info=task.exception())
        self._parted("a fault of this gateway's own, which its log tells")
        asyncio.get_running_loop().call_later(BACK_OFF_S[1], self._begin_anew)

    def _begin_anew(self) -> None:
        if not self._leaving:
            self.start()

    async def stop(self) -> None:
        """Say good-bye, and let go."""
        if self._again is not None:
            self._again.cancel()
        task, self._task = self._task, None
        if task is None:
            return
        self._leaving = True
        self._work.set()
        if self.members:  # it is connected, and says good-bye
            await asyncio.wait([task], timeout=2 * PATIENCE_S)
        task.cancel()
        await asyncio.wait([task])
        self._parted(LEFT)

    # the exchange

    async def _run(self) -> None:
        wait_s = BACK_OFF_S[0]
        while not self._leaving:
            try:
                await self._store.open()
                await self._round()  # who we are, and all that we hold
                wait_s = BACK_OFF_S[0]
                await self._together()
            except Away as error:
                self._parted(str(error))
            finally:
                self.members = 0
                self.first.set()
                await self._store.close()
            if self._leaving:
                return
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - a spread, no secret
            wait_s = min(wait_s * 2, BACK_OFF_S[1])

    async def _together(self) -> None:
        """While the store answers. Raises Away."""
        loop = asyncio.get_running_loop()
        news = asyncio.ensure_future(self._listen())
        news.add_done_callback(lambda _: self._work.set())
        self.first.set()
        try:
            while True:
                beat = loop.call_later(self._next_s(), self._work.set)
                await self._work.wait()
                beat.cancel()
                if news.done():
                    news.result()
                if self._leaving:
                    async with clock(PATIENCE_S):
                        await self._store.call(self._said(bye=True))
                    raise Away(LEFT)
                await self._round()
        finally:
            news.cancel()
            await asyncio.wait([news])

    def _next_s(self) -> float:
        """When to speak, though nothing happens here."""
        if self._settling:
            return SETTLE_S / 10
        return min(self._beat_s, POLL_S) if any(row.wants for row in self.rows.values()) else self._beat_s

    async def _round(self) -> None:
        """Say what is to be said, and take in the answer. Raises Away."""
        said = self._message()
        begun = time.perf_counter()
        async with clock(PATIENCE_S):
            answer = await self._store.call(said)
        took_s = time.perf_counter() - begun
        self.round_trip_s = took_s if self.round_trip_s is None else self.round_trip_s + 0.1 * (took_s - self.round_trip_s)
        with understood():
            self._answered(_decode(answer))

    def _message(self) -> bytes:
        now = time.monotonic()
        self._full = not self.together or now >= self._full_at + self._beat_s  # a heart's beat, and who comes back, tells all
        if self._full:
            self._full_at = now
            self._dirty.update((name, row) for name, row in self.rows.items() if row.given != row.back or (row.views and not row.prompt))
        elif not self._dirty:  # nobody rang for a while
            self._dirty.update((name, row) for name, row in self.rows.items() if row.wants)
        self._number += 1
        self._work.clear()
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None
        spent, self._spent = self._spent, {}
        hints, self._hints = self._hints, []
        self._claimed, self._claims = self._claims, {}
        levels = [(name, *level.unsent) for name, level in spent.items()]
        for level in spent.values():
            level.unsent = [0.0, 0.0]
        said = self._said(
            p=[row.message(now) for row in self._dirty.values()],
            l=levels,
            c=[(name, ms) for name, (ms, _) in self._claimed.items()],
            h=hints,
        )
        self._dirty = {}
        return said

    def _said(self, **more: Any) -> bytes:
        head = {"m": self._member, "n": self._number, "ttl": int(self._ttl_s * 1000), "settle": int(SETTLE_S * 1000), "bye": False}
        return _encode({**head, "p": [], "l": [], "c": [], "h": [], **more})

    def _answered(self, answer: dict[str, Any]) -> None:
        if not (answer["known"] or self._full):  # it has forgotten us: all is told with the next message
            self._full_at = 0.0
            self._work.set()
        self.members = answer["members"]
        self._count(answer["gateways"])
        self._settling = answer["settling"] > 0
        if self.together or (self._settling and self.reason != NEVER):  # who was away keeps to its share until all have said what they hold
            self.reason = SETTLING if self._settling else ""
        else:
            self._joined()
        for name, *told in answer["p"]:
            self.rows[name].answered(*told)
        self._levels(answer["l"])
        claims, self._claimed = self._claimed, {}
        for name, (_, claim) in claims.items():
            if not claim.done():
                claim.set_result(name in answer["c"])
        if self._dirty:
            self._work.set()

    def _levels(self, told: list[tuple[str, float, float, int]]) -> None:
        now = time.monotonic()
        for name, requests, tokens, anew in told:
            level = self.levels.get(name)
            if level is not None:
                level.heard((requests, tokens), now, anew=bool(anew))
            elif len(self._heard) < 10_000:
                self._heard[name] = (0.0, 0.0) if anew else (now + requests, now + tokens)

    # news

    async def _listen(self) -> None:
        while True:
            news = await self._store.hear()
            with understood():
                self._heard_news(_decode(news))

    def _heard_news(self, news: dict[str, Any]) -> None:
        if "anew" in news:  # it has lost what it knew: say at once what is held
            self._full_at = 0.0
            self._work.set()
            for known in self.rows.values():
                known.lost()
        if "gateways" in news:
            self._count(news["gateways"])
        if news["m"] == self._member:
            return
        for name, taken, waiting, version, granted in news["p"]:
            row = self.rows.get(name)
            if row is not None:
                row.heard(taken, waiting, version, granted.get(self._member) if isinstance(granted, dict) else None)
        self._levels(news["l"])
        for backend, models in news["h"]:
            self._hinted(backend, models)

    # together and away

    def _count(self, gateways: int) -> None:
        if gateways and gateways != self.gateways:
            self.gateways = gateways
            self._counted(gateways)

    def _joined(self) -> None:
        self.together, self.reason, self.since = True, "", time.time()
        log.info("the fleet's store answers: places and limits are counted over %d gateways", self.gateways)
        for row in self.rows.values():
            row.changed()

    def _parted(self, reason: str) -> None:
        claims, self._claims, self._claimed = {**self._claimed, **self._claims}, {}, {}
        for _, claim in claims.values():
            if not claim.done():
                claim.set_result(True)
        told = not self.together and self.reason != NEVER
        if self.together:
            self.since, self.round_trip_s = time.time(), None
        self.together, self.reason = False, reason
        if not (told or self._leaving):
            log.warning("the fleet's store cannot be used: %s. This gateway keeps to its share, one of %d", reason, self.gateways)
        for row in self.rows.values():
            row.forget()
        self._look()

    def _look(self) -> None:
        """Away: let those who wait take of what is free here."""
        self._again = None
        if not self.together:
            for row in self.rows.values():
                row.look()
            if any(row.wants for row in self.rows.values()) and self._task is not None:
                self.again()


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Raises Away where what the store says is not what a member of a fleet says."""
    try:
        yield
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Away("it says what no gateway says; something else uses its names") from error


@contextlib.asynccontextmanager
async def clock(seconds: float) -> AsyncIterator[None]:
    """Raises Away where what is done inside takes longer, and this process was there to see it."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def wind(left: int) -> None:
        timers.append(loop.call_later(seconds, ring, loop.time() + seconds, left))

    def ring(due: float, left: int) -> None:
        if left and loop.time() - due > LATE_S:
            wind(left - 1)
        else:
            limit.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as limit:
            wind(2)
            try:
                yield
            finally:
                for timer in timers:
                    timer.cancel()
    except TimeoutError:
        raise Away(f"it does not answer within {seconds:g} s") from None
