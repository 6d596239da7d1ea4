"""Differences are shown without secrets."""

from __future__ import annotations

import pytest

from homeport.cli.clients.diff import diff, hidden, painted


def test_a_difference() -> None:
    assert diff("a\n", "a\nb\n", "~/f") == ["--- ~/f", "+++ ~/f with Homeport", "@@ -1 +1,2 @@", " a", "+b"]
    assert diff("a\n", "a\n", "f") == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('    "ANTHROPIC_AUTH_TOKEN": "abc",', '    "ANTHROPIC_AUTH_TOKEN": (hidden),'),
        ("    apiKey: abc def", "    apiKey: (hidden) def"),
        ("openai-api-key: 'abc'", "openai-api-key: (hidden)"),
        ('experimental_bearer_token = "abc"', "experimental_bearer_token = (hidden)"),
        ("export OPENAI_API_KEY=abc", "export OPENAI_API_KEY=(hidden)"),
        ("set -gx OPENAI_API_KEY abc", "set -gx OPENAI_API_KEY (hidden)"),
        ("  - openrouter=sk-or-v1-0123456789abcdef0123", "  - openrouter=(hidden)"),
        ("apiKey: ${{ secrets.HOMEPORT_KEY }}", "apiKey: ${{ secrets.HOMEPORT_KEY }}"),
        ('export OPENAI_API_KEY="$HOMEPORT_KEY"', 'export OPENAI_API_KEY="$HOMEPORT_KEY"'),
        ("openai-api-key: none", "openai-api-key: none"),
        ('env_key = "HOMEPORT_KEY"', 'env_key = "HOMEPORT_KEY"'),
        ('"max_tokens": 32768,', '"max_tokens": 32768,'),
        ("password: |", "password: |"),
    ],
)
def test_secrets_are_hidden(line: str, shown: str) -> None:
    assert hidden(line) == shown


def test_no_control_character_reaches_the_terminal() -> None:
    assert diff("", "\x1b]0;evil\x07\n", "f")[-1] == "+]0;evil"


def test_colours(terminal: None) -> None:
    rows = painted(["--- f", "+++ f", "@@ -1 +1 @@", " a", "-b", "+c"])
    assert rows == ["\x1b[1m--- f\x1b[0m", "\x1b[1m+++ f\x1b[0m", "\x1b[2m@@ -1 +1 @@\x1b[0m", " a", "\x1b[31m-b\x1b[0m", "\x1b[32m+c\x1b[0m"]
