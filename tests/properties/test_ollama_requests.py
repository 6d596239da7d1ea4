"""Any body is read, passed on and understood, or refused as the caller's fault; and what is understood can be asked again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import CallerError, HomeportError, Uncarried
from homeport.vocabulary import EMBED, GENERATE, OLD_EMBED, OLLAMA_CHAT, Surface
from homeport.wire.normal import Call, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.ollama import reply as ollama_reply
from homeport.wire.ollama import request as ollama_request
from tests.unit.wire.ollama_samples import PNG, TOOL, ask

SURFACES = st.sampled_from([OLLAMA_CHAT, GENERATE, EMBED, OLD_EMBED])
FUZZ = settings(max_examples=300, deadline=None, derandomize=True)
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["role", "content", "name", "function", "x"]), inner, max_size=3)),
    max_leaves=6,
)
OPTIONS = st.dictionaries(
    st.sampled_from(["num_predict", "seed", "stop", "temperature", "num_ctx", "mirostat", "top_k", "x"]),
    st.one_of(st.none(), st.integers(-3, 9), st.floats(-1, 2), st.text(max_size=3), st.lists(st.text(max_size=3), max_size=2)),
    max_size=3,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool", "developer", "wizard"])},
        optional={
            "content": st.one_of(st.none(), st.text(max_size=5)),
            "thinking": st.text(max_size=5),
            "images": st.just([PNG]),
            "tool_calls": st.just([{"function": {"name": "f", "arguments": {"a": 1}}}]),
            "tool_name": st.just("f"),
            "x": JUNK,
        },
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"model": st.one_of(st.just("m"), st.text(max_size=4), JUNK)},
    optional={
        "messages": st.one_of(MESSAGES, JUNK),
        "prompt": st.one_of(st.text(max_size=5), JUNK),
        "input": st.one_of(st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2), JUNK),
        "stream": st.one_of(st.booleans(), JUNK),
        "raw": st.booleans(),
        "system": st.text(max_size=3),
        "suffix": st.text(max_size=3),
        "think": st.one_of(st.booleans(), st.sampled_from(["low", "max", "no", ""]), JUNK),
        "format": st.one_of(st.sampled_from(["", "json", "xml"]), st.just({"type": "object"}), JUNK),
        "options": st.one_of(OPTIONS, JUNK),
        "tools": st.one_of(st.just([TOOL]), JUNK),
        "keep_alive": st.one_of(st.sampled_from([0, -1, "0s", "5m"]), JUNK),
        "truncate": st.one_of(st.booleans(), st.none()),
        "context": st.just([1, 2]),
        "wibble": JUNK,
    },
)


@FUZZ
@given(SURFACES, BODIES)
def test_any_body_is_read_or_refused(surface: Surface, body: dict[str, Any]) -> None:
    try:
        asked = ask(surface, body)
    except CallerError as error:
        assert str(error)
        return
    passed = json.loads(ollama_request.passing(asked, model="theirs", stream=asked.stream, options={"seed": 1, "keep_alive": -1, "think": False}))
    assert passed["model"] == "theirs"
    given = {name: value for name, value in body.items() if value is not None and name not in ("model", "stream", "options")}
    assert passed.items() >= given.items()
    assert surface in (EMBED, OLD_EMBED) or passed["stream"] is asked.stream
    ready = ollama_reply.ready(asked)
    assert (ollama_request.loads(asked.fields, surface) is None) or ready is not None
    try:
        prompt = ollama_request.understand(asked)
        if ready is None:
            ollama_request.compose(prompt, model="theirs", stream=asked.stream, options={})
    except CallerError as error:
        assert error.param, str(error)


@FUZZ
@given(SURFACES, st.binary(max_size=40))
def test_any_bytes_are_refused_or_read(surface: Surface, body: bytes) -> None:
    for data in (body, b'{"model":"m",' + body, b'{"model":"m","prompt":"' + body + b'"}'):
        try:
            ollama_request.read(data, surface)
        except CallerError as error:
            assert str(error)


@FUZZ
@given(
    st.integers(200, 599),
    st.one_of(st.binary(max_size=40), JUNK.map(lambda junk: json.dumps({"error": junk}).encode()), JUNK.map(lambda junk: json.dumps(junk).encode())),
)
def test_any_refusal_is_somebodys_fault(status: int, body: bytes) -> None:
    assert isinstance(ollama_reply.refusal(status, body), HomeportError)


TEXT = st.text(min_size=1, max_size=6)
TURNS = st.lists(
    st.one_of(
        st.builds(lambda text: Turn("user", [text]), TEXT),
        st.builds(lambda text: Turn("system", [text]), TEXT),
        st.builds(lambda text, id: Turn("assistant", [text], reasoning="Hm", calls=[Call(id, "f", '{"a":1}')]), TEXT, st.sampled_from(["", "c1"])),
        st.builds(lambda text: Turn("tool", [text], name="f", answers="c1"), TEXT),
    ),
    min_size=1,
    max_size=4,
)
NUMBER = st.one_of(st.none(), st.floats(0, 2))
PROMPTS = st.builds(
    Prompt,
    TURNS,
    tools=st.sampled_from([[], [Tool("f", "Does.", {"type": "object"})]]),
    format=st.sampled_from([None, "json", Schema({"type": "object"})]),
    stop=st.lists(TEXT, max_size=2),
    max_tokens=st.one_of(st.none(), st.integers(1, 99)),
    temperature=NUMBER,
    top_p=NUMBER,
    top_k=st.one_of(st.none(), st.integers(0, 99)),
    min_p=NUMBER,
    frequency_penalty=NUMBER,
    presence_penalty=NUMBER,
    repeat_penalty=NUMBER,
    seed=st.one_of(st.none(), st.integers(0, 99)),
    thinking=st.sampled_from([None, True, False, "low", "medium", "high", "max"]),
)


@FUZZ
@given(PROMPTS)
def test_what_was_understood_is_what_is_asked(prompt: Prompt) -> None:
    surface, body = ollama_request.compose(prompt, model="m", stream=True, options={})
    assert surface is OLLAMA_CHAT
    assert ollama_request.understand(ask(surface, body)) == prompt


@FUZZ
@given(
    st.builds(Prompt, st.builds(lambda text: [Turn("user", [text])], TEXT), raw=st.booleans(), suffix=TEXT),
    st.builds(Texts, st.lists(TEXT, min_size=1, max_size=3)),
)
def test_gaps_and_texts_too(prompt: Prompt, texts: Texts) -> None:
    for asked in (prompt, texts):
        surface, body = ollama_request.compose(asked, model="m", stream=False, options={})
        if isinstance(asked, Prompt) and asked.suffix:
            asked.raw = False  # Ollama fills a gap by its template only
        assert ollama_request.understand(ask(surface, body)) == asked


def test_a_level_that_nobody_knows_is_not_guessed() -> None:
    try:
        ollama_request.compose(Prompt([Turn("user", ["Hi"])], thinking="somewhat"), model="m", stream=False, options={})
    except Uncarried as error:
        assert error.param == "reasoning_effort"
    else:
        raise AssertionError("a level was guessed")
