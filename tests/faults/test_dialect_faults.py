"""Backends of each dialect that fail, under callers of each: unnoticed before the first content, an error and an aborted connection after it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from homeport.testing.loopback import bound
from homeport.vocabulary import CHAT, COMPLETIONS, Surface
from homeport.wire.dialects import HEARD, SPOKEN
from tests.caller import Heard, request_bytes
from tests.dialects import DIALECT, TALKING, Told, body, error_kind, told
from tests.faults.doors import over, shown
from tests.faults.engines import Engine, Goes, How
from tests.gateway import Running, config, soon

FIRST, SECOND = "first says alpha beta gamma", "second says one two three"
NEXT = {"openai": "anthropic", "anthropic": "ollama", "ollama": "openai"}  # the dialect of the route after the first
RAW = {"openai": "ollama", "ollama": "openai"}  # the same for prompts without a chat template, which Anthropic's dialect has no word for
EARLY: dict[str, Goes] = {
    "killed": Goes(text=FIRST, at=-1, how="close"),
    "reset": Goes(text=FIRST, at=-1, how="reset"),
    "status 500": Goes(text=FIRST, status=500),
    "status 429": Goes(text=FIRST, status=429),
    "status 529": Goes(text=FIRST, status=529),
    "status 500, no JSON": Goes(text=FIRST, status=500, body=b"<h1>oops</h1>"),
    "closed early": Goes(text=FIRST, at=0, how="close"),
    "reset early": Goes(text=FIRST, at=0, how="reset"),
    "ended early": Goes(text=FIRST, at=0, how="end"),
    "an error early": Goes(text=FIRST, at=0, how="error"),
    "an error and the end early": Goes(text=FIRST, at=0, how="error and done"),
    "no JSON early": Goes(text=FIRST, at=0, how="garbage"),
    "stalled": Goes(text=FIRST, at=0, how="stall"),
}
LATE: dict[str, How] = {how: how for how in ("close", "reset", "half", "end", "error", "error and done", "garbage", "stall")}


class House:
    """One gateway with a first and a second backend of each dialect, and addresses where nobody listens."""

    def __init__(self, gateway: Running, first: dict[str, Engine], second: dict[str, Engine]) -> None:
        self.gateway = gateway
        self.first = first
        self.second = second
        self.receipt: dict[str, object] = {}  # of the last request
        self._asked = 0
        self._read = 0  # bytes of the journal

    def ask(self, surface: Surface, model: str, *, stream: bool) -> tuple[Heard, dict[str, object]]:
        """One request, by the one way in and the other in turn, and its receipt."""
        self._asked += 1
        data = request_bytes(body(surface, stream=stream, model=model), path=surface.value)
        heard = over(self.gateway, ("protocol", "asgi")[self._asked % 2], data, seconds=20)
        found: list[dict[str, object]] = []

        def settled() -> bool:
            found.extend(self._new_receipts())
            return bool(found)

        assert soon(settled)
        (self.receipt,) = found
        return heard, self.receipt

    def _new_receipts(self) -> list[dict[str, object]]:
        """The receipts since the last look; reading the journal from its start each time would take longer than all else."""
        (file,) = self.gateway.journal.data.glob("journal-*.jsonl")
        with file.open("rb") as journal:
            journal.seek(self._read)
            lines = journal.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        self._read += len(lines)
        return [line["settled"] for line in map(json.loads, lines.splitlines()) if "settled" in line]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        first = {dialect: stack.enter_context(Engine(dialect)) for dialect in SPOKEN}
        second = {dialect: stack.enter_context(Engine(dialect, Goes(text=SECOND))) for dialect in SPOKEN}
        holder = stack.enter_context(bound())
        backends, models = {}, {}
        for dialect in SPOKEN:
            kind = {"kind": dialect, "first_token_timeout_s": 0.3, "idle_timeout_s": 0.3}
            backends[f"first-{dialect}"] = {**kind, "url": first[dialect].url}
            backends[f"plain-{dialect}"] = {**kind, "url": first[dialect].url, "assemble": False}
            backends[f"gone-{dialect}"] = {**kind, "url": f"http://127.0.0.1:{holder.getsockname()[1]}"}
            backends[f"second-{dialect}"] = {"kind": dialect, "url": second[dialect].url}
        for which, dialect in itertools.product(("first", "plain", "gone"), SPOKEN):
            for name, second_dialect in ((f"{which}-{dialect}", NEXT[dialect]), (f"{which}-{dialect}-raw", RAW.get(dialect, "openai"))):
                models[name] = {"routes": [{"backend": f"{which}-{dialect}", "model": "m"}, {"backend": f"second-{second_dialect}", "model": "m"}]}
            models[f"only-{which}-{dialect}"] = {"routes": [{"backend": f"{which}-{dialect}", "model": "m"}]}
        with Running(config(tmp_path_factory.mktemp("house"), backends, models=models), guarded=False) as gateway:
            yield House(gateway, first, second)


def carried(dialect: str) -> list[Surface]:
    """The surfaces whose asks a backend of this dialect can be sent."""
    return [surface for surface in TALKING if surface is not COMPLETIONS or dialect in RAW]


def routes(surface: Surface, first: str, dialect: str) -> tuple[str, str]:
    """The model that goes to `first` and then to a backend of another dialect, and that backend."""
    raw = surface is COMPLETIONS
    return f"{first}-{dialect}{'-raw' if raw else ''}", f"second-{(RAW if raw else NEXT)[dialect]}"


def tries(receipt: dict[str, object]) -> list[tuple[str, str]]:
    attempts = receipt["attempts"]
    assert isinstance(attempts, list)
    assert all(attempt["reason"] for attempt in attempts if attempt["outcome"] != "ok")
    return [(attempt["backend"], attempt["outcome"]) for attempt in attempts]


def unnoticed(surface: Surface, heard: Heard, receipt: dict[str, object], first: str, second: str, *, stream: bool) -> None:
    """The second backend's answer, whole and alone; and both attempts in the receipt."""
    assert (heard.status, heard.end) == (200, "complete"), heard.body
    assert told(surface, heard.body, stream=stream) == Told(SECOND, finish="stop", usage=(3, 4), ended=True)
    assert heard.headers["x-homeport-backend"] == second
    (one, outcome), two = tries(receipt)
    assert (one, two) == (first, (second, "ok"))
    assert outcome in ("unreachable", "refused", "broke", "stalled")
    assert (receipt["outcome"], receipt["backend"], receipt["dialect"]) == ("ok", second, DIALECT[surface])
    assert (receipt["prompt_tokens"], receipt["completion_tokens"]) == (3, 4)


