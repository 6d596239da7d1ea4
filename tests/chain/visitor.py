"""Somebody out there who asks all the time, whole replies and streams, each on a connection of its own over TLS, and writes down what came of it."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from tests.caller import Caller, Heard, chat
from tests.chain import engine
from tests.chain.places import Place
from tests.chain.vps import NAME, Vps

T = TypeVar("T")
PAUSE_S = 0.1  # between two whole asks
STREAMS = 2  # at a time
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One ask and what came of it; times are perf_counter seconds."""

    streamed: bool
    began: float
    done: float
    backend: str  # whose words were seen: home | spare | ""
    outcome: str  # answered | told (cut, with an error object) | untold (cut without one) | silent (cut, and looks whole) | refused
    why: str = ""

    @property
    def took_s(self) -> float:
        return self.done - self.began


class Tls(Caller):
    """A connection to the front door."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(f"https://{address}:{port}")
        self._context = context

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24, ssl=self._context, server_hostname=NAME)
        return self


@dataclass
class Visitor:
    """`with Visitor(place, vps, key) as visitor:` asks go out from a thread that lives in that place."""

    place: Place
    vps: Vps
    key: str
    port: int = 443
    streams: int = STREAMS  # that are asked for at a time, beside whole replies
    model: str = "assistant"
    asks: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = self.vps.door.context()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="visitor", daemon=True)
        self._asking: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest(wait=False)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _live(self) -> None:
        self.place.enter()
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something out there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S * 2)

    # asks

    async def hear(self, what: str, *, streamed: bool) -> Heard:
        """One ask, and its response as it came."""
        async with asyncio.timeout(PATIENCE_S), self.connection() as caller:
            return await caller.ask(chat(what, model=self.model, stream=streamed), host=NAME, headers={"authorization": f"Bearer {self.key}"})

    def connection(self) -> Tls:
        """A new one to the front door, to be made on the visitor's loop."""
        return Tls(self.vps.place.address, self.port, self._context)

    def ask(self, what: str = "quick", *, streamed: bool = False) -> Heard:
        """The same from the test's own thread."""
        return self.on_loop(self.hear(what, streamed=streamed))

    async def _ask(self, what: str, *, streamed: bool) -> Asked:
        began = time.perf_counter()
        try:
            heard = await self.hear(what, streamed=streamed)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            return Asked(streamed, began, time.perf_counter(), "", "refused", f"{type(error).__name__}: {error}")
        said = {"quick": engine.quick, "slow": engine.slow}[what]
        outcome, backend = judged(heard, said)
        why = "" if outcome == "answered" else f"{heard.status} {heard.end} {heard.body[-300:]!r}"
        return Asked(streamed, began, time.perf_counter(), backend, outcome, why)

    # asking all the time

    def work(self) -> None:
        """Begin to ask, and go on."""

        async def begin() -> None:
            self._asking = [asyncio.ensure_future(self._go_on("quick", streamed=False))]
            self._asking += [asyncio.ensure_future(self._go_on("slow", streamed=True)) for _ in range(self.streams)]
            self._resting = False

        self.on_loop(begin())

    def rest(self, *, wait: bool = True) -> None:
        """Ask no more; what is under way is heard to its end, or left without `wait`."""

        async def end() -> None:
            self._resting = True
            if not wait:
                for task in self._asking:
                    task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=not wait)
            self._asking = []

        self.on_loop(end())

    async def _go_on(self, what: str, *, streamed: bool) -> None:
        while not self._resting:
            self.asks.append(await self._ask(what, streamed=streamed))
            await asyncio.sleep(PAUSE_S)

    def until(self, backend: str, since: float, patience_s: float = PATIENCE_S) -> float:
        """Wait for the first answer of a backend to an ask that began later than `since`; when it was there."""
        return self.first(lambda one: one.backend == backend and one.outcome == "answered" and one.began > since, patience_s).done

    def first(self, predicate: Callable[[Asked], bool], patience_s: float = PATIENCE_S) -> Asked:
        """Wait for an ask of which this holds."""
        deadline, looked = time.monotonic() + patience_s, 0
        while True:
            upto = len(self.asks)
            for one in self.asks[looked:upto]:
                if predicate(one):
                    return one
            looked = upto
            assert time.monotonic() < deadline, f"not within {patience_s:g} s; of late: {self.asks[-3:]}"
            time.sleep(0.01)


def judged(heard: Heard, said: Callable[[str], str]) -> tuple[str, str]:
    """What came of an ask and who answered it, as an Asked has them."""
    streamed = "event-stream" in heard.headers.get("content-type", "")
    text = heard.text if heard.status == 200 and (streamed or _is_json(heard.body)) else ""
    backend = text.partition(" ")[0]
    whole = heard.finished if streamed else heard.end == "complete"
    if heard.status != 200 or not backend:
        return "refused", ""
    if whole:
        return ("answered" if text == said(backend) else "silent"), backend
    return ("told" if heard.errors else "untold") if streamed else "refused", backend


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
