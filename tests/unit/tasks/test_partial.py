"""The object so far: whatever the pieces, each value shown is a beginning of the whole, and the last is the whole."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeport.tasks.partial import Growing, Partial

values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def begins(part: Any, whole: Any) -> bool:
    """Whether `part` may be the beginning of `whole`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and list(whole)[: len(part)] == list(part) and all(begins(part[name], whole[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) <= len(whole) and all(map(begins, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, int) and isinstance(whole, int) and not isinstance(part, bool):
        return str(whole).startswith(str(part)) or part == 0
    return bool(part == whole)


@given(
    st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=4),
    st.lists(st.integers(0, 300), max_size=30),
    st.sampled_from(["", "Sure:\n```json\n", "<think>a {</think>"]),
)
def test_each_value_is_a_beginning_and_the_last_is_the_whole(value: dict[str, Any], cuts: list[int], before: str) -> None:
    text = before + json.dumps(value, ensure_ascii=False) + "\n```\nDone {}"
    ends = sorted({*(cut for cut in cuts if cut < len(text)), len(text)})
    partial = Partial()
    shown = [found for begin, end in zip([0, *ends], ends, strict=False) if (found := partial.take(text[begin:end])) is not None]
    assert shown[-1] == value
    assert all(begins(found, value) for found in shown)


def test_nothing_is_shown_twice_nor_before_the_object() -> None:
    partial = Partial()
    pieces = ("Here", " it is: ", '{"a"', ": ", '"x', 'y"', " ", "}", "{")
    assert [partial.take(piece) for piece in pieces] == [None, None, {}, None, {"a": "x"}, {"a": "xy"}, None, None, None]


def test_plain_text_grows_and_thought_is_not_shown() -> None:
    growing = Growing()
    assert [growing.take(piece) for piece in ("<th", "ink>hm", "</think>", " A", " b")] == [None, None, None, "A", "A b"]
    assert Growing().take("Hello") == "Hello"


def test_what_is_shown_of_a_long_text_is_linear_in_it() -> None:
    """5 KB by words were 2.6 MB when each word showed all of it."""
    shown = {}
    for words in (1000, 4000):
        growing = Growing()
        shown[words] = sum(len(text) for _ in range(words) if (text := growing.take("word ")) is not None)
    assert shown[4000] < 5 * shown[1000]
    assert shown[4000] < 70 * 4000 * 5


def test_a_continuation_is_shown_with_all_that_looks_like_thought() -> None:
    growing = Growing(thought=True)
    assert [growing.take(piece) for piece in (" a", " </think>", " b")] == [" a", " a </think>", " a </think> b"]


def test_half_a_name_is_not_shown() -> None:
    partial = Partial()
    assert [partial.take(piece) for piece in ('{"a": 1, "na', 'me": tr', "ue}")] == [{"a": 1}, None, {"a": 1, "name": True}]


def test_half_of_a_character_is_not_shown() -> None:
    growing, partial = Growing(), Partial()
    assert [growing.take(piece) for piece in ("a", "\ud83d", "b")] == ["a", None, None]
    assert [partial.take(piece) for piece in ('{"k": "a', "\ud83d", '"}')] == [{"k": "a"}, {}, None]
