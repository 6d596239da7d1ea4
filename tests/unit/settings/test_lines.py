"""Where each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.settings.lines import Key, locate

TEXT = '''\
# a comment with [brackets] and "quotes"
title = "x" # [not.a.table]

[server]
listen = "127.0.0.1:1"
"quoted key" = 'a = "b"'
long = """
[no.table]
key = \\"\\"\\" still text
"""
literal = \'\'\'
[neither]\'\'\'
after = 1979-05-27T07:32:00Z

[ models . assistant ]
routes = [
  { backend = "home", model = "a]b" }, # one

  { backend = "vm",
  },
  [ 1,
    2 ],
]
options.deep.er = true

[[list]]
name = 1
[[list]]
name = 2
  [list.inner]
  key = 3
[[list.more]]
key = 4
'''.replace('"vm",\n  }', '"vm" }')  # TOML 1.0 keeps inline tables on one line


def expected() -> dict[Key, int]:
    """Read off the text above by eye."""
    return {
        ("title",): 2,
        ("server",): 4,
        ("server", "listen"): 5,
        ("server", "quoted key"): 6,
        ("server", "long"): 7,
        ("server", "literal"): 11,
        ("server", "after"): 13,
        ("models",): 15,
        ("models", "assistant"): 15,
        ("models", "assistant", "routes"): 16,
        ("models", "assistant", "routes", 0): 17,
        ("models", "assistant", "routes", 0, "backend"): 17,
        ("models", "assistant", "routes", 0, "model"): 17,
        ("models", "assistant", "routes", 1): 19,
        ("models", "assistant", "routes", 1, "backend"): 19,
        ("models", "assistant", "routes", 2): 20,
        ("models", "assistant", "routes", 2, 0): 20,
        ("models", "assistant", "routes", 2, 1): 21,
        ("models", "assistant", "options"): 23,
        ("models", "assistant", "options", "deep"): 23,
        ("models", "assistant", "options", "deep", "er"): 23,
        ("list",): 25,
        ("list", 0): 25,
        ("list", 0, "name"): 26,
        ("list", 1): 27,
        ("list", 1, "name"): 28,
        ("list", 1, "inner"): 29,
        ("list", 1, "inner", "key"): 30,
        ("list", 1, "more"): 31,
        ("list", 1, "more", 0): 31,
        ("list", 1, "more", 0, "key"): 32,
    }


def paths(value: Any, before: Key = ()) -> set[Key]:
    """Every path of a parsed document."""
    inner = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return {(*before, key) for key, _ in inner}.union(*(paths(item, (*before, key)) for key, item in inner))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_key_has_its_line(ending: str) -> None:
    text = TEXT.replace("\n", ending)
    assert paths(tomllib.loads(text)) == set(expected()), "the example and the expectation belong together"
    assert locate(text) == expected()


@pytest.mark.parametrize("text", ["", "# only a comment", 'a = "', "a = [", "a = {", "[a", "'", "a", "a = 'x", "[[", 'k = """', "=", "]"])
def test_a_broken_text_gives_what_can_be_known(text: str) -> None:
    assert set(locate(text).values()) <= {1}


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def written(value: Any, gap: str) -> str:
    """A value in TOML; lists are broken over lines by `gap`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(item, gap)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + gap + "".join(f"{written(item, gap)},{gap}" for item in value) + "]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


def quoted(text: str) -> str:
    """A basic string in TOML."""
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 else f"\\{c}" if c in '"\\' else c for c in text)
    return f'"{escaped}"'


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4), st.sampled_from(["", " ", "\n", " # [x\n  "]))
def test_every_key_of_any_document_is_found_at_a_line_that_names_it(document: dict[str, Any], gap: str) -> None:
    text = "".join(
        f"[{quoted(name)}]\n" + "".join(f"{quoted(key)} = {written(value, gap)}\n" for key, value in table.items()) for name, table in document.items()
    )
    assert tomllib.loads(text) == document
    found = locate(text)
    assert set(found) == paths(document)
    lines = text.split("\n")
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert quoted(path[-1]) in lines[line - 1]
