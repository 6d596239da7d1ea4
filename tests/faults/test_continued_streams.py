"""on_break = "continue": an answer that breaks amid its stream is gone on with by the same model, to the character."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from homeport.testing import prefill
from homeport.testing.backend import ScriptedBackend
from homeport.testing.exchange import Seen
from homeport.testing.proxy import FaultProxy, Faults
from homeport.testing.script import Answer, Behaviour, Bytes, Fault, How, Refuse, ToolCall
from homeport.testing.shapes import StyleName
from homeport.vocabulary import CHAT, COMPLETIONS, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES, Surface
from tests.caller import Caller, Heard, asked, request_bytes
from tests.dialects import TALKING, Told, body, told
from tests.gateway import Running, config, soon

TOKENS = ("The", " harbour", " was quiet", ".\n\n", "“Naïve”", ", said he: 06:40", " — café 🚢", " ", "end.", "\n")
TEXT = "".join(TOKENS)
HOWS: list[How] = ["close", "reset", "end", "error", "error_done", "garbage", "freeze"]


def speaker(*faults: Fault | None, **options: Any) -> Callable[[Seen], Behaviour]:
    """A model that says TEXT, or what is left of it, with the next of `faults` in each part; the last of them again and again."""
    coming = list(faults) or [None]

    def say(seen: Seen) -> Behaviour:
        fault = coming.pop(0) if len(coming) > 1 else coming[0]
        answer = Answer(tokens=TOKENS, fault=fault, **options)
        prompt = (seen.fields or {}).get("prompt")
        return prefill.gone_on(answer, prompt.removeprefix("hi"), repeats=False) if isinstance(prompt, str) else answer

    return say


def engine(default: Any = "", **options: Any) -> ScriptedBackend:
    """A backend that lists the models of these tests."""
    return ScriptedBackend(default, models=("m", "other"), **options)


@contextlib.contextmanager
def running(tmp_path: Path, backends: dict[str, Any], routes: list[dict[str, Any]] | None = None, **model: Any) -> Iterator[Running]:
    """A gateway whose model goes on with cut answers, once it knows the engines."""
    table = {"routes": routes or [{"backend": name, "model": "m"} for name in backends], "on_break": "continue", **model}
    with Running(config(tmp_path, backends, models={"assistant": table})) as gateway:
        known = [name for name, backend in gateway.app.settings.backends.items() if backend.kind == "openai" and table["on_break"] == "continue"]
        assert soon(lambda: all(route.engine or route.backend not in known for route in gateway.app._catalogue.find("assistant").routes))  # type: ignore[union-attr]
        yield gateway


def ask(gateway: Running, surface: Surface = CHAT, **fields: Any) -> tuple[Heard, Told]:
    if surface is COMPLETIONS:
        fields = {"max_tokens": 100, **fields}
    if surface is GENERATE:
        fields = {"raw": True, "options": {"num_predict": 100}, **fields}
    heard = asked(gateway.url, body(surface, stream=True, **fields), path=surface.value)
    assert heard.status == 200, heard.body
    return heard, told(surface, heard.body, stream=True)


def complete(heard: Heard, said: Told) -> None:
    assert said.errors == []
    assert said.text == TEXT
    assert (heard.end, said.finish, said.whole) == ("complete", "stop", True)


def cut(heard: Heard, said: Told) -> None:
    assert heard.end in ("aborted", "reset")
    assert len(said.errors) == 1
    assert b'"code":"cut"' in heard.body
    assert not said.whole
    assert TEXT.startswith(said.text)
    assert said.text


@pytest.mark.parametrize("style", ["llama.cpp", "vllm"])
@pytest.mark.parametrize("surface", TALKING)
def test_every_token_and_every_caller(tmp_path: Path, surface: Surface, style: StyleName) -> None:
    with engine(style=style) as first, engine(style=style) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            for at in range(1, len(TOKENS)):
                first.default, second.default = speaker(Fault(at, "reset", after_s=0.02)), speaker()
                heard, said = ask(gateway, surface)
                complete(heard, said)
                receipt = gateway.journal.settled(at)[-1]
                assert receipt["outcome"] == "ok"
                assert [(attempt["backend"], attempt["outcome"]) for attempt in receipt["attempts"]] == [("first", "broke"), ("second", "ok")]
                assert receipt["attempts"][1]["reason"] == "it went on with the answer"
                assert (receipt["backend"], receipt["completion_tokens"]) == ("second", len(TOKENS))
                assert said.usage is not None
                assert said.usage[1] == len(TOKENS)
                assert '"continued":1' in heard.body.decode().replace(" ", "")
                gateway.app._backends["first"].health.reset()  # type: ignore[attr-defined]
            assert gateway.idle()


@pytest.mark.parametrize("style", ["llama.cpp", "vllm"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("surface", [CHAT, MESSAGES, OLLAMA_CHAT])
def test_every_way_to_break(tmp_path: Path, surface: Surface, how: How, style: StyleName) -> None:
    with engine(speaker(Fault(4, how, after_s=0.02)), style=style) as first, engine(speaker(), style=style) as second:
        with running(tmp_path, {"first": {"url": first.url, "idle_timeout_s": 0.3}, "second": second.url}) as gateway:
            complete(*ask(gateway, surface))
            receipt = gateway.journal.settled(1)[0]
            assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["stalled" if how == "freeze" else "broke", "ok"]
            assert first.until(lambda: first.in_flight == 0, 1.0)


@pytest.mark.parametrize("surface", TALKING)
def test_the_same_backend_goes_on_where_there_is_no_other(tmp_path: Path, surface: Surface) -> None:
    with engine(speaker(Fault(3, after_s=0.02), None)) as only, running(tmp_path, {"only": only.url}) as gateway:
        complete(*ask(gateway, surface))
        receipt = gateway.journal.settled(1)[0]
        assert [attempt["backend"] for attempt in receipt["attempts"]] == ["only", "only"]


def test_two_breaks_in_a_row_and_no_more_than_three_attempts(tmp_path: Path) -> None:
    breaks = Fault(2, after_s=0.02)
    with engine(speaker(breaks, None)) as first, engine(speaker(breaks)) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            heard, said = ask(gateway)
            complete(heard, said)
            assert '"continued":2' in heard.body.decode()
            first.default = speaker(breaks)
            heard, said = ask(gateway)
            cut(heard, said)
            assert said.text == "".join(TOKENS[:6])
            whole, broken = gateway.journal.settled(2)
            assert [attempt["backend"] for attempt in whole["attempts"]] == ["first", "second", "first"]
            assert (broken["outcome"], broken["completion_tokens"], len(broken["attempts"])) == ("cut", 6, 3)
            assert gateway.idle()


def test_what_the_engine_is_sent(tmp_path: Path) -> None:
    with engine(speaker(Fault(4, after_s=0.02)), style="vllm") as first, engine(speaker(), style="vllm") as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            complete(*ask(gateway, max_tokens=50, temperature=0.5, seed=7, stop=["###"]))
            before, after = first.asks[0].fields, second.asks[0].fields
            text = "".join(TOKENS[:4])
            assert after.pop("messages") == [*before.pop("messages"), {"role": "assistant", "content": text.rstrip()}]
            assert (after.pop("continue_final_message"), after.pop("add_generation_prompt")) == (True, False)
            assert (before.pop("max_tokens"), after.pop("max_tokens")) == (50, 47)  # the blanks at its end are kept back, for the engine to say again
            assert before == after
            cold = ask(gateway)
            complete(*cold)
            assert "max_tokens" not in second.asks[-1].fields


def test_the_caller_pays_for_its_prompt_once(tmp_path: Path) -> None:
    """The engine counts the text it went on from as prompt; the sum of both stays what it was."""
    with engine(speaker(Fault(4, after_s=0.02))) as first, engine(speaker()) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            _, said = ask(gateway)
            prompt, made = said.usage or (0, 0)
            counted = len(str(second.asks[0].fields["messages"]))
            assert (prompt, made) == (counted - 4, len(TOKENS))
            receipt = gateway.journal.settled(1)[0]
            assert (receipt["prompt_tokens"], receipt["completion_tokens"]) == (prompt, made)
            assert receipt["first_token_ms"] < receipt["attempts"][0]["ms"]


def test_a_backend_that_cannot_be_had_is_passed_over(tmp_path: Path) -> None:
    with engine(speaker(Fault(3, after_s=0.02), None)) as first, engine() as second, engine() as third:
        second.default, third.default = Refuse(status=503), Refuse(status=400, message="no prefill here")
        names = {"first": first.url, "second": second.url, "third": third.url}
        with running(tmp_path, names) as gateway:
            cut(*ask(gateway))
            receipt = gateway.journal.settled(1)[0]
            assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["broke", "refused", "refused"]
            assert "no prefill here" not in str(receipt)


OTHERS: dict[str, dict[str, Any]] = {
    "another model": {"routes": [{"backend": "first", "model": "m"}, {"backend": "second", "model": "other"}]},
    "on_break = error": {"on_break": "error"},
    "a grammar among the options": {"options": {"response_format": {"type": "json_object"}}},
}


@pytest.mark.parametrize("model", OTHERS.values(), ids=OTHERS)
def test_an_owner_who_does_not_allow_it(tmp_path: Path, model: dict[str, Any]) -> None:
    """Another model is never mixed in; here the first backend is gone, so that it cannot go on itself."""
    with engine(speaker(Fault(3, after_s=0.05)), slots=1) as first, engine(speaker()) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}, **model) as gateway:
            first.pages["/v1/chat/completions"] = Answer(tokens=TOKENS, fault=Fault(3, after_s=0.05))
            cut(*ask(gateway))
            assert second.generations == 0
            assert gateway.journal.settled(1)[0]["outcome"] == "cut"


@pytest.mark.parametrize("style", ["ollama"])
def test_an_engine_that_is_not_known_to_go_on(tmp_path: Path, style: StyleName) -> None:
    with engine(speaker(Fault(3, after_s=0.02)), style=style) as first, engine(speaker(), style=style) as second:
        with running(tmp_path, {"first": {"url": first.url, "kind": "ollama"}, "second": {"url": second.url, "kind": "ollama"}}) as gateway:
            cut(*ask(gateway))
            assert second.generations == 0


def test_an_ollama_that_breaks_is_gone_on_with_elsewhere(tmp_path: Path) -> None:
    with engine(speaker(Fault(5, "end", after_s=0.02)), style="ollama") as first, engine(speaker()) as second:
        with running(tmp_path, {"first": {"url": first.url, "kind": "ollama"}, "second": second.url}) as gateway:
            for surface in (CHAT, OLLAMA_CHAT, RESPONSES):
                complete(*ask(gateway, surface))


def test_the_time_in_all_is_not_begun_anew(tmp_path: Path) -> None:
    with engine(Answer(tokens=TOKENS, delay_s=0.1)) as first, engine(speaker()) as second:
        with running(tmp_path, {"first": {"url": first.url, "total_timeout_s": 0.5}, "second": second.url}) as gateway:
            cut(*ask(gateway))
            assert second.generations == 0
            assert gateway.journal.settled(1)[0]["attempts"][0]["outcome"] == "stalled"


def test_a_caller_who_leaves_ends_the_second_part_too(tmp_path: Path) -> None:
    with engine(speaker(Fault(3, after_s=0.02))) as first, engine(Answer(tokens=TOKENS, endless=True, delay_s=0.01)) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:

            async def leave() -> None:
                async with Caller(gateway.url) as caller:
                    await caller.send(request_bytes(body(CHAT, stream=True)))
                    assert await asyncio.to_thread(second.until, lambda: bool(second.asks and second.asks[0].tokens > 3), 5.0)

            asyncio.run(leave())
            assert second.until(lambda: second.in_flight == 0, 1.0)
            receipt = gateway.journal.settled(1)[0]
            assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["broke", "client_left"]
            assert gateway.idle()


FORMAT = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
WISHES: dict[str, dict[str, Any]] = {
    "several choices": {"n": 2},
    "log-probabilities": {"logprobs": True},
    "a schema": {"response_format": FORMAT},
    "a grammar": {"grammar": 'root ::= "a"'},
    "thinking": {"reasoning_effort": "high"},
    "a tool that must be called": {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
    "a field that nobody knows": {"frobnicate": 1},
    "a beginning of its own": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "The"}]},
    "a limit that is reached": {"max_tokens": 3},
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_a_wish_that_no_second_part_could_keep(tmp_path: Path, wish: dict[str, Any]) -> None:
    with engine(Answer(tokens=TOKENS, fault=Fault(3, after_s=0.02))) as first, engine(speaker()) as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            heard, said = ask(gateway, **wish)
            assert len(said.errors) == 1
            assert heard.end in ("aborted", "reset")
            assert first.generations == 1
            assert second.generations == 0


SAID: dict[str, Answer] = {
    "reasoning": Answer(tokens=TOKENS, reasoning=("let", " me", " think"), fault=Fault(5, after_s=0.02)),
    "a call begun": Answer(tokens=TOKENS[:1], tool_calls=(ToolCall("f", '{"a":1}'),), fault=Fault(3, after_s=0.02)),
    "tags of thinking": Answer(text="<thinker> says more and more", fault=Fault(3, after_s=0.02)),
    "half a character": Answer(tokens=("The", " n\ufffd", "x"), fault=Fault(2, after_s=0.02)),
}


@pytest.mark.parametrize("answer", SAID.values(), ids=SAID)
def test_a_beginning_that_nobody_could_go_on_from(tmp_path: Path, answer: Answer) -> None:
    with engine(answer, style="vllm") as first, engine(speaker(), style="vllm") as second:
        with running(tmp_path, {"first": first.url, "second": second.url}) as gateway:
            heard, said = ask(gateway, tools=[{"type": "function", "function": {"name": "f"}}])
            assert (len(said.errors), heard.end in ("aborted", "reset")) == (1, True)
            assert second.generations == 0


SHORT = ("A café", " 🚢\n", "“end”")


@pytest.mark.slow
@pytest.mark.parametrize(("style", "reset"), [("llama.cpp", False), ("vllm", True)], ids=["llama.cpp-FIN", "vllm-RST"])
def test_bytes_all_along(tmp_path: Path, style: StyleName, reset: bool) -> None:
    """The connection breaks amid an event, amid a character, up to the finish; behind that it is cut. Every single byte: tests/properties/test_seams."""
    answer = Answer(tokens=SHORT, delay_s=0.002)
    with engine(answer, style=style) as first, engine(answer, style=style) as second, FaultProxy(first.url) as proxy:
        with running(tmp_path, {"first": proxy.url, "second": second.url}) as gateway:
            response = response_of(first)
            finish = response.index(b"\n\n", response.index(b'"stop"'))
            gone_on_with = 0
            offsets = [*range(response.index(b"\r\n\r\n"), finish, 13), finish, finish + 2, len(response) - 20]
            for at in offsets:
                proxy.faults = Faults(reset_down_after=at) if reset else Faults(cut_down_after=at)
                surface = (CHAT, MESSAGES, OLLAMA_CHAT)[at % 3]
                heard, said = ask(gateway, surface)
                assert said.text == "".join(SHORT), at
                assert said.whole == (at <= finish), at
                assert (heard.end == "complete", said.errors == []) == (said.whole, said.whole), at
                gone_on_with += b'"continued":1' in heard.body
                gateway.app._backends["first"].health.reset()  # type: ignore[attr-defined]
                proxy.drop()
            assert gone_on_with > len(offsets) / 3
            assert sorted({receipt["outcome"] for receipt in gateway.journal.settled(len(offsets))}) == ["cut", "ok"]
            assert gateway.idle()


@pytest.mark.slow
@pytest.mark.parametrize("style", ["llama.cpp", "vllm"])
def test_silence_after_any_byte(tmp_path: Path, style: StyleName) -> None:
    answer = Answer(tokens=SHORT)
    with engine(answer, style=style) as first, engine(answer, style=style) as second:
        with running(tmp_path, {"first": {"url": first.url, "idle_timeout_s": 0.1, "first_token_timeout_s": 0.2}, "second": second.url}) as gateway:
            response = response_of(first)
            for at in range(1, response.index(b'"stop"'), 61):
                first.default = Bytes(data=response[:at], close=False)
                heard, said = ask(gateway)
                assert (said.text, said.finish, said.errors, heard.end) == ("".join(SHORT), "stop", [], "complete"), at
                gateway.app._backends["first"].health.reset()  # type: ignore[attr-defined]


def response_of(backend: ScriptedBackend) -> bytes:
    """A streamed answer of its, byte for byte."""
    parts = urlsplit(backend.url)
    heard = b""
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        asked_for = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": {"include_usage": True}}
        connection.sendall(request_bytes(asked_for))
        while not heard.endswith(b"\r\n0\r\n\r\n"):
            heard += connection.recv(65536)
    return heard
