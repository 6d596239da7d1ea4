"""Runs a call of a task: ask, read, check; say what was wrong and ask once more; then the next model; then offline; then TaskFailed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from msgspec import Struct

from homeport.errors import CallerError, HomeportError, NoRouteLeft, NotReplayed, TaskFailed, TooLong
from homeport.ports import Asker
from homeport.rules import pricing
from homeport.tasks import gbnf, reading, replies
from homeport.tasks.fault import Fault
from homeport.tasks.guarding import apart, beside, guarded, wrong
from homeport.tasks.partial import Growing, Partial
from homeport.tasks.plan import CHAT, Outcome, Plan
from homeport.vocabulary import Errand, Said

GRAMMARS = {"llama.cpp", "vllm"}  # engines that take one
ELSEWHERE = (404, 429)  # another model may be served, and another key's limit is not reached: the ladder goes on
LONG = 4096  # characters of an answer or of sources; reading more, or making their grammar, takes milliseconds, and is done beside the loop
Shown = Callable[[Any], None]
P = ParamSpec("P")
R = TypeVar("R")


class Terms(Struct, frozen=True, kw_only=True):
    """Whom a task asks, and what it may."""

    name: str
    models: Sequence[str]  # in order; those after the first are asked where an answer does not hold
    private: bool = False


async def run(plan: Plan, terms: Terms, asker: Asker, show: Shown | None = None) -> Outcome:
    """The outcome of one call. `show` is given each partial value as it comes; it is not checked then.

    Raises TaskFailed where no answer holds, with status 503 where none came; a fault of the request itself as it is.
    """
    ladder = _Ladder(plan, terms, asker, show)
    for model in terms.models:
        outcome = await ladder.model(model)
        if outcome is not None:
            return outcome
        if isinstance(ladder.error, NotReplayed):  # a backend seems to have died of it: no other one is to
            break
    outcome = ladder.completed()
    if outcome is not None:
        return outcome
    raise failed(terms.name, ladder.attempts, ladder.error) from ladder.error


def failed(name: str, attempts: Sequence[dict[str, Any]], error: HomeportError | None) -> TaskFailed:
    """What is told of a task that came to nothing: which model met what."""
    met = "; ".join(f"{attempt['model']}: {attempt['check']}, {attempt['reason']}" for attempt in attempts)
    answered = [attempt for attempt in attempts if attempt["check"] != "unanswered"]
    failure = TaskFailed(f"The task {name} got no answer that holds. {met}", attempts)
    if not answered:
        failure.status = 503
        failure.retry_after_s = error.retry_after_s if error is not None else None
        failure.should_retry = error.should_retry if error is not None else None
    return failure


class _Ladder:
    """The attempts of one call, in order."""

    def __init__(self, plan: Plan, terms: Terms, asker: Asker, show: Shown | None) -> None:
        self.plan, self.terms, self.asker, self.show = plan, terms, asker, show
        self.attempts: list[dict[str, Any]] = []
        self.failed: list[str] = []  # names of the checks that did not hold, in order
        self.error: HomeportError | None = None  # why the last one was not answered
        self._shaped: tuple[Any, Said] | None = None  # the last value of the shape, and the reply it stood in
        self._grammar: str | None = ""  # made once for all turns and models; "": not yet

    async def model(self, model: str) -> Outcome | None:
        """Ask one model, and once more with what was wrong; None where neither holds."""
        body = self.plan.body
        for turn in (1, 2):
            began = time.perf_counter()
            said: Said | None = None
            try:
                said = await self._ask(model, body, await self._places(model))
                output, held = await (apart(self.asker, self._read, said) if self.plan.checks else self._beside(len(said.text), self._read, said))
            except Fault as fault:
                self._note(model, said, fault.check, fault.reason, began)
                if turn == 2 or self.plan.path != CHAT or said is None:
                    return None
                body = {**body, "messages": [*body["messages"], *_repair(said.text, fault)]}
            except HomeportError as error:
                if isinstance(error, TaskFailed) or (isinstance(error, CallerError) and not isinstance(error, TooLong) and error.status not in ELSEWHERE):
                    raise
                self.error = error
                self._note(model, said, "unanswered", str(error), began)
                return None
            else:
                self._note(model, said, None, None, began)
                return Outcome(output=output, route=_route(said), checks=held, attempts=self.attempts, said=said)
        return None

    def completed(self) -> Outcome | None:
        """What code makes of the last value that was of the shape, though nothing held; None where it can make nothing of it."""
        if self._shaped is None or self.plan.complete is None:
            return None
        value, said = self._shaped
        try:
            output = self.plan.complete(value)
        except Fault:
            return None
        return Outcome(output=output, route=_route(said), checks=["schema"], attempts=self.attempts, said=said)

    async def _beside(self, size: int, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` returns; where there is much of it, the loop goes on meanwhile."""
        return await beside(self.asker, work, *args, **kwargs) if size >= LONG else work(*args, **kwargs)

    async def _places(self, model: str) -> Sequence[tuple[str | None, str]]:
        """Raises NoRouteLeft for a private task whose model only clouds serve; where both may answer, the gateway keeps to the local ones."""
        quotes = self.plan.shape is not None and self.plan.shape.quotes
        if not (quotes or self.terms.private):
            return ()
        places = await self.asker.places(model, private=self.terms.private)
        if self.terms.private and not any(location == "local" for _, location in places):
            error = NoRouteLeft(f'The task {self.terms.name} is private, and no local backend serves `{model}`. Give one with location = "local" a route.')
            error.should_retry = False
            raise error
        return places

    async def _ask(self, model: str, body: dict[str, Any], places: Sequence[tuple[str | None, str]]) -> Said:
        """Ask with the answer held to its shape as far as the engines can; what refuses that is asked without, for it is checked anyway."""
        errand = Errand(self.terms.name, tuple(self.failed), self.terms.private)
        shape = self.plan.shape
        partial = Growing(thought=shape is None) if shape is None or shape.text else Partial()

        def hear(piece: str) -> None:
            value = partial.take(piece)
            if value is not None and self.show is not None:
                self.show(value)

        for form in await self._forms(places):
            try:
                return await self.asker.ask(self.plan.path, {"model": model, **body, **form}, errand, hear if self.show is not None else None)
            except CallerError as error:
                if error.status not in (400, 422) or isinstance(error, TooLong) or error.code == TooLong.code:
                    raise
        return await self.asker.ask(self.plan.path, {"model": model, **body}, errand, hear if self.show is not None else None)

    async def _forms(self, places: Sequence[tuple[str | None, str]]) -> list[dict[str, Any]]:
        """How the shape is asked for, the strictest first."""
        shape = self.plan.shape
        if shape is None or shape.text:
            return []
        engines = {engine for engine, _ in places}
        found: list[dict[str, Any]] = []
        if shape.quotes and engines and engines <= GRAMMARS:
            if self._grammar == "":
                self._grammar = await self._beside(sum(map(len, self.plan.sources)), gbnf.grammar, shape.schema, self.plan.sources)
            if self._grammar is not None and engines == {"llama.cpp"}:
                found.append({"grammar": self._grammar})
            elif self._grammar is not None and engines == {"vllm"}:
                found.append({"structured_outputs": {"grammar": self._grammar}})
        return [*found, {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape.wire, "strict": True}}}]

    def _read(self, said: Said) -> tuple[Any, list[str]]:
        """The result, and which checks held. Raises Fault."""
        plan, shape = self.plan, self.plan.shape
        held: list[str] = []
        value: Any = said
        if plan.whole and said.finish == "length" and (shape is None or shape.text):
            raise Fault("truncated", "the answer met its token limit")
        if shape is not None:
            value = reading.read(said.text, shape, plan.sources)
            held += ["schema", *(["quote"] if shape.quotes else [])]
            self._shaped = value, said
        output = plan.take(value)
        for check in plan.checks:
            name = getattr(check, "__name__", "check")
            verdict = guarded(self.terms.name, f"the check {name}", check, output)
            if verdict is False or isinstance(verdict, str):
                raise Fault(name, "does not hold", verdict if isinstance(verdict, str) and not plan.withheld else "")
            if verdict is not None and verdict is not True:
                raise wrong(self.terms.name, f"the check {name}", f"returned a {type(verdict).__name__}, where True, False, None or a text is meant")
            held.append(name)
        return output, held

    def _note(self, model: str, said: Said | None, check: str | None, reason: str | None, began: float) -> None:
        if check is not None:
            self.failed.append(check)
        heads = said.headers if said is not None else {}
        tokens, location = heads.get(replies.SPEEDS["tokens"], ""), heads.get(replies.FIGURES["location"])
        self.attempts.append(
            {
                "model": model,
                "backend": heads.get(replies.FIGURES["backend"]),
                "location": location,
                "check": check,
                "reason": reason,
                "tokens": int(tokens) if tokens.isdigit() else None,
                "ms": round((time.perf_counter() - began) * 1000, 2),
                "cost_usd": pricing.cost_usd(location),
            }
        )


def _repair(text: str, fault: Fault) -> list[dict[str, str]]:
    """The turn that tells a model what was wrong with its answer."""
    again = f"That answer cannot be used ({fault.check}): {fault.detail}. Answer again, with nothing but the corrected answer."
    said = text.encode(errors="replace").decode()  # half of a character cannot be said again
    return [{"role": "assistant", "content": said or "…"}, {"role": "user", "content": again}]


def _route(said: Said) -> dict[str, Any]:
    return {name: said.headers.get(replies.FIGURES[name]) for name in ("backend", "model", "location")}
