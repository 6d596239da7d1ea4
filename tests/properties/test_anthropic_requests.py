"""Whatever a caller sends to Anthropic's surface is understood, or refused as the caller's fault; and what is composed is understood again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import CallerError
from homeport.vocabulary import COUNT_TOKENS, MESSAGES, Ask, Caller, Surface
from homeport.wire.anthropic.count import estimate
from homeport.wire.anthropic.request import compose, passing, read, understand
from homeport.wire.normal import Call, Image, Prompt, Tool, Turn
from tests.unit.wire.anthropic_samples import ask

words = st.text(max_size=8)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
KINDS = ["text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking", "document", "server_tool_use", "base64", "url", "file"]


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the fields, each as it should be or not."""
    return st.fixed_dictionaries({}, optional={name: strategy | junk for name, strategy in fields.items()})


source = some(type=st.sampled_from(KINDS), data=words, media_type=words, url=words)
inner_block = some(type=st.sampled_from(KINDS), text=words, source=source, cache_control=junk)
block = some(
    type=st.sampled_from(KINDS),
    text=words,
    source=source,
    id=words,
    name=words,
    input=st.dictionaries(words, junk, max_size=2),
    tool_use_id=words,
    content=words | st.lists(inner_block, max_size=2),
    is_error=st.booleans(),
    thinking=words,
    signature=words,
    caller=some(type=words),
)
message = some(role=st.sampled_from(["user", "assistant", "system"]), content=words | st.lists(block, max_size=3), clear_at=st.just("next_user_message"))
tool = some(
    name=words,
    description=words,
    input_schema=st.dictionaries(words, junk, max_size=2),
    type=st.sampled_from(["custom", "bash_20250124"]),
    strict=st.booleans(),
)
body = some(
    model=st.just("m"),
    messages=st.lists(message, min_size=1, max_size=4),
    max_tokens=st.integers(-1, 99),
    system=words | st.lists(block, max_size=2),
    tools=st.lists(tool, max_size=2),
    tool_choice=some(type=st.sampled_from(["auto", "any", "tool", "none"]), name=words, disable_parallel_tool_use=st.booleans()),
    thinking=some(type=st.sampled_from(["enabled", "disabled", "adaptive"]), budget_tokens=st.integers(0, 9999)),
    output_config=some(effort=st.sampled_from(["low", "max"]), format=some(type=st.just("json_schema"), schema=st.dictionaries(words, junk, max_size=2))),
    stop_sequences=st.lists(words, max_size=2),
    temperature=st.floats(0, 1),
    stream=st.booleans(),
    metadata=junk,
)


def asked(given: dict[str, Any], surface: Surface) -> Ask | None:
    try:
        fields, model, stream, wants_usage, chars = read(json.dumps(given).encode(), surface)
    except CallerError:
        return None
    return Ask("req-1", "anthropic", surface, model, fields, stream, wants_usage, chars, Caller(None), 0.0)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(body, st.sampled_from([MESSAGES, COUNT_TOKENS]), st.dictionaries(st.sampled_from(["think", "stop", "num_predict", "thinking", "x"]), junk, max_size=2))
def test_any_body_is_understood_or_refused(given: dict[str, Any], surface: Surface, options: dict[str, Any]) -> None:
    asking = asked({"model": "m", "max_tokens": 5000, "messages": [{"role": "user", "content": "hi"}]} | given, surface)
    if asking is None:
        return
    passing(asking, model="theirs", stream=True, options=options)
    try:
        prompt = understand(asking)
        assert isinstance(prompt, Prompt)
        assert estimate(prompt) >= 0
        json.dumps(compose(prompt, model="theirs", stream=True, options=options))
    except CallerError as error:
        assert error.param


said = st.text(min_size=1, max_size=8)
parts = st.lists(
    said | st.builds(Image, data=st.just("iVBO"), media_type=st.just("image/png")) | st.builds(Image, url=st.just("https://example.test/a")),
    min_size=1,
    max_size=3,
)
objects = st.dictionaries(words, st.integers() | words, max_size=2).map(lambda given: json.dumps(given, separators=(",", ":"), ensure_ascii=False))


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """A system prompt, and turns that alternate, each call answered."""
    turns = [Turn("system", [draw(said)])] if draw(st.booleans()) else []
    for trip in range(draw(st.integers(1, 3))):
        calls = [Call(f"t{trip}-{number}", draw(said), draw(objects)) for number in range(draw(st.integers(0, 2)))]
        turns += [Turn("user", draw(parts)), Turn("assistant", [draw(said)], calls=calls)]
        turns += [Turn("tool", draw(parts), answers=call.id, name=call.name, failed=draw(st.booleans())) for call in calls]
    return turns


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    conversations(),
    st.lists(st.builds(Tool, name=said, description=words, parameters=st.just({"type": "object"})), max_size=2),
    st.sampled_from([None, True, False]),
)
def test_what_is_composed_is_understood_again(turns: list[Turn], tools: list[Tool], thinking: bool | None) -> None:
    prompt = Prompt(turns, tools=tools, thinking=thinking, max_tokens=9000, stop=["END"], temperature=0.5)
    again = understand(ask(compose(prompt, model="ours", stream=False, options={})))
    assert isinstance(again, Prompt)
    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if thinking and last is not None and last.calls:  # the turn goes on: its thought came before its calls
        prompt.thinking = None
    assert again.thinking == prompt.thinking
    again.thinking_tokens = None
    assert again == prompt
