"""What a prompt asks stands in the request that is composed of it, in every dialect and from one to the next, or the request is refused."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import Uncarried
from homeport.vocabulary import Ask, Caller, Surface
from homeport.wire.bridge import BRIDGES
from homeport.wire.dialects import HEARD, SPOKEN
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from tests.dialects import DIALECT

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
words = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8).filter(
    lambda word: word == word.strip() and bool(word)
)
texts = st.one_of(words, st.sampled_from(['"quoted"\n\\', "日本 🐴", "<b>&amp;</b>", "{}", "data: [DONE]\n\n", "\u2028"]))
arguments = st.dictionaries(words, st.integers(-9, 9) | words | st.lists(words, max_size=2), max_size=2).map(json.dumps)


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    """A conversation: a system prompt or none, then user and assistant in turn, with calls that are answered, and a user last."""
    out = [Turn("system", [draw(texts)])] if draw(st.booleans()) else []
    for trip in range(draw(st.integers(0, 2))):
        calls = [Call(f"call_{trip}_{number}", draw(st.sampled_from(["f", "g"])), draw(arguments)) for number in range(draw(st.integers(0, 2)))]
        out += [Turn("user", [draw(texts)]), Turn("assistant", [draw(texts)], calls=calls)]
        out += [Turn("tool", [draw(texts)], answers=call.id, name=call.name, failed=draw(st.booleans())) for call in calls]
    image = [Image(PNG, "image/png")] if draw(st.booleans()) else []
    return [*out, Turn("user", [draw(texts), *image])]


tools = st.lists(st.builds(Tool, name=st.sampled_from(["f", "g"]), description=words, parameters=st.just(SCHEMA)), max_size=2, unique_by=lambda tool: tool.name)
PLAIN: dict[str, st.SearchStrategy[Any]] = {  # what every dialect has words for
    "tools": tools,
    "stop": st.lists(words, max_size=2, unique=True),
    "max_tokens": st.none() | st.integers(1, 9999),
    "temperature": st.none() | st.floats(0, 1),
    "top_p": st.none() | st.floats(0.01, 1),
    "top_k": st.none() | st.integers(1, 99),
    "format": st.none() | st.builds(Schema, st.just(SCHEMA)),
}
MORE: dict[str, st.SearchStrategy[Any]] = {  # what some of them have
    "format": st.none() | st.just("json"),
    "seed": st.none() | st.integers(0, 99),
    "min_p": st.none() | st.floats(0.01, 0.5),
    "frequency_penalty": st.none() | st.floats(0.1, 1),
    "presence_penalty": st.none() | st.floats(0.1, 1),
    "repeat_penalty": st.none() | st.floats(1.1, 2),
    "thinking": st.sampled_from([None, None, True, False, "low", "medium", "high"]),
    "parallel_calls": st.sampled_from([None, None, True, False]),
    "tool_choice": st.sampled_from([None, None, "auto", "none", "required"]),
    "raw": st.sampled_from([False, False, False, True]),
    "suffix": st.sampled_from(["", "", "", "the end"]),
}
plain = st.builds(Prompt, turns(), **PLAIN)
rich = st.builds(
    Prompt, turns() | st.builds(lambda text: [Turn("user", [text])], texts), **{**PLAIN, **MORE, "max_tokens": st.none() | st.integers(20_000, 99_999)}
)


def carried(prompt: Prompt | Texts, dialect: str) -> tuple[Surface, dict[str, Any]]:
    return SPOKEN[dialect].compose(prompt, model="m", stream=False, options={})


def understood(surface: Surface, made: dict[str, Any]) -> Prompt | Texts:
    """What a gateway that is asked so makes of it."""
    dialect = DIALECT[surface]
    fields, model, stream, usage, chars = HEARD[dialect].read(json.dumps(made).encode(), surface)
    return HEARD[dialect].understand(Ask("req-1", dialect, surface, model, fields, stream, usage, chars, Caller(None), 0.0))


def meaning(prompt: Prompt | Texts) -> dict[str, Any]:
    """What a prompt asks, without what is only how one dialect spells it."""
    assert isinstance(prompt, Prompt)
    said: list[tuple[Any, ...]] = []
    for turn in prompt.turns:
        text = "\n".join(part for part in turn.parts if isinstance(part, str))
        failed = turn.failed or text.lower().startswith("error")
        text = text.removeprefix("Error:").strip() if failed else text
        said.append((turn.role, text, [image.data for image in turn.images], [(call.name, json.loads(call.arguments)) for call in turn.calls], failed))
    offered = prompt.tools if prompt.tool_choice != "none" else []
    return {
        "turns": said,
        "raw": prompt.raw or bool(prompt.suffix),  # a gap to fill goes around the chat template anyway
        "suffix": prompt.suffix,
        "tools": [(tool.name, tool.description, tool.parameters) for tool in offered],
        "tool_choice": prompt.tool_choice if offered and prompt.tool_choice != "auto" else None,
        "one call": bool(offered) and prompt.parallel_calls is False,
        "format": prompt.format.schema if isinstance(prompt.format, Schema) else prompt.format,
        "thinking": prompt.thinking,
        **{
            name: getattr(prompt, name)
            for name in ["stop", "temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "repeat_penalty", "max_tokens"]
        },
    }


def kept(prompt: Prompt, dialect: str) -> None:
    """Composed and understood again it means the same, in the way the dialect can say it; or it is refused, and the field is named."""
    try:
        surface, made = carried(prompt, dialect)
    except Uncarried as refusal:
        assert refusal.param
        return
    asked, found = meaning(prompt), meaning(understood(surface, made))
    if dialect == "anthropic":  # which has a limit for all answers, and counts thinking instead of naming how hard
        if prompt.max_tokens is None:
            asked["max_tokens"] = made["max_tokens"]
        if isinstance(prompt.thinking, str):
            asked["thinking"] = True
        last = next((turn for turn in reversed(prompt.turns) if turn.role == "assistant"), None)
        if last is not None and last.calls and prompt.thinking not in (False, "none"):  # a turn that goes on: its thought came before
            asked["thinking"] = None
    if dialect == "ollama":  # which takes it for a wish
        asked["one call"] = False
    if dialect == "openai" and found["raw"]:  # to think is told by the template, which this prompt goes around
        asked["thinking"] = None
    assert found == asked


@settings(max_examples=250, deadline=None, derandomize=True)
@given(rich, st.sampled_from(sorted(SPOKEN)))
def test_each_dialect_keeps_what_is_asked_or_refuses(prompt: Prompt, dialect: str) -> None:
    kept(prompt, dialect)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(plain)
def test_what_all_dialects_have_survives_any_two_of_them(prompt: Prompt) -> None:
    """From one gateway to the next, each in front of backends of another dialect."""
    for first, second in itertools.permutations(SPOKEN, 2):
        heard = understood(*carried(prompt, first))
        again = understood(*carried(heard, second))
        found, asked = meaning(again), meaning(prompt)
        if prompt.max_tokens is None:
            found.pop("max_tokens")
            asked.pop("max_tokens")
        assert found == asked, (first, second)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.builds(Texts, st.lists(texts, min_size=1, max_size=3), dimensions=st.none() | st.integers(1, 64)))
def test_texts_to_embed(asked: Texts) -> None:
    embedding = [dialect for dialect, spoken in SPOKEN.items() if spoken.vectors is not None]
    assert sorted(embedding) == ["ollama", "openai"]
    for first, second in itertools.product(embedding, repeat=2):
        heard = understood(*carried(asked, first))
        again = understood(*carried(heard, second))
        assert isinstance(again, Texts)
        assert (again.texts, again.dimensions) == (asked.texts, asked.dimensions)


def test_each_surface_has_a_bridge_to_each_backend() -> None:
    assert {backend: set(bridges) for backend, bridges in BRIDGES.items()} == {backend: set(Surface) for backend in SPOKEN}
