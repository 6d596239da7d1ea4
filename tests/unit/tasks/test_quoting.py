"""Grammars of quotes: every run of the input's words and nothing else, in a size linear in the input."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.tasks import quoting

texts = st.lists(st.text("ab ,-", max_size=14), max_size=3)


def runs(found: quoting.Runs) -> list[str]:
    """Every text that the automaton takes, each as often as there are ways to it."""
    taken: list[str] = []
    open_: list[tuple[int, str]] = [(0, "")]
    while open_:
        state, so_far = open_.pop()
        if so_far and found.ends[state]:
            taken.append(so_far)
        open_ += [(target, so_far + piece) for piece, target in found.steps[state].items() if state or not piece.isspace()]
    return taken


@given(texts)
def test_every_run_is_taken_once_and_nothing_else(given_: list[str]) -> None:
    taken = runs(quoting.Runs(given_))
    assert len(taken) == len(set(taken))
    assert set(taken) == {run for text in given_ for run in quoting.every_run(text)}


@given(texts)
def test_it_is_no_larger_than_theory_says(given_: list[str]) -> None:
    found = quoting.Runs(given_)
    number = sum(len(quoting.pieces(text)) for text in given_)
    assert len(found.steps) <= 2 * number + 1
    assert sum(map(len, found.steps)) <= 3 * number + 1


@given(st.text(max_size=60))
def test_pieces_lose_nothing_but_blanks_at_the_ends(text: str) -> None:
    assert "".join(quoting.pieces(text)) == text.strip()


def test_the_grammar_grows_with_the_text_and_not_faster() -> None:
    words = " ".join(f"word{number} is {number % 7}," for number in range(1000))
    small, large = (len("\n".join(quoting.rules([words[:size]]) or [])) for size in (2_000, 16_000))
    assert 6 < large / small < 10


def test_rules_are_right_linear() -> None:
    found = quoting.rules(['He said "hi"\nto Zoë']) or []
    assert found[0] == r'quote ::= "\"" quote-0'
    for rule in found[1:]:
        name, _, body = rule.partition(" ::= ")
        assert re.fullmatch(r"quote-\d+", name)
        for way in body.split(" | "):
            assert re.fullmatch(r'"(?:\\.|[^"\\])+"(?: quote-\d+)?', way), rule


@pytest.mark.parametrize("given_", [[], [""], ["  \n "]])
def test_where_there_is_nothing_to_quote_there_is_no_grammar(given_: list[str]) -> None:
    assert quoting.rules(given_) is None


def test_a_text_that_is_too_long_has_no_grammar() -> None:
    assert quoting.rules(["a " * quoting.MAX_PIECES]) is None


@pytest.mark.parametrize(
    ("piece", "written"),
    [("a", '"a"'), ('\\"', r'"\\\""'), ("\\n", r'"\\n"'), ("é", '"é"'), ("\x7f", r'"\x7f"'), ("\u200b", r'"\u200b"'), ("\U000e0001", r'"\U000e0001"')],
)
def test_literals(piece: str, written: str) -> None:
    assert quoting.literal(piece) == written


def test_a_number_is_one_piece_with_its_points_and_dashes() -> None:
    assert quoting.pieces("€1.250,00 on 2026-05-02, at 10:30. RG-17/4") == [
        "€",
        "1.250,00",
        " ",
        "on",
        " ",
        "2026-05-02",
        ",",
        " ",
        "at",
        " ",
        "10:30",
        ".",
        " ",
        "RG",
        "-",
        "17/4",
    ]


def test_scripts_without_blanks_are_taken_letter_by_letter() -> None:
    assert quoting.pieces("東京 am Main") == ["東", "京", " ", "am", " ", "Main"]
