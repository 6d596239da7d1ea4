"""What real engines were seen to do, under callers of every dialect: a cut is shown as cut, a failure goes to the next, a refusal is the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.replay import CapturedBackend, Row
from homeport.vocabulary import CHAT, COMPLETIONS, COUNT_TOKENS, EMBED, EMBEDDINGS, MESSAGES, OLD_EMBED, OLLAMA_CHAT, RESPONSES, Surface
from tests.caller import Heard, asked
from tests.captures import recorded, surface_of
from tests.dialects import CHATS, DIALECT, TALKING, Told, body, error_kind, told
from tests.faults.doors import shown
from tests.faults.engines import Engine, Goes
from tests.gateway import Running, config

SECOND = "second says one two three"
KINDS = {"/v1/messages": "anthropic", "/api/chat": "ollama", "/api/generate": "ollama", "/api/embed": "ollama", "/api/embeddings": "ollama"}
DEATHS = {  # amid a stream, and what was said until then
    "event: runner killed, chat, stream": "One wave",
    "event: runner killed, generate, stream": "One wave",
    "ollama: event: runner killed, v1 messages, stream": "One wave",
    "ollama: ends properly without finish or [DONE]": "Boats",
    "vllm: an error, then [DONE]": "Boats",
    "llamacpp: killed amid a stream": "Boats",
}
FAILURES = [  # no answer at all, whatever the status
    "vllm: an error before the first token",
    "vllm: killed amid a whole answer",
    "llamacpp: killed amid a whole answer",
    "ollama: the same before the first token",
    "event: runner killed, chat, whole",
    "event: runner killed while loading, chat, stream",
    "event: six at once, model not loaded",
    "event: model file cut short, chat, stream",
    "ollama: event: seven at once, v1 messages, model not loaded",
    "ollama: v1 messages: unknown model",
    "error: chat, unknown model",
    "about: load a model with an empty chat",
    "about: unload",
    "native: num_predict reached in a tool call, whole",
]
TOO_LONG = [
    "overflow: chat, truncate false",
    "overflow: chat, truncate false, stream",
    "overflow: chat, shift false",
    "overflow: chat, truncate false, native",
    "llamacpp: messages-api-too-long-stream",
    "vllm: messages-api-too-long-stream",
]


def backend_kind(row: Row) -> str:
    return KINDS.get(row.request.path, "openai")


def surfaces(row: Row) -> list[Surface]:
    """Who can be answered by it: callers of other dialects who chat, and those who asked in the very way it was recorded."""
    return [surface for surface in CHATS if DIALECT[surface] != backend_kind(row)] + [surface_of(row)]


@contextmanager
def before_another(folder: Path, name: str, *, pace: float = 0.0) -> Iterator[tuple[Row, CapturedBackend, Engine, Running]]:
    """A gateway whose model `assistant` goes to the recording first and to a healthy OpenAI backend then; `alone` goes to the recording only."""
    row = recorded()[name]
    with CapturedBackend([row], pace=pace) as first, Engine("openai", Goes(text=SECOND)) as second:
        first.play(name)
        backends = {"first": {"url": first.url, "kind": backend_kind(row)}, "second": second.url}
        both = [{"backend": "first", "model": "m"}, {"backend": "second", "model": "m"}]
        with Running(config(folder, backends, models={"assistant": {"routes": both}, "alone": {"routes": both[:1]}}), guarded=False) as gateway:
            yield row, first, second, gateway


def ask(gateway: Running, surface: Surface, **options: Any) -> Heard:
    return asked(gateway.url, body(surface, **options), path=surface.value)


def second_answers(gateway: Running, surface: Surface, *, stream: bool, tools: bool = False) -> None:
    heard = ask(gateway, surface, stream=stream, tools=tools)
    assert (heard.status, heard.end) == (200, "complete"), (surface, heard.body)
    assert told(surface, heard.body, stream=stream) == Told(SECOND, finish="stop", usage=(3, 4), ended=True)
    alone = ask(gateway, surface, stream=stream, tools=tools, model="alone")
    assert (alone.status, alone.end) == (503, "complete"), (surface, alone.body)
    assert error_kind(surface, alone.body)


@pytest.mark.parametrize("name", DEATHS)
def test_a_death_amid_a_stream(tmp_path: Path, name: str) -> None:
    with before_another(tmp_path, name, pace=20.0 if name in DEATHS and "event" not in name else 0.01) as (row, _, _, gateway):
        for surface in surfaces(row):
            heard = shown(lambda surface=surface: ask(gateway, surface, stream=True))
            found = told(surface, heard.body, stream=True)
            assert heard.end in ("aborted", "reset"), surface
            assert DEATHS[name].startswith(found.text[: len(DEATHS[name])])
            assert found.text
            assert len(found.errors) == 1
            assert (found.ended, found.finish) == (False, None)
        for surface in surfaces(row):
            heard = ask(gateway, surface, stream=False)
            assert told(surface, heard.body, stream=False).text == SECOND
        receipts = gateway.journal.receipts
        assert [receipt["outcome"] for receipt in receipts].count("cut") == len(surfaces(row))
        assert {receipt["outcome"] for receipt in receipts} == {"cut", "ok"}
        assert {attempt["outcome"] for receipt in receipts for attempt in receipt["attempts"]} == {"broke", "ok"}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_goes_to_the_next(tmp_path: Path, name: str) -> None:
    with before_another(tmp_path, name) as (row, _, second, gateway):
        for surface in surfaces(row):
            for stream in (True, False):
                second_answers(gateway, surface, stream=stream)
        assert len(second.asks) == 2 * len(surfaces(row))


def test_a_call_that_vanished_is_no_answer(tmp_path: Path) -> None:
    """An empty message although tokens were made, where tools were offered. Without tools it is what it says: nothing."""
    with before_another(tmp_path, "chat: tools, but the call names another tool") as (row, _, _, gateway):
        for surface in surfaces(row):
            for stream in (True, False):
                second_answers(gateway, surface, stream=stream, tools=True)
                heard = ask(gateway, surface, stream=stream)
                found = told(surface, heard.body, stream=stream)
                assert (heard.status, found.text, found.calls, found.whole) == (200, "", [], True)


def test_a_call_that_the_limit_cut_off_says_so(tmp_path: Path) -> None:
    with before_another(tmp_path, "chat: tools, cut by num_predict, stream") as (row, _, second, gateway):
        for surface in surfaces(row):
            for stream in (True, False):
                heard = ask(gateway, surface, stream=stream, tools=True)
                found = told(surface, heard.body, stream=stream)
                assert (found.whole, found.text, found.calls, found.finish) == (True, "", [], "length")
        assert second.asks == []


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_prompt_too_long_is_the_callers(tmp_path: Path, name: str) -> None:
    """However the engine says it: 400 in the caller's dialect, and nobody else is asked."""
    with before_another(tmp_path, name) as (row, _, second, gateway):
        for surface in surfaces(row):
            for stream in (True, False):
                heard = ask(gateway, surface, stream=stream)
                assert (heard.status, heard.end) == (400, "complete"), surface
                kind = error_kind(surface, heard.body)
                assert DIALECT[surface] == "ollama" or kind == "invalid_request_error"
                if DIALECT[surface] in ("openai", "responses"):
                    assert heard.error["code"] == "context_length_exceeded"
        assert second.asks == []
        assert {receipt["outcome"] for receipt in gateway.journal.settled(2 * len(surfaces(row)))} == {"refused"}


