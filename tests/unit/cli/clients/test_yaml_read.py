"""The YAML that people write is read, with its lines; what is broken, or written in another way, is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.clients.client import Spoilt
from homeport.cli.clients.yaml_read import read

CONTINUE = """%s
name: Local Assistant   # mine
version: 1.0.0
defaults: &defaults
  temperature: 0.2
models:
  - name: A
    provider: openai
    roles: [chat, "edit"]
    apiBase: http://127.0.0.1:8461/v1
    options:
      <<: *defaults

  # a comment
  - name: "B: b"
    prompt: |
      hello
        world: x

      # no comment
    text: a b
      c d # end
    key: ${{ secrets.KEY }}
rules:
- >-
  folded
- bar: 'it''s'
  baz: {a: [1,
    2], b: "}"}
- - a
  - b
-
  c: d
empty:
list: []
"on": yes
"""


def test_a_whole_configuration() -> None:
    for lead in ("", "---", "# head\n---"):
        node = read(CONTINUE % lead)
        assert node is not None
        assert node.plain() == {
            "name": "Local Assistant",
            "version": "1.0.0",
            "defaults": {"temperature": "0.2"},
            "models": [
                {"name": "A", "provider": "openai", "roles": '[chat, "edit"]', "apiBase": "http://127.0.0.1:8461/v1", "options": {"<<": "*defaults"}},
                {
                    "name": "B: b",
                    "prompt": "      hello\n        world: x\n\n      # no comment",
                    "text": "a b c d",
                    "key": "${{ secrets.KEY }}",
                },
            ],
            "rules": ["  folded", {"bar": "it's", "baz": '{a: [1,\n    2], b: "}"}'}, ["a", "b"], {"c": "d"}],
            "empty": None,
            "list": "[]",
            "on": "yes",
        }


def test_places() -> None:
    node = read("# c\nmodels:\n  - name: A\n    x: 'y' # z\n\n# end\n")
    assert node is not None and isinstance(node.value, dict)
    models = node.value["models"]
    assert (node.lines, models.line, models.end, models.column) == ({"models": 1}, 2, 4, 2)
    assert isinstance(models.value, list) and isinstance(models.value[0].value, dict)
    assert models.value[0].column == 4
    assert models.value[0].value["x"].span == (7, 10)


@pytest.mark.parametrize("text", ["", "\n", "# only\n  # comments\n", "---\n", "---\n...\n"])
def test_nothing(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\n\tb: 2\n", 2, "a tab"),
        ("a: 1\nb\n", 2, "neither a key"),
        ("a: 1\nb:2\n", 2, "neither a key"),
        ("a: 1\n  b: 2\n", 2, "a colon in the middle"),
        ("a:\n    b: 1\n  c: 2\n", 3, "indentation"),
        ("a:\n  - x\n b: 1\n", 3, "indentation"),
        ("- x\na: 1\n", 2, "indentation"),
        ("a: 1\na: 2\n", 2, "a second time, first on line 1"),
        ("a: 'x\nb: 2\n", 1, "closing quote"),
        ('a: "x\n', 1, "closing quote"),
        ('a: "\\q"\n', 1, "escape"),
        ("a: [1, 2\nb: 3\n", 1, "] is missing"),
        ("a: {b: [1}\n", 1, "closes nothing"),
        ("a: 'x' y\n", 1, "behind the end"),
        ("a: b: c\n", 1, "a colon in the middle"),
        ("a: @b\n", 1, "must stand in quotes"),
        ("a: *b\n", 1, "of nothing above it"),
        ("a: | x\n", 1, "behind |"),
        ("a: |\n    x\n  y\n", 3, "neither a key"),
        ("a: b # c\n  d\n", 2, "neither a key"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("%YAML 1.2\n---\na: 1\n", 1, "directive"),
        ("? a\n: b\n", 1, "after ?"),
        ("&a b: c\n", 1, "before a key"),
        ("-\tx\n", 1, "a tab"),
    ],
)
def test_what_is_broken_is_told_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Spoilt) as told:
        read(text)
    assert (told.value.line, what in told.value.what) == (line, True), told.value


@given(st.text("ab:-#'\"[]{}|>&*!?%@\\ \n\t,", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except Spoilt as told:
        assert 1 <= told.line <= text.count("\n") + 1
