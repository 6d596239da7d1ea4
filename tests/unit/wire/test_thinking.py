"""Thinking between tags is told apart only where the answer begins with them."""

from __future__ import annotations

import pytest

from homeport.wire.thinking import Splitter, split


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("<think>\nLet me see.\n</think>\n\nBlue.", "Blue.", "Let me see."),
        (" \n<thinking>a < b</thinking>Blue.", "Blue.", "a < b"),
        ("<think></think>Blue.", "Blue.", ""),
        ("<think>\n\n</think>\n\n", "", ""),
        ("<think>cut in the mid", "", "cut in the mid"),
        ("<think>cut in the tag</thi", "", "cut in the tag</thi"),
        ("<think>other</thinking> tag</think>x", "x", "other</thinking> tag"),
        ("Blue <think>not this</think>.", "Blue <think>not this</think>.", ""),
        ("<think>a</think>b<think>c</think>d", "b<think>c</think>d", "a"),
        ("<thin ice>", "<thin ice>", ""),
        ("<thinker>", "<thinker>", ""),
        ("  indented", "  indented", ""),
        ("<thi", "<thi", ""),
        ("", "", ""),
    ],
)
def test_split(text: str, said: str, thought: str) -> None:
    assert split(text) == (said, thought)


def test_thinking_is_told_as_it_comes() -> None:
    splitter = Splitter()
    assert splitter.feed("<think>") == ("", "")
    assert splitter.feed("Let me ") == ("", "Let me")
    assert splitter.feed("see </th") == ("", " see")
    assert splitter.feed("em") == ("", " </them")
    assert not splitter.settled
    assert splitter.feed("</think>\n") == ("", "")
    assert splitter.feed("\nBlue") == ("Blue", "")
    assert splitter.settled
    assert splitter.feed(" <think>") == (" <think>", "")


def test_plain_text_is_not_held() -> None:
    splitter = Splitter()
    assert splitter.feed("B") == ("B", "")
    assert splitter.settled