CAPABILITY = ["chat: think on a model without", "chat: tools on a model without", "chat: image on a model without vision"]


@pytest.mark.parametrize("name", [*CAPABILITY, "chat: format bad schema", "chat: tool call arguments as a string", "error: chat, content is a list"])
def test_a_refusal_is_told_in_the_callers_dialect(tmp_path: Path, name: str) -> None:
    """What only this model cannot do goes to the next; what is wrong in itself does not."""
    with before_another(tmp_path, name) as (row, _, second, gateway):
        for surface in surfaces(row):
            heard = ask(gateway, surface, stream=True, model="alone")
            assert (heard.status, heard.end) == (400, "complete"), surface
            assert error_kind(surface, heard.body)
            asks = len(second.asks)
            heard = ask(gateway, surface, stream=True)
            assert (heard.status, len(second.asks) - asks) == ((200, 1) if name in CAPABILITY else (400, 0))


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("chat: tools, stream", 1),
        ("chat: tools, whole", 1),
        ("native: tools, stream", 1),
        ("native: tools, whole", 1),
        ("chat: two tool calls after prose, stream", 2),
        ("chat: two tool calls after prose, whole", 2),
        ("llamacpp: messages-api-tools-stream", 1),
        ("llamacpp: messages-api-tools", 1),
        ("vllm: messages-api-tools-stream", 1),
        ("vllm: tools-choice-named", 1),
        ("ollama: v1 messages: tools, stream", 1),
        ("ollama: v1 chat: tools, stream", 1),
        ("llamacpp: tools-two-stream", 2),
        ("vllm: tools-two-stream", 2),
    ],
)
def test_a_call_ends_an_answer_as_a_call(tmp_path: Path, name: str, calls: int) -> None:
    """Ollama, and vLLM where a tool was named, say `stop` where it is called; a caller of another dialect hears what that dialect says."""
    words = {CHAT: '"finish_reason":"tool_calls"', MESSAGES: '"stop_reason":"tool_use"', RESPONSES: '"status":"completed"', OLLAMA_CHAT: '"done_reason":"stop"'}
    with before_another(tmp_path, name) as (row, _, second, gateway):
        for surface in surfaces(row):
            for stream in (True, False):
                heard = ask(gateway, surface, stream=stream, tools=True)
                found = told(surface, heard.body, stream=stream)
                assert (found.whole, found.finish, len(found.calls)) == (True, "tool_calls", calls), (surface, heard.body)
                assert all(isinstance(arguments, dict) for _, arguments in found.calls)
                if surface is not surface_of(row):
                    assert words[surface] in heard.body.decode().replace('": ', '":')
        assert second.asks == []


