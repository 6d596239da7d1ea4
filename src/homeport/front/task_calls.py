"""Calls of tasks on both ways in: `POST /tasks/{name}` (whole, or as events) and `POST /scatter`, each driven as a journey is."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from homeport.errors import ClientLeft, HomeportError, Malformed, TaskFailed
from homeport.front import pages
from homeport.front.envelopes import told
from homeport.front.gateway import Gateway
from homeport.journey.accept import error_head
from homeport.ports import Out
from homeport.runner import Runner
from homeport.vocabulary import Caller, Card, Standing

if TYPE_CHECKING:
    from homeport.tasks.declared import Task
    from homeport.tasks.in_process import InProcess
    from homeport.tasks.plan import Outcome

log = logging.getLogger("homeport")

Headers = dict[bytes, bytes]
Over = Callable[[BaseException | None], None]
OURS = ("x-request-id", "x-homeport-backend", "x-homeport-model", "x-homeport-location", "x-homeport-attempts", "x-tok-per-s", "x-gen-time", "x-tokens")
PREFIX, SCATTER = "/tasks/", "/scatter"
_JSON = "content-type: application/json\r\n"
_EVENTS = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"


class Asked(Struct, forbid_unknown_fields=True):
    """The body of `POST /tasks/{name}`."""

    input: dict[str, Any]
    stream: bool = False


class ScatterAsked(Struct, forbid_unknown_fields=True):
    """The body of `POST /scatter`."""

    prompt: str


class Calling(Runner):
    """One call under way. Ended before its time, or failed, it tells the caller why; the model stops."""

    __slots__ = ("_asker", "_headers", "_out", "_over", "_path", "_why")

    def __init__(
        self, gateway: Gateway, path: str, query: Mapping[str, str], headers: Headers, body: bytes, caller: Caller, out: Out, over: Over | None = None
    ) -> None:
        """`path` is `/tasks/NAME` or `/scatter`. `over` is told once it is over."""
        name = path.removeprefix(PREFIX)
        asker = self._asker = _asker(gateway, caller, headers)
        super().__init__(_scatter(gateway, query, body, asker, out) if path == SCATTER else _task(gateway, name, body, asker, out), self._ended)
        self._path, self._headers, self._out, self._over = path, headers, out, over
        self._why: BaseException | None = None
        out.caller = caller

    def leave(self, error: BaseException) -> None:
        """End it; what it is in the middle of must not take the error for one of a model's."""
        if not self.finished and self._why is None:
            self._why = error
            if isinstance(error, HomeportError):
                self._asker.why = error
            super().leave(asyncio.CancelledError())

    def _ended(self, failure: BaseException | None) -> None:
        if failure is not None and not isinstance(failure, (Exception, asyncio.CancelledError)):
            raise failure
        why = self._why or failure
        if failure is not None and not isinstance(why, ClientLeft):
            self._tell(why)
        if self._over is not None:
            self._over(failure)

    def _tell(self, error: BaseException | None) -> None:
        if not isinstance(error, HomeportError):  # its text may quote the request, so only its kind and its place are logged
            log.error("a call of %s failed in Homeport itself: %s\n%s", self._path[:200], type(error).__name__, "".join(traceback.format_tb(_trace(error))))
            error = HomeportError(f"Homeport itself failed on this request ({type(error).__name__}). Its log has the details.")
        if self._out.begun:
            self._out.abort(_error(error, self._path))
            return
        self._out.whole(error.status, (_JSON + error_head(error)).encode("latin-1"), told(error, self._path, self._headers))


def _trace(error: BaseException | None) -> Any:
    return error.__traceback__ if error is not None else None


def _asker(gateway: Gateway, caller: Caller, headers: Headers) -> InProcess:
    from homeport.tasks.in_process import InProcess

    return InProcess(gateway.serve, gateway.after, lambda model: places(gateway, model), caller, headers)


async def _task(gateway: Gateway, name: str, body: bytes, asker: InProcess, out: Out) -> None:
    task = gateway.tasks.find(name)
    asked: Asked = _decoded(body, Asked)
    given = task.read(asked.input)
    if asked.stream:
        await _streamed(task, given, asker, out)
    else:
        outcome = await task.run(given, asker)
        _answer(out, outcome, {"output": outcome.output, "homeport": report(task, outcome)})


