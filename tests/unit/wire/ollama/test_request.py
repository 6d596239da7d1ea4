"""Ollama requests: read strictly, passed on with a route's defaults, and without a prompt cut in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Malformed, UnknownModel
from homeport.vocabulary import EMBED, GENERATE, OLD_EMBED, OLLAMA_CHAT, Ask, Surface
from homeport.wire.ollama import request as ollama_request
from homeport.wire.ollama.reply import ready
from tests.unit.wire.ollama_samples import TOOL, ask, chat, embed, generate, old_embed, rows


def body(asked: Ask, *, stream: bool = True, **options: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(ollama_request.passing(asked, model="theirs", stream=stream, options=options))
    return decoded


class TestRead:
    @pytest.mark.parametrize(("said", "streams"), [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)])
    def test_streams_unless_told_not_to(self, said: dict[str, Any], streams: bool) -> None:
        assert chat(**said).stream is generate(**said).stream is streams

    def test_characters_of_the_prompt(self) -> None:
        assert chat(messages=[{"role": "system", "content": "abc"}, {"content": "de"}, {"role": "user"}]).prompt_chars == 5
        assert generate(prompt="abc", system="de", suffix="f").prompt_chars == 6
        assert embed(input=["ab", "c"]).prompt_chars == 3
        assert embed(input="ab").prompt_chars == old_embed(prompt="ab").prompt_chars == 2

    @pytest.mark.parametrize(
        ("surface", "given", "param"),
        [
            (OLLAMA_CHAT, {"model": 7}, "model"),
            (OLLAMA_CHAT, {"model": ""}, "model"),
            (OLLAMA_CHAT, {"messages": "Hi"}, "messages"),
            (OLLAMA_CHAT, {"messages": [{"content": [{"type": "text", "text": "Hi"}]}]}, "messages[0].content"),
            (OLLAMA_CHAT, {"messages": [{"tool_calls": [{"function": {"arguments": "{}"}}]}]}, "messages[0].tool_calls[0].function.arguments"),
            (OLLAMA_CHAT, {"stream": "no"}, "stream"),
            (OLLAMA_CHAT, {"options": [1]}, "options"),
            (OLLAMA_CHAT, {"options": {"temperature": "hot"}}, "options.temperature"),
            (OLLAMA_CHAT, {"format": "xml"}, "format"),
            (GENERATE, {"prompt": ["a"]}, "prompt"),
            (GENERATE, {"prompt": "a", "raw": True, "system": "b"}, "raw"),
            (GENERATE, {"prompt": "a", "raw": True, "context": [1]}, "raw"),
            (EMBED, {"input": [1, 2]}, "input[0]"),
            (OLD_EMBED, {"prompt": 3}, "prompt"),
        ],
    )
    def test_what_is_wrong_is_named(self, surface: Surface, given: dict[str, Any], param: str) -> None:
        with pytest.raises(Malformed) as raised:
            ask(surface, given)
        assert raised.value.param == param

    def test_no_model_and_no_object(self) -> None:
        for text in (b"{}", b"[1]", b"{", b"", b"\xff"):
            with pytest.raises(Malformed):
                ollama_request.read(text, OLLAMA_CHAT)
        with pytest.raises(UnknownModel):
            ask(OLLAMA_CHAT, {"model": "m" * 300})

    def test_all_that_ollama_answered_is_taken(self) -> None:
        for name, row in rows().items():
            if row.response.status == 200 and row.request.path in ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings"):
                assert ask(Surface(row.request.path), row.request.body).model == row.request.body["model"], name


class TestLoading:
    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            (ask(OLLAMA_CHAT, {}), "load"),
            (ask(OLLAMA_CHAT, {"messages": [], "keep_alive": -1}), "load"),
            (ask(OLLAMA_CHAT, {"messages": [], "keep_alive": 0}), "unload"),
            (ask(GENERATE, {}), "load"),
            (ask(GENERATE, {"prompt": None, "keep_alive": None}), "load"),
            (ask(GENERATE, {"prompt": "", "keep_alive": "5m"}), "load"),
            (ask(GENERATE, {"keep_alive": "0s"}), "unload"),
            (ask(GENERATE, {"keep_alive": 0.0}), "unload"),
            (ask(GENERATE, {"keep_alive": "10s"}), "load"),
        ],
    )
    def test_nothing_asked_loads_or_unloads(self, asked: Ask, reason: str) -> None:
        assert ollama_request.loads(asked.fields, asked.surface) == reason
        assert not asked.stream  # Ollama answers it whole
        made = json.loads(ready(asked, 1_795_000_000) or b"")
        recorded = rows()["about: load a model with an empty chat" if asked.surface is OLLAMA_CHAT else "generate: empty prompt loads"]
        theirs = json.loads(recorded.response.pieces[0][1])
        assert made == theirs | {"model": "m", "created_at": "2026-11-18T11:06:40.000000000Z", "done_reason": reason}
        assert list(made) == list(theirs)

    @pytest.mark.parametrize(
        "asked", [chat(), generate(), generate(prompt=" "), chat(keep_alive=0), embed(input="a"), embed(input=[""]), old_embed(prompt="a")]
    )
    def test_a_prompt_is_for_the_model(self, asked: Ask) -> None:
        assert ollama_request.loads(asked.fields, asked.surface) is None
        assert ready(asked) is None

    def test_nothing_to_embed(self) -> None:
        for asked in (embed(), embed(input=""), embed(input=[]), embed(input=None)):
            assert json.loads(ready(asked) or b"") == {"model": "m", "embeddings": []}
        assert ready(old_embed(prompt="")) == b'{"embedding":[]}' == rows()["embeddings: empty prompt"].response.pieces[0][1].encode()


class TestPassing:
    def test_the_callers_own_fields_pass(self) -> None:
        given = {"messages": [{"role": "wizard", "content": "Hi", "wibble": 1}], "wibble": {"a": [1.50, "\u003c"]}, "think": "high", "truncate": True}
        assert body(chat(**given)) == {**given, "model": "theirs", "stream": True}

    @pytest.mark.parametrize("stream", [True, False])
    def test_a_stream_is_said_and_a_silent_cut_is_not_wanted(self, stream: bool) -> None:
        for asked in (chat(), generate(), chat(truncate=None), chat(stream=not stream)):
            out = body(asked, stream=stream)
            assert out["stream"] is stream
            assert out["truncate"] is False

    def test_embeddings(self) -> None:
        options = {"temperature": 0.3, "think": False, "keep_alive": -1, "num_ctx": 512}
        held = {"keep_alive": -1, "options": {"num_ctx": 512}, "model": "theirs"}
        assert body(embed(input="a"), **options) == {**held, "input": "a", "truncate": False}
        assert body(embed(input="a", truncate=True, keep_alive=5)) == {"model": "theirs", "input": "a", "truncate": True, "keep_alive": 5}
        assert body(old_embed(prompt="a"), **options, truncate=True) == {**held, "prompt": "a"}

    def test_a_routes_options_are_defaults(self) -> None:
        options = {"temperature": 0.3, "seed": 42, "think": False, "keep_alive": -1, "format": "json", "max_tokens": 9, "stop": "x"}
        out = body(chat(), **options)
        assert (out["think"], out["keep_alive"], out["format"]) == (False, -1, "json")
        assert out["options"] == {"temperature": 0.3, "seed": 42, "num_predict": 9, "stop": ["x"]}
        out = body(chat(think=True, keep_alive="5m", format=None, options={"temperature": 1, "num_predict": None, "wibble": 2}), **options)
        assert (out["think"], out["keep_alive"], out["format"]) == (True, "5m", "json")
        assert out["options"] == {"temperature": 1, "seed": 42, "num_predict": 9, "stop": ["x"], "wibble": 2}

    def test_a_routes_effort_is_thinking(self) -> None:
        assert body(chat(), reasoning_effort="none")["think"] is False
        assert body(chat(think="low"), reasoning_effort="xhigh")["think"] == "low"

    def test_what_streams(self) -> None:
        assert all(ollama_request.streamable(asked.fields, asked.surface) for asked in (chat(tools=[TOOL]), generate(logprobs=True)))
        assert not any(ollama_request.streamable(asked.fields, asked.surface) for asked in (embed(input="a"), ask(GENERATE, {}), old_embed(prompt="a")))
