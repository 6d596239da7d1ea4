"""Patterns of an owner: what is taken, and that no text keeps one busy."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.settings.patterns import MAX_CHARS, compiled

WELL = [r"show (?P<item>\w+)", r"show (?P<item>.+) (?P<field>[\w-]+)", r"(?:please )?(?:show|list)(?: all)?", r"[a-f]{2,40}", r"a{3}b*?c*+", "", r"^x\b.$"]
OPEN = [r"(a+)+b", r"(a|a)*b", r"(\w+\s?)*$", r"(?:a?){30}a{30}", r".*.*.*.*x", "a?" * 60 + "a" * 60, r"(a)\1", r"(?=a)a", r"(?<!a)b", "(a|a|a)" * 30]
NONE = ["(", "[a", "*", "(?P<1>x)", "a{2}{3", "x" * 501, "(" * 400 + ")" * 400]


@pytest.mark.parametrize("pattern", WELL)
def test_taken(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", OPEN)
def test_refused_for_it_could_be_kept_busy(pattern: str) -> None:
    with pytest.raises(ValueError, match="busy for long"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", [pattern for pattern in NONE if pattern != "a{2}{3"])
def test_refused_for_it_is_none(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"is no regular expression|longer than|busy"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", [r"\w*\w*\w*!", r".+.+.+\d", r"(a*)(a*)(a*)b", r"(?:a|b)?\w*\w*\w*!"])
def test_the_worst_that_is_taken_ends_soon(pattern: str) -> None:
    found = compiled(pattern)
    began = time.process_time()
    assert found.fullmatch("a" * MAX_CHARS) is None
    assert time.process_time() - began < 2.0


PIECES = st.sampled_from(["a", "b", ".", r"\w", "a*", "a+", "a?", r"\w+", "a{1,9}", "(a|ab)", "(?:a+b)?", "(a|b|ab)?", "[ab]*?"])


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=9).map("".join))
def test_whatever_is_taken_ends_soon(pattern: str) -> None:
    try:
        found = compiled(pattern)
    except ValueError:
        return
    began = time.process_time()
    for text in ("a" * MAX_CHARS, "ab" * (MAX_CHARS // 2), "a" * (MAX_CHARS - 1) + "!"):
        found.fullmatch(text)
    assert time.process_time() - began < 3.0
