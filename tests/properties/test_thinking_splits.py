"""However the text of an answer is cut into pieces, the same of it is thinking and the same is answer."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.wire.thinking import Splitter, split

PARTS = ["<think>", "</think>", "<thinking>", "</thinking>", "<", "<th", "</thi", ">", " ", "\n", "a", "Hello, you.", "ž🐴"]
texts = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=12).map("".join)


def in_pieces(text: str, cuts: list[int]) -> tuple[str, str]:
    splitter = Splitter()
    told = [splitter.feed(text[a:b]) for a, b in itertools.pairwise([0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)])]
    told.append(splitter.end())
    return "".join(said for said, _ in told), "".join(thought for _, thought in told)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(texts, st.lists(st.integers(0, 1000), max_size=20))
def test_any_split_gives_the_same(text: str, cuts: list[int]) -> None:
    assert in_pieces(text, cuts) == split(text)
    assert in_pieces(text, list(range(len(text)))) == split(text)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(texts)
def test_nothing_is_lost_but_tags_and_the_blanks_beside_them(text: str) -> None:
    said, thought = split(text)
    if not text.lstrip().startswith("<think"):
        assert (said, thought) == (text, "")
    kept = "".join((thought + said).split())
    left = iter("".join(text.split()))
    assert all(letter in left for letter in kept)  # in order, nothing made up


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(["think", "thinking"]), st.text(), st.text(), st.text(" \n\t", max_size=3))
def test_what_was_put_between_tags_comes_out(tag: str, thought: str, said: str, blank: str) -> None:
    if f"</{tag}>" in thought:
        return
    assert split(f"{blank}<{tag}>{blank}{thought}{blank}</{tag}>{blank}{said}") == (said.lstrip(), thought.strip())