def test_a_count_of_tokens_where_there_is_none(tmp_path: Path) -> None:
    """Ollama's 404 is no error: the count is an estimate. vLLM's and llama.cpp's are told as they are."""
    for name, least, most in [
        ("ollama: v1 messages: count_tokens", 1, 100),
        ("llamacpp: messages-api-count-tokens", 20, 20),
        ("vllm: messages-api-count-tokens", 20, 20),
    ]:
        folder = tmp_path / name[:5]
        folder.mkdir()
        with before_another(folder, name) as (_, _, second, gateway):
            heard = ask(gateway, COUNT_TOKENS)
            assert heard.status == 200, heard.body
            assert least <= heard.json["input_tokens"] <= most
            assert second.asks == []


@pytest.mark.parametrize(
    ("name", "surface", "status"),
    [
        ("embed: too long, truncate false", EMBED, 400),
        ("embed: too long, truncate false", EMBEDDINGS, 400),
        ("embed: on a model that chats", EMBED, 400),
        ("embed: on a model that chats", EMBEDDINGS, 400),
        ("embed: empty list", EMBEDDINGS, 503),
        ("embeddings: empty prompt", OLD_EMBED, 200),
    ],
)
def test_embeddings(tmp_path: Path, name: str, surface: Surface, status: int) -> None:
    with before_another(tmp_path, name) as (_, _, _, gateway):
        heard = ask(gateway, surface, model="alone")
        assert heard.status == status, heard.body
        if status != 200:
            assert error_kind(surface, heard.body)


def test_an_empty_prompt_only_loads(tmp_path: Path) -> None:
    """OpenAI's way to Ollama's `load` is no answer; Ollama's own callers may ask for it, and hear it."""
    with before_another(tmp_path, "ollama: an empty reply that only loaded the model") as (_, _, _, gateway):
        second_answers(gateway, COMPLETIONS, stream=False)
    assert TALKING