@pytest.mark.parametrize("name", [*EARLY, "refused"])
@pytest.mark.parametrize("dialect", SPOKEN)
def test_before_the_first_content(house: House, dialect: str, name: str) -> None:
    """For each surface, streamed and whole, assembled from a stream or not."""
    house.first[dialect].goes = EARLY.get(name, Goes(text=FIRST))
    for surface, (which, stream) in itertools.product(carried(dialect), [("first", True), ("first", False), ("plain", False)]):
        first = "gone" if name == "refused" else which
        if (which == "plain" and name in ("refused", "stalled")) or (name == "stalled" and not stream and surface is not CHAT):
            continue
        model, second = routes(surface, first, dialect)
        heard, receipt = house.ask(surface, model, stream=stream)
        unnoticed(surface, heard, receipt, f"{first}-{dialect}", second, stream=stream)
    assert house.gateway.idle()


@pytest.mark.parametrize("how", LATE)
@pytest.mark.parametrize("dialect", SPOKEN)
def test_after_content(house: House, dialect: str, how: str) -> None:
    """A stream is cut, and says so; a whole reply is the second backend's."""
    for number, surface in enumerate(carried(dialect)):
        model, second = routes(surface, "first", dialect)
        at = (1, 3, 5)[number % 3]
        if how == "garbage" and DIALECT[surface] == dialect:  # passed on byte for byte: for its reader to find
            continue
        goes = house.first[dialect].goes = Goes(text=FIRST, at=at, how=LATE[how])
        heard = shown(lambda surface=surface, model=model: house.ask(surface, model, stream=True)[0])
        receipt = house.receipt
        cut(surface, heard, "".join(goes.tokens[:at]))
        assert receipt["outcome"] == "cut"
        ((backend, outcome),) = tries(receipt)
        assert (backend, outcome in ("broke", "stalled")) == (f"first-{dialect}", True)
        if how != "stall" or surface is CHAT:
            heard, receipt = house.ask(surface, model, stream=False)
            unnoticed(surface, heard, receipt, f"first-{dialect}", second, stream=False)
    assert house.gateway.idle()


def cut(surface: Surface, heard: Heard, text: str) -> None:
    """What was said before, the dialect's error, and an end that no HTTP client takes for proper."""
    assert heard.status == 200
    assert heard.end in ("aborted", "reset")
    found = told(surface, heard.body, stream=True)
    assert found.text
    assert text.startswith(found.text)
    assert len(found.errors) == 1
    assert not found.ended
    assert found.finish is None


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("dialect", SPOKEN)
def test_nobody_left(house: House, dialect: str, stream: bool) -> None:
    """The caller's own envelope, whatever the backend's was, and nothing of what the backend said."""
    for surface, name in itertools.product(carried(dialect), ("killed", "status 500", "an error early")):
        house.first[dialect].goes = EARLY[name]
        heard, receipt = house.ask(surface, f"only-first-{dialect}", stream=stream)
        assert (heard.status, heard.end, receipt["outcome"]) == (503, "complete", "failed")
        assert error_kind(surface, heard.body)
        assert "retry-after" in heard.headers
        assert b"went wrong" not in heard.body
        assert "went wrong" not in str(receipt)


def test_each_dialect_is_tried() -> None:
    assert {DIALECT[surface] for surface in TALKING} == set(HEARD)
    assert set(NEXT) == set(NEXT.values()) == set(SPOKEN)
