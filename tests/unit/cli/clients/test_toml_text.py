"""TOML is edited where it must be, and nowhere else."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.clients import toml_text
from homeport.cli.clients.client import Spoilt

CODEX = """# Codex
# mine

model = "gpt-5" # why
notify = [
  "a",
]

[model_providers.homeport] # ours
name = 'old'

[projects."/x y"]
trust_level = "trusted"
"""
NAME = ("model_providers", "homeport", "name")


def test_a_value_is_replaced_and_the_comment_beside_it_stays() -> None:
    assert toml_text.put(CODEX, ("model",), "m") == CODEX.replace('"gpt-5" # why', '"m" # why')
    assert toml_text.put(CODEX, NAME, 'a"b') == CODEX.replace("'old'", '"a\\"b"')


def test_a_key_is_added_at_the_top_of_its_table() -> None:
    assert toml_text.put(CODEX, ("a",), value=True) == CODEX.replace('model = "gpt', 'a = true\nmodel = "gpt')
    assert toml_text.put(CODEX, (*NAME[:2], "n"), 3) == CODEX.replace("# ours\n", "# ours\nn = 3\n")
    assert toml_text.put('# why\nmodel = "m"\n', ("a",), "b") == 'a = "b"\n# why\nmodel = "m"\n'


def test_a_table_is_added_at_the_end() -> None:
    assert toml_text.put(CODEX, ("a", "b c", "d"), "e") == CODEX + '\n[a."b c"]\nd = "e"\n'
    assert toml_text.put("", NAME, "x") == '[model_providers.homeport]\nname = "x"\n'
    assert toml_text.put("a = 1", NAME, "x") == 'a = 1\n\n[model_providers.homeport]\nname = "x"\n'


def test_a_key_is_taken_out() -> None:
    assert toml_text.remove(CODEX, NAME) == CODEX.replace("name = 'old'\n", "")
    assert toml_text.remove(CODEX, ("not", "there")) == CODEX


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('a = 1\nb = "x\n', 2, "is not TOML"),
        ("a = 1\na = 2\n", 2, "is not TOML"),
        ("[x\n", 1, "is not TOML"),
        ("a = [1,\n\n", 1, "is not TOML"),
    ],
)
def test_what_is_broken_is_told_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Spoilt) as told:
        toml_text.put(text, ("model",), "m")
    assert told.value.line == line
    assert what in told.value.what


@pytest.mark.parametrize(
    "text",
    [
        'model_providers = { homeport = { name = "x" } }\n',
        'model_providers.homeport.name = "x"\n',
        "[model_providers]\nhomeport = 1\n",
        '[model_providers.homeport]\nname = """\nx\n"""\n',
        "[model_providers.homeport]\nname = [1,\n2]\n",
        'text = """\n[model_providers.homeport]\nname = "x"\n"""\n',
        "[[model_providers]]\n",
    ],
)
def test_what_is_written_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(Spoilt):
        toml_text.put(text, NAME, "y")


KEYS = st.sampled_from(["a", "b-c", "d e", "ü"])


@given(
    st.dictionaries(KEYS, st.dictionaries(KEYS, st.integers(0, 9) | st.text("x\"'\\#]=\n", max_size=4), max_size=3), max_size=3),
    KEYS,
    KEYS,
    st.text(st.characters(exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=5),
)
def test_any_tables_become_what_was_meant(tables: dict[str, dict[str, int | str]], table: str, key: str, value: str) -> None:
    text = "# all of it\n"
    for name, inner in tables.items():
        for word, known in inner.items():
            text = toml_text.put(text, (name, word), known)
    assert tomllib.loads(text) == {name: inner for name, inner in tables.items() if inner}
    edited = toml_text.put(text, (table, key), value)
    expected = {name: dict(inner) for name, inner in tables.items() if inner}
    expected.setdefault(table, {})[key] = value
    assert tomllib.loads(edited) == expected