async def _scatter(gateway: Gateway, query: Mapping[str, str], body: bytes, asker: InProcess, out: Out) -> None:
    asked: ScatterAsked = _decoded(body, ScatterAsked)
    task = gateway.tasks.find("scatter")
    given = task.read({"prompt": asked.prompt})
    try:
        outcome = await task.run(given, asker, offline=query.get("offline") == "template")
    except TaskFailed as error:
        if error.status == 503:
            raise
        outcome = task.without_model(given, error)  # a model was there, and wrote no bands that hold
    _answer(out, outcome, {"sinc": outcome.output, "homeport": report(task, outcome)})


def _answer(out: Out, outcome: Outcome, body: dict[str, Any]) -> None:
    head = _JSON + "".join(f"{name}: {value}\r\n" for name, value in _figures(outcome).items())
    out.whole(200, head.encode("ascii"), _encoded(body))


async def _streamed(task: Task[Any, Any], given: Mapping[str, Any], asker: InProcess, out: Out) -> None:
    """Partial values as they come, then the result or the error. Who reads more slowly than they come misses some, and gets the newest."""
    unsent: list[Any] = []

    def show(value: Any) -> None:
        unsent[:] = [value]
        if not out.paused:
            out.write(event("partial", {"output": unsent.pop()}))

    out.begin(200, _EVENTS)
    try:
        outcome = await task.run(given, asker, show=show)
        last = event("result", {"output": outcome.output, "homeport": report(task, outcome)})
    except HomeportError as error:
        last = _error(error, PREFIX)
    out.end(b"".join(event("partial", {"output": value}) for value in unsent) + last)


def places(gateway: Gateway, model: str) -> list[tuple[str | None, str]]:
    """Engine and location of each backend behind a name."""
    found = pages.named(gateway, model)
    if found is None:
        return []
    standings = {standing.name: standing for standing in gateway.standings()}
    behind = [(place.card, standings.get(place.backend)) for place in found.places]
    return [(_engine(card, standing), standing.location if standing is not None else "cloud") for card, standing in behind]


def _engine(card: Card | None, standing: Standing | None) -> str | None:
    if standing is not None and standing.kind in ("engine", "pilot"):  # our own: known before it was ever asked
        return "llama.cpp"
    return card.engine if card is not None else None


def report(task: Task[Any, Any], outcome: Outcome) -> dict[str, Any]:
    """The `homeport` object of an answer: how it came about."""
    said = outcome.said.headers if outcome.said is not None else {}
    figures = {name: _number(said.get(header)) for name, header in (("tok_per_s", "x-tok-per-s"), ("gen_time", "x-gen-time"), ("tokens", "x-tokens"))}
    return {
        "task": task.name,
        "route": outcome.route,
        "checks": outcome.checks,
        "attempts": outcome.attempts,
        "offline": outcome.offline,
        "cost_usd": outcome.cost_usd,
        **figures,
        "request_id": said.get("x-request-id"),
    }


def event(name: str, value: Any) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encoded(value))


def _error(error: HomeportError, path: str) -> bytes:
    return b"event: error\ndata: %b\n\n" % told(error, path)


def _encoded(value: Any) -> bytes:
    from homeport.tasks.shapes import written

    return written(value)


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        example = '{"prompt": "…"}' if kind is ScatterAsked else '{"input": {…}, "stream": false}'
        raise Malformed(f"The body is not {example}: {error}", param="input" if kind is Asked else "prompt") from None


def _figures(outcome: Outcome) -> dict[str, str]:
    said = outcome.said.headers if outcome.said is not None else _spent(outcome)
    return {name: value for name in OURS if (value := said.get(name)) is not None and value.isascii() and value.isprintable()}


def _spent(outcome: Outcome) -> dict[str, str]:
    """The figures of an answer that no model gave: what was spent on those that did not hold."""
    tokens = sum(attempt["tokens"] or 0 for attempt in outcome.attempts)
    seconds = sum(attempt["ms"] for attempt in outcome.attempts) / 1000
    rate = round(tokens / seconds, 2) if tokens and seconds else 0
    return {"x-homeport-attempts": str(len(outcome.attempts)), "x-tok-per-s": str(rate), "x-gen-time": f"{seconds:.6f}", "x-tokens": str(tokens)}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if value.is_integer() else value
