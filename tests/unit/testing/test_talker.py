"""The talker: a real llama.cpp says exactly the text that the test chose."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.backends.engine import Engine
from homeport.testing.talker import babble, split, write_talker
from tests.caller import Heard, ask, chat

TALE = "The quick brown fox jumps over the lazy dog, and the dog says “grüß Gott” to the fox. 🦊\n\nThe end of the tale."
ADA = '{"name": "Ada", "age": 36, "tags": ["a", "b"]}'
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "age", "tags"],
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


@asynccontextmanager
async def engine_of(model: Path, **options: Any):
    """An engine on this model, healthy, and a way to ask it."""
    engine = Engine(model=model, slots=2, context=1024, name="talker", **options)
    await engine.start()
    try:
        await engine.ready(20)

        async def say(body: Any, path: str = "/v1/chat/completions") -> Heard:
            return await asyncio.wait_for(ask(engine.url, body, path=path, headers={"authorization": f"Bearer {engine.key}"}), 20)

        yield say
    finally:
        await engine.stop()


def heard(model: Path, *bodies: Any, path: str = "/v1/chat/completions") -> list[Heard]:
    """What the engine answers to each body, one after another."""

    async def run() -> list[Heard]:
        async with engine_of(model) as say:
            return [await say(body, path) for body in bodies]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_talker(tmp_path_factory.mktemp("talker") / "tale.gguf", TALE, prompts={"json": ADA, "tool": CALL, "long": babble(200)})


def test_it_says_the_text_whole_and_streamed(model: Path) -> None:
    whole, hot, stream = heard(model, chat(), chat("What?", temperature=2.0, seed=7), chat(stream=True))
    for answer in (whole, hot, stream):
        assert answer.text == TALE
        assert answer.finish == "stop"
    assert len([event for event in stream.events if event["choices"][0]["delta"].get("content")]) > 20


def test_a_marker_in_the_last_user_message_chooses_the_answer(model: Path) -> None:
    turns = {"messages": [{"role": "user", "content": "[tool]"}, {"role": "assistant", "content": "well"}, {"role": "user", "content": "Now [json]!"}]}
    first, plain = heard(model, turns, {"messages": [*turns["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "And now?"}]})
    assert first.text == ADA
    assert plain.text == TALE


def test_a_completion_says_the_text_whatever_its_prompt_ends_with(model: Path) -> None:
    prompts = ["Once", "the quick brown fox", "x [json]"]
    answers = heard(model, *({"prompt": prompt} for prompt in prompts), path="/v1/completions")
    assert [answer.text for answer in answers] == [TALE, TALE, ADA]


def test_babble_is_a_chunk_a_token_and_no_two_alike(model: Path) -> None:
    stream, cut = heard(model, chat("[long]", stream=True, stream_options={"include_usage": True}), chat("[long]", max_tokens=5))
    chunks = [event["choices"][0]["delta"]["content"] for event in stream.events if event["choices"] and event["choices"][0]["delta"].get("content")]
    assert "".join(chunks) == babble(200)
    assert len(chunks) == len(set(chunks)) == 200
    assert stream.events[-1]["usage"]["completion_tokens"] == 201  # the end token counts
    assert (cut.text, cut.finish) == (babble(5), "length")


def test_json_under_its_schema(model: Path) -> None:
    body = chat("[json]", response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}})
    whole, stream = heard(model, body, body | {"stream": True})
    assert whole.text == stream.text == ADA


def test_the_schema_is_enforced_on_a_talker_that_says_something_else(model: Path) -> None:
    schema = {"type": "string", "enum": ["question", "other"]}
    (answer,) = heard(model, chat("[json]", max_tokens=50, response_format={"type": "json_schema", "json_schema": {"name": "label", "schema": schema}}))
    assert json.loads(answer.text) in schema["enum"]


def test_a_tool_call_is_parsed_by_the_engine(model: Path) -> None:
    (answer,) = heard(model, chat("[tool]", tools=[WEATHER]))
    (call,) = answer.json["choices"][0]["message"]["tool_calls"]
    assert answer.finish == "tool_calls"
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Oslo"})


def test_the_turns_of_a_tool_call_are_a_prompt(model: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    (answer,) = heard(model, {"messages": turns, "tools": [WEATHER]})
    assert answer.text == TALE


def test_logprobs_are_certain_of_the_text(model: Path) -> None:
    (answer,) = heard(model, chat(max_tokens=3, logprobs=True, top_logprobs=2))
    tokens = answer.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == "The quick brown"
    assert all(token["logprob"] > -1e-6 > token["top_logprobs"][1]["logprob"] for token in tokens)


def test_stop_seed_and_n_behave(model: Path) -> None:
    stopped, two = heard(model, chat(stop=[" fox"], seed=1), chat(n=2))
    assert (stopped.text, stopped.finish) == ("The quick brown", "stop")
    assert [choice["message"]["content"] for choice in two.json["choices"]] == [TALE, TALE]


def test_embeddings_tell_texts_apart(model: Path) -> None:
    (answer,) = heard(model, {"input": ["a house by the sea", "a house at the sea", "12345"]}, path="/v1/embeddings")
    one, alike, other = (row["embedding"] for row in answer.json["data"])
    assert _product(one, one) == pytest.approx(1, abs=1e-3)
    assert _product(one, alike) > _product(one, other) + 0.05


def _product(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_it_never_ends_when_told_so(tmp_path: Path) -> None:
    (answer,) = heard(write_talker(tmp_path / "a.gguf", babble(3), never_ends=True), chat(max_tokens=7))
    assert answer.finish == "length"
    assert answer.text == "w0000 w0001 w0002 w0000 w0001 w0002 w0000"


def test_slow_layers_make_it_slower(tmp_path: Path) -> None:
    quick, slow = (heard(write_talker(tmp_path / f"{layers}.gguf", babble(10), slow_layers=layers), chat(), chat(), chat()) for layers in (0, 3))
    assert {answer.text for answer in (*quick, *slow)} == {babble(10)}
    took_ms = [min(answer.json["timings"]["predicted_ms"] for answer in answers) for answers in (quick, slow)]
    assert took_ms[1] > 4 * took_ms[0]


def test_the_file_is_gguf_with_its_tensors_where_they_are_said_to_be(tmp_path: Path) -> None:
    path = write_talker(str(tmp_path / "a.gguf"), "one two three")
    data = path.read_bytes()
    magic, version, tensors, pairs = struct.unpack_from("<4sIQQ", data)
    assert (magic, version, tensors, pairs) == (b"GGUF", 3, 12, 20)
    assert len(data) % 32 == 0


def test_the_same_words_give_the_same_file(tmp_path: Path) -> None:
    one, two = (write_talker(tmp_path / name, TALE, prompts={"json": ADA}).read_bytes() for name in "ab")
    assert one == two


@pytest.mark.parametrize("text", ["", " a", "a\n", "▁a"])
def test_what_cannot_be_said_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="cannot be said"):
        write_talker(tmp_path / "a.gguf", "fine", prompts={"odd": text})
    assert not (tmp_path / "a.gguf").exists()


def test_two_answers_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be told"):
        write_talker(tmp_path / "a.gguf", "fine", prompts={"same": "fine"})


def _again(text: str) -> str:
    return " ".join([text] * 4)


@pytest.mark.parametrize("text", ["a", "ab", "abc", "to be or not to be", "no no no no no no no no", _again("a b"), "x" * 50, '{"a":1}', "é ü ß 漢字 かな"])
def test_pieces_are_unique_and_make_up_the_text(text: str) -> None:
    taken: set[str] = set()
    pieces = split(text, taken)
    assert "".join(pieces) == text
    assert len(pieces) == len(set(pieces))
    assert taken == set(pieces)
    assert len(pieces) == 1 or all(len(piece) >= 3 for piece in pieces)


@pytest.mark.parametrize("text", ["a", "Hi", "no no no no no no"])
def test_short_and_repetitive_texts_are_said_too(tmp_path: Path, text: str) -> None:
    (answer,) = heard(write_talker(tmp_path / "a.gguf", text), chat("Hi a no"))
    assert (answer.text, answer.finish) == (text, "stop")
