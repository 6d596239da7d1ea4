"""Broken replies: the type that was asked for, or a Fault, and never a field less; beside the parser that people write first."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from homeport.tasks.fault import Fault
from homeport.tasks.reading import read, without_thought
from homeport.tasks.shapes import Shape, plain
from tests.docs.pages import Page
from tests.unit.tasks import article
from tests.unit.tasks.broken import INPUT, WHOLE, Broken, Person, corpus

CORPUS = corpus()
GROUPS = list(dict.fromkeys(case.group for case in CORPUS))
SHAPES = {repr(case.type): Shape(case.type) for case in CORPUS}


def ours(case: Broken) -> str:
    """right, refused, or wrong: a value that the reply does not say."""
    try:
        value = plain(read(case.text, SHAPES[repr(case.type)], [INPUT]))
    except Fault:
        return "refused"
    return "right" if case.meant is not None and same(value, case.meant) else "wrong"


def theirs(case: Broken) -> str:
    try:
        value = article.parse(case.text)
    except ValueError:
        return "refused"
    return "right" if case.meant is not None and same(value, case.meant) else "wrong"


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("group", GROUPS)
def test_each_broken_reply_gives_what_it_says_or_a_fault(group: str) -> None:
    for case in CORPUS:
        if case.group == group:
            verdict = "right" if case.meant is not None else "refused"
            assert ours(case) == verdict, (case.text[:200], case.meant)


def test_the_corpus_is_large_and_has_ten_objects_cut_at_every_byte() -> None:
    assert len(CORPUS) >= 300
    assert len(WHOLE) == 10
    cuts = Counter(repr(case.type) for case in CORPUS if case.group == "truncated")
    assert sum(cuts.values()) == sum(len(json.dumps(value, ensure_ascii=False).encode()) for _, value in WHOLE)


def test_the_table_beside_the_first_parser_is_the_one_in_the_docs() -> None:
    counts = {group: [Counter(judge(case) for case in CORPUS if case.group == group) for judge in (ours, theirs)] for group in GROUPS}
    rows = []
    for group, (our, their) in counts.items():
        figures = [count[verdict] for count in (our, their) for verdict in ("right", "refused", "wrong")]
        rows.append(f"| {group} | {sum(our.values())} | {' | '.join(map(str, figures))} |")
    every = [sum(count[verdict] for pair in counts.values() for count in [pair[side]]) for side in (0, 1) for verdict in ("right", "refused", "wrong")]
    rows.append(f"| **all** | {len(CORPUS)} | {' | '.join(map(str, every))} |")
    assert every[2] == 0
    assert every[5] > 0
    page = Page("docs/tasks.md").text
    assert [row for row in rows if row not in page] == []


@given(st.text(max_size=200) | st.text("{}[]\",:' \n`abnametruge0123<think>/", max_size=60))
def test_whatever_comes_it_is_the_type_or_a_fault(text: str) -> None:
    for kind, check in ((Person, Person), (int, int), (list[Person], list), (Literal["a", "b"], str)):
        try:
            assert isinstance(read(text, Shape(kind)), check)
        except Fault as fault:
            assert fault.check
            assert fault.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), json_values, max_size=3), st.integers(0, 400), st.text('{}[]",:\\ \n`x1', max_size=3))
def test_an_answer_that_was_tampered_with_never_loses_a_field(value: dict[str, Any], at: int, put: str) -> None:
    class Three(Struct):
        a: Any
        b: Any
        c: Any

    said = json.dumps(value)
    text = said[:at] + put + said[at:]
    try:
        found = plain(read(text, Shape(Three)))
    except Fault:
        return
    assert found.keys() == {"a", "b", "c"} <= value.keys()


@given(st.lists(st.text("ab's\" ", max_size=5), min_size=1, max_size=4))
def test_a_list_in_apostrophes_is_what_it_says_or_a_fault(texts: list[str]) -> None:
    try:
        found = read("['" + "', '".join(texts) + "']", Shape(list[str]))
    except Fault:
        return
    assert found == texts


@given(st.lists(st.text("ab' ", max_size=5), max_size=4))
def test_a_list_as_python_writes_it_is_read(texts: list[str]) -> None:
    assert read(repr(texts), Shape(list[str])) == texts


def test_what_is_mended_takes_time_by_its_length_only() -> None:
    begun = time.process_time()
    for text in ("[" + "1,1" * 10_000 + "]", "['" + "it's " * 6_000 + "']", "['" + "\\\\" * 15_000 + "]", "[" + '"' * 30_001 + "]"):
        with pytest.raises(Fault):
            read(text, Shape(list[str]))
    assert time.process_time() - begun < 2


def test_a_fault_tells_nothing_of_the_answer() -> None:
    class Choice(Struct):
        kind: Literal["a", "b"]

    for text in ('{"kind": "SECRET"}', '{"kind": "a", "SECRET": 1}', "SECRET", '{"SECRET', '{"kind": "SECRET",}'):
        with pytest.raises(Fault) as caught:
            read(text, Shape(Choice))
        assert "SECRET" not in str(caught.value)
        assert "SECRET" not in caught.value.reason


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a</think><think>b</think>c", "c"),
        ("say <think> it", "say <think> it"),
        ("plain", "plain"),
    ],
)
def test_thought_at_the_beginning_of_a_text_is_cut(text: str, rest: str) -> None:
    assert without_thought(text) == rest
    assert read(text, Shape(str)) == rest


def test_thought_without_an_end_is_no_answer() -> None:
    with pytest.raises(Fault, match="still thinks"):
        read("<think>hm", Shape(str))


def test_a_long_answer_is_not_looked_at() -> None:
    with pytest.raises(Fault, match="longer than"):
        read("x" * 1_000_001, Shape(str))


def test_a_long_broken_object_is_not_mended() -> None:
    with pytest.raises(Fault, match="longer than"):
        read("{'name': '" + "x" * 70_000 + "', 'age': 1}", Shape(Person))


def test_brackets_without_end_do_not_take_for_ever() -> None:
    with pytest.raises(Fault):
        read("[a" * 400_000, Shape(Person))


def test_many_thoughts_are_cut_in_one_pass() -> None:
    """With the rest copied for each of them it takes ten seconds."""
    began = time.process_time()
    assert without_thought("<think></think>" * 200_000 + " x") == " x"
    assert time.process_time() - began < 3
