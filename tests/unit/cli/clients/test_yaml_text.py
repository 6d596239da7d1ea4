"""YAML is edited where it must be, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.clients import yaml_text
from homeport.cli.clients.client import Spoilt

AIDER = """# aider
model: sonnet # mine
dark-mode: true

read:
  - CONVENTIONS.md

# the end
"""


def test_a_scalar_is_replaced_or_added_behind_the_last_key() -> None:
    assert yaml_text.put(AIDER, ("model",), "openai/x") == AIDER.replace("sonnet #", "openai/x #")
    assert yaml_text.put(AIDER, ("a",), "b") == AIDER.replace("CONVENTIONS.md\n", "CONVENTIONS.md\na: b\n")
    assert yaml_text.put("# c", ("a",), "b") == "# c\na: b\n"
    assert yaml_text.put("a:\nb: 1\n", ("a",), "x") == "a: x\nb: 1\n"
    assert yaml_text.put("a: x", ("b",), "z") == "a: x\nb: z"


def test_a_key_is_taken_out() -> None:
    assert yaml_text.remove(AIDER, "read") == AIDER.replace("read:\n  - CONVENTIONS.md\n", "")
    assert yaml_text.remove(AIDER, "not there") == AIDER


ITEM: dict[str, str | list[str]] = {"name": "H m", "roles": ["chat"]}


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("", "models:\n  - name: H m\n    roles:\n      - chat\n"),
        ("a: 1\n", "a: 1\nmodels:\n  - name: H m\n    roles:\n      - chat\n"),
        ("models: []  # none\na: 1\n", "models:  # none\n  - name: H m\n    roles:\n      - chat\na: 1\n"),
        ("models:\na: 1\n", "models:\n  - name: H m\n    roles:\n      - chat\na: 1\n"),
        ("models:\n- name: x\n\na: 1\n", "models:\n- name: x\n- name: H m\n  roles:\n    - chat\n\na: 1\n"),
        ("models:\n    - name: x\n      y: |\n        z\n", "models:\n    - name: x\n      y: |\n        z\n    - name: H m\n      roles:\n        - chat\n"),
    ],
)
def test_an_item_is_added_to_a_list(text: str, edited: str) -> None:
    assert yaml_text.append(text, "models", ITEM) == edited


@pytest.mark.parametrize("text", ["models: [{name: x}]\n", "models: x\n", "- a\n", "{models: []}\n", "models: {}\n", "models: |\n  x\n"])
def test_what_is_written_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(Spoilt, match="does not edit"):
        yaml_text.append(text, "models", ITEM)


def test_a_value_on_several_lines_is_not_replaced() -> None:
    for text in ("model: |\n  x\n", "model: a\n  b\n", "model:\n  - x\n", "model: [a,\n  b]\n"):
        with pytest.raises(Spoilt, match=r"line [12]: model is written in a way that this command does not edit"):
            yaml_text.put(text, ("model",), "m")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("http://127.0.0.1:8461/v1", "http://127.0.0.1:8461/v1"),
        ("openai/qwen3.5:latest", "openai/qwen3.5:latest"),
        ("${{ secrets.HOMEPORT_KEY }}", "${{ secrets.HOMEPORT_KEY }}"),
        ("yes", '"yes"'),
        ("a: b", '"a: b"'),
        ("x:", '"x:"'),
        ("3", '"3"'),
        ("", '""'),
        ("é", '"é"'),
    ],
)
def test_scalars(value: str, written: str) -> None:
    assert yaml_text.scalar(value) == written


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12).filter(lambda text: "\\" not in text and '"' not in text))
def test_any_text_is_written_so_that_it_is_read_again(value: str) -> None:
    edited = yaml_text.put(AIDER, ("model",), value)
    assert yaml_text.values(edited) == {**yaml_text.values(AIDER), "model": value}
    assert yaml_text.put(edited, ("model",), value) == edited
