"""The seam between two parts of an answer, and the stream that both of them tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from homeport.errors import BrokeMidStream
from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES, Begun, Route, Surface, Usage
from homeport.wire.continuing import SURE, Plan, Seam, Telling, plan
from tests.dialects import ask, told
from tests.faults.engines import Goes, data, events

TEXTS = st.text(st.sampled_from("ab \n“é🚢"), min_size=1, max_size=8)
LONG = "a text that is longer than any token could be, " * 6 + "or so"


def joined(seam: Seam, pieces: list[str]) -> str:
    return "".join(map(seam.take, pieces)) + seam.end()


@given(TEXTS, st.lists(TEXTS, max_size=6))
@example("ha", ["h", "a"])
@example("ab", ["a", "", "a"])
def test_what_comes_behind_passes_to_the_character_or_not_at_all(text: str, pieces: list[str]) -> None:
    """Refused is only what repeats all of the text from its beginning."""
    said = "".join(pieces)
    if said.startswith(text):
        with pytest.raises(BrokeMidStream):
            joined(Seam(text), pieces)
    else:
        assert joined(Seam(text), pieces) == said


@given(TEXTS, st.text(st.sampled_from(" \n\t"), min_size=1, max_size=3), st.text("xyz", max_size=9), st.data())
def test_blanks_that_are_owed_are_said_once(text: str, owed: str, rest: str, draw: st.DataObject) -> None:
    said = owed + rest
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(said)), max_size=4)))
    pieces = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    if said.startswith(text):  # only blanks: what was given never is
        return
    assert joined(Seam(text, owed), pieces) == rest


@pytest.mark.parametrize("pieces", [["x"], [" x"], ["\n", "x"], [" "], []])
def test_other_blanks_than_those_owed_do_not_fit(pieces: list[str]) -> None:
    with pytest.raises(BrokeMidStream, match="otherwise than the text"):
        joined(Seam("The", " \n"), pieces)


@pytest.mark.parametrize("rest", ["", " and more", LONG])
def test_a_repetition_in_one_piece_is_cut_off(rest: str) -> None:
    assert len(LONG) >= SURE
    assert joined(Seam(LONG), [LONG + rest, " x"]) == rest + " x"
    assert joined(Seam(LONG, "\n"), [LONG + "\n" + rest, " x"]) == rest + " x"


@pytest.mark.parametrize("pieces", [[LONG[:5], LONG[5:]], list(LONG), [LONG[:-1], LONG[-1] + " x"]])
def test_a_repetition_piece_by_piece_may_be_the_models_own(pieces: list[str]) -> None:
    with pytest.raises(BrokeMidStream, match="nobody could tell"):
        joined(Seam(LONG), pieces)


def test_nothing_is_held_back_that_cannot_be_a_repetition() -> None:
    seam = Seam("The harbour")
    assert [seam.take(piece) for piece in ("", " is", " The", " harbour")] == ["", " is", " The", " harbour"]
    seam = Seam("The harbour")
    assert [seam.take(piece) for piece in ("The", " h", "orn")] == ["", "", "The horn"]


SCHEMA: dict[str, Any] = {"type": "object"}
TOOL = [{"type": "function", "function": {"name": "f"}}]
PLANS: list[tuple[Surface, dict[str, Any], dict[str, Any], Plan | None]] = [
    (CHAT, {}, {}, Plan()),
    (CHAT, {"max_tokens": 9}, {}, Plan(9)),
    (CHAT, {"max_completion_tokens": 9}, {"max_tokens": 7}, Plan(9)),
    (CHAT, {}, {"max_tokens": 7, "temperature": 0.1}, Plan(7)),
    (CHAT, {"tools": TOOL, "tool_choice": "auto"}, {}, Plan()),
    (CHAT, {"tools": TOOL, "tool_choice": "none", "n": 1, "logprobs": False}, {}, Plan()),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}]}, {}, Plan()),
    (CHAT, {"tools": TOOL, "tool_choice": "required"}, {}, None),
    (CHAT, {"n": 2}, {}, None),
    (CHAT, {"logprobs": True}, {}, None),
    (CHAT, {"response_format": {"type": "json_object"}}, {}, None),
    (CHAT, {"response_format": {"type": "text"}}, {}, Plan()),
    (CHAT, {"grammar": "x"}, {}, None),
    (CHAT, {"echo": True}, {}, None),
    (CHAT, {"reasoning_effort": "high"}, {}, None),
    (CHAT, {"reasoning_effort": "none"}, {}, Plan()),
    (CHAT, {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "The"}]}, {}, None),
    (CHAT, {}, {"response_format": {"type": "json_object"}}, None),
    (CHAT, {}, {"n": 2}, None),
    (CHAT, {"messages": 5}, {}, None),
    (COMPLETIONS, {"max_tokens": 9}, {}, Plan(9, raw=True)),
    (COMPLETIONS, {}, {"max_tokens": 9}, Plan(9, raw=True)),
    (COMPLETIONS, {}, {}, None),
    (COMPLETIONS, {"max_tokens": 9, "prompt": ["a", "b"]}, {}, None),
    (COMPLETIONS, {"max_tokens": 9, "echo": True}, {}, None),
    (COMPLETIONS, {"max_tokens": 9, "suffix": "x"}, {}, None),
    (EMBEDDINGS, {}, {}, None),
    (RESPONSES, {"max_output_tokens": 9}, {}, Plan(9)),
    (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}}, {}, None),
    (MESSAGES, {}, {}, Plan(900)),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 3000}, {}, None),
    (OLLAMA_CHAT, {"options": {"num_predict": 9}}, {}, Plan(9)),
    (OLLAMA_CHAT, {"options": {"num_predict": -1}}, {}, Plan()),
    (OLLAMA_CHAT, {"format": SCHEMA}, {}, None),
    (OLLAMA_CHAT, {"think": True}, {}, None),
    (OLLAMA_CHAT, {"think": False}, {}, Plan()),
    (GENERATE, {}, {}, Plan()),
    (GENERATE, {"raw": True}, {}, None),
    (GENERATE, {"raw": True, "options": {"num_predict": 9}}, {}, Plan(9, raw=True)),
]


@pytest.mark.parametrize(("surface", "fields", "options", "expected"), PLANS)
def test_which_answers_could_be_gone_on_with(surface: Surface, fields: dict[str, Any], options: dict[str, Any], expected: Plan | None) -> None:
    asked = ask(surface, stream=True)
    asked = msgspec.structs.replace(asked, fields=asked.fields | {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    assert plan(asked, options) == expected


def telling(limit: float = 100, surface: Surface = CHAT) -> Telling:
    return Telling(ask(surface, stream=True), Plan(limit), "openai", 0)


def chunk(**delta: Any) -> bytes:
    return data({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


@pytest.mark.parametrize("surface", [CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT])
def test_two_parts_make_one_stream(surface: Surface) -> None:
    opening, tokens, closing = events("openai", CHAT.value, Goes(text="one two three four", usage=(9, 2)))
    answer = telling(surface=surface)
    heard = answer.feed(opening) + b"".join(map(answer.feed, tokens[:2])) + answer.feed(tokens[2][:40])
    assert answer.beginning == Begun("one two", 2)
    answer.go_on(Route("b", "m", engine="llama.cpp", begun=Begun("one two", 2)), "openai")
    assert (answer.events, answer.usage) == (0, Usage(completion=2, estimated=True))
    heard += answer.feed(opening) + b"".join(map(answer.feed, [*tokens[2:], closing]))
    assert answer.done
    assert answer.usage == Usage(prompt=7, completion=4, estimated=True)
    said = told(surface, heard + answer.close({"continued": 1}), stream=True)
    assert (said.text, said.finish, said.whole, said.usage) == ("one two three four", "stop", True, (7, 4))


@pytest.mark.parametrize(
    "said",
    [
        [],
        [chunk(role="assistant", content="")],
        [chunk(content="\n"), chunk(content=" ")],
        [chunk(content="The"), chunk(reasoning="hm")],
        [chunk(reasoning_content="hm"), chunk(content="The")],
        [chunk(content="The"), chunk(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}])],
        [chunk(content="The n\ufffd")],
        [chunk(content="The"), data({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})],
    ],
)
def test_beginnings_that_nobody_could_go_on_from(said: list[bytes]) -> None:
    answer = telling()
    for event in said:
        answer.feed(event)
    assert answer.beginning is None


def test_a_limit_that_is_reached_leaves_nothing_to_say() -> None:
    answer = telling(2)
    answer.feed(chunk(content="The"))
    assert answer.beginning == Begun("The", 1)
    answer.feed(chunk(content=" end"))
    assert answer.beginning is None


def test_thinking_does_not_follow_text() -> None:
    answer = telling()
    answer.feed(chunk(content="The"))
    answer.go_on(Route("b", "m", engine="vllm", begun=Begun("The", 1)), "openai")
    answer.feed(chunk(reasoning="\n"))
    with pytest.raises(BrokeMidStream, match="thinks"):
        answer.feed(chunk(reasoning="hm"))
    assert answer.beginning is not None
    assert answer.beginning.text == "The"


def test_a_part_that_said_nothing_changes_nothing() -> None:
    answer = telling()
    answer.feed(chunk(content="The"))
    begun = Begun("The", 1)
    for _ in range(3):
        answer.go_on(Route("b", "m", engine="vllm", begun=begun), "openai")
        answer.feed(chunk(role="assistant", content=""))
        assert answer.beginning == begun
    assert answer.parts == 4
