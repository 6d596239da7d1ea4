"""JSON is edited where it must be, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.clients import jsonc
from homeport.cli.clients.client import Spoilt

ZED = """// my settings
{
  "theme": "One Dark", // dark
  "language_models": {
    "ollama": {"api_url": "x"}, /* here */
  },
  "tabs": [
    1,
    2 // two
  ],
  // the end
}
"""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('aé"\\/{[,:#\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d", "é"]), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from(["a", "b", "new"]), min_size=1, max_size=3)


def test_a_member_is_added_behind_the_last_one_and_its_comment() -> None:
    edited = jsonc.put(ZED, ("language_models", "openai_compatible", "Homeport", "api_url"), "u")
    assert edited == ZED.replace(
        "/* here */\n",
        '/* here */\n    "openai_compatible": {\n      "Homeport": {\n        "api_url": "u"\n      }\n    },\n',
    )
    assert jsonc.read(edited)["language_models"]["openai_compatible"] == {"Homeport": {"api_url": "u"}}


def test_a_value_is_replaced_and_the_comment_beside_it_stays() -> None:
    assert jsonc.put(ZED, ("theme",), "Light") == ZED.replace('"One Dark", // dark', '"Light", // dark')
    assert jsonc.put(ZED, ("theme",), "One Dark") == ZED


def test_an_element_is_added_to_a_list() -> None:
    assert jsonc.append(ZED, ("tabs",), {"x": 3}) == ZED.replace("    2 // two\n", '    2, // two\n    {\n      "x": 3\n    }\n')
    assert jsonc.read(jsonc.append(ZED, ("a", "b"), 1))["a"] == {"b": [1]}


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("// nothing\n", '// nothing\n{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"a": {"c": 2}}', '{"a": {"c": 2, "b": 1}}'),
        ('{"a":{}, "z": 1}', '{"a":{\n  "b": 1\n}, "z": 1}'),
        ('{\n\t"a": {\n\t\t"c": 2\n\t}\n}', '{\n\t"a": {\n\t\t"c": 2,\n\t\t"b": 1\n\t}\n}'),
        ('{"a": {"b": 0}, "a": {"b": 2}}', '{"a": {"b": 0}, "a": {"b": 1}}'),
    ],
)
def test_small_texts(text: str, edited: str) -> None:
    assert jsonc.put(text, ("a", "b"), 1) == edited
    assert jsonc.put(edited, ("a", "b"), 1) == edited


def test_a_member_is_taken_out_with_its_line() -> None:
    assert jsonc.remove(ZED, ("theme",)) == ZED.replace('  "theme": "One Dark", // dark\n', "")
    assert jsonc.remove('{"a": 1, "b": 2}', ("b",)) == '{"a": 1}'
    assert jsonc.remove('{"a": 1, "b": 2}', ("a",)) == '{"b": 2}'
    assert jsonc.remove('{\n  "a": 1,\n  "b": 2\n}\n', ("b",)) == '{\n  "a": 1\n}\n'
    assert jsonc.remove(ZED, ("nothing", "here")) == ZED


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', 3, "a comma or } is missing"),
        ('{\n  "a": [1, 2\n}', 3, "a comma or ] is missing"),
        ('{"a": 1', 1, "a comma or } is missing"),
        ("{\n\n  a: 1}", 3, "a name in quotes is missing"),
        ('{"a" 1}', 1, "a colon is missing"),
        ('{"a": }', 1, "a value is missing"),
        ('{"a": "x\n"}', 1, "closing quote"),
        ('{"a": "\\q"}', 1, "an escape that is none"),
        ('{"a": 01}', 1, "a value is missing"),
        ("{} {}", 1, "after its end"),
        ("{\n/* no end", 2, "a comment has no end"),
        ("[" * 100_000, 1, "too deeply"),
    ],
)
def test_what_is_broken_is_told_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Spoilt) as told:
        jsonc.put(text, ("x",), 1)
    assert told.value.line == line
    assert what in told.value.what


def test_plain_json_has_no_comments() -> None:
    for text, line in (("{}\n// c\n", 2), ('{"a": 1,}', 1)):
        assert jsonc.read(text) is not None
        with pytest.raises(Spoilt) as told:
            jsonc.read(text, comments=False)
        assert told.value.line == line


def test_another_kind_of_value_on_the_way_is_refused() -> None:
    with pytest.raises(Spoilt, match='line 1: "a" holds something else than an object'):
        jsonc.put('{"a": 1}', ("a", "b"), 1)
    with pytest.raises(Spoilt, match='"a" holds something else than a list'):
        jsonc.append('{"a": 1}', ("a",), 1)


@given(VALUES, st.sampled_from([None, 1, 2, "\t"]), PATHS, VALUES)
def test_any_json_becomes_what_was_meant(value: Any, indent: int | str | None, path: list[str], new: Any) -> None:
    text = json.dumps({"a": value, "b": {"new": value}}, indent=indent)
    expected = json.loads(text)
    inner = expected
    try:
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = new
    except (TypeError, AttributeError):
        with pytest.raises(Spoilt):
            jsonc.put(text, path, new)
        return
    edited = jsonc.put(text, path, new, comments=False)
    assert json.loads(edited) == expected
    del inner[path[-1]]
    assert json.loads(jsonc.remove(edited, path, comments=False)) == expected


@given(st.text('{}[]":,/*\n a1', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    try:
        mine = jsonc.read(text, comments=False)
    except Spoilt as told:
        assert found is None
        assert 1 <= told.line <= text.count("\n") + 1
    else:
        assert mine == (found if text.strip() else {})
