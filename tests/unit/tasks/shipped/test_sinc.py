"""The sinc format: what is strict, both forms, both spellings, and how it is executed."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.tasks.shipped import sinc
from homeport.tasks.shipped.prompts import BANDS

FULL = sinc.sinc({band: f"text of {band}" for band in BANDS})


def fragment(number: int, **changed: Any) -> dict[str, Any]:
    return {"n": number, "t": BANDS[number], "x": "x", **changed}


@pytest.mark.parametrize("formula", ["x(t) = Sigma x(nT) * sinc((t - nT) / T)", "x(t) = Σ x(nT) · sinc((t - nT) / T)"])
def test_both_spellings_of_the_formula_are_good(formula: str) -> None:
    assert sinc.fault({**FULL, "formula": formula}) is None


def test_one_to_six_bands_in_any_order_are_good() -> None:
    assert sinc.fault({**FULL, "fragments": [fragment(5), fragment(0)]}) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {**FULL, "more": 1},
        {**FULL, "formula": "E = mc²"},
        {**FULL, "T": "time"},
        {**FULL, "fragments": []},
        {**FULL, "fragments": "x"},
        {**FULL, "fragments": [fragment(0), fragment(0)]},
        {**FULL, "fragments": [fragment(0, n=True)]},
        {**FULL, "fragments": [fragment(0, n=6)]},
        {**FULL, "fragments": [fragment(0, t="TASK")]},
        {**FULL, "fragments": [fragment(0, x=" ")]},
        {**FULL, "fragments": [fragment(0, x=1)]},
        {**FULL, "fragments": [fragment(0, y=1)]},
        {**FULL, "fragments": [*FULL["fragments"], {"n": 6, "t": "TASK_ARCHIVED", "x": "raw"}]},
    ],
)
def test_the_strict_form_refuses(value: Any) -> None:
    assert sinc.fault(value) is not None


def test_the_archive_form_holds_the_raw_prompt_and_converts_back() -> None:
    archived = sinc.archived(FULL, "plan a picnic")
    assert archived["fragments"][-1] == {"n": 6, "t": "TASK_ARCHIVED", "x": "plan a picnic"}
    assert sinc.raw(archived) == "plan a picnic"
    assert sinc.raw(FULL) is None
    assert sinc.stripped(archived) == FULL == sinc.stripped(FULL)
    assert sinc.archived(archived, "again")["fragments"][-1]["x"] == "again"
    assert len(sinc.archived(archived, "again")["fragments"]) == 7


def test_it_is_executed_with_five_bands_as_the_system_prompt() -> None:
    system, user = sinc.messages(sinc.archived(FULL, "raw"))
    assert system["role"] == "system"
    assert system["content"].startswith("[PERSONA]\ntext of PERSONA\n\n[CONTEXT]")
    assert "TASK" not in system["content"]
    assert user == {"role": "user", "content": "text of TASK"}
    assert sinc.messages({**FULL, "fragments": [fragment(5)]}) == [{"role": "user", "content": "x"}]


@pytest.mark.parametrize("prompt", ["formula", '{"formula": ', '["formula"]', '{"a": "formula"}', "[" * 10_000 + '"formula"'])
def test_what_only_mentions_a_formula_does_not_pass_through(prompt: str) -> None:
    assert sinc.passing(prompt) is None


@pytest.mark.parametrize("prompt", ['{"formula": "x", "n": NaN}', '{"formula": "x", "formula": "y"}', '{"formula": "x", "n": 1e999}'])
def test_what_json_cannot_say_again_does_not_pass_through(prompt: str) -> None:
    assert sinc.passing(prompt) is None


@pytest.mark.parametrize("value", [{"formula": "x"}, {"formula": "x", "fragments": [1, {"t": "TASK"}, {"x": "y"}]}, {"formula": "x", "fragments": "no"}])
def test_an_object_that_passed_through_without_bands_breaks_nothing(value: dict[str, Any]) -> None:
    assert sinc.messages(value) == [{"role": "user", "content": ""}]
    assert sinc.stripped(value)["fragments"] == []
    assert sinc.raw(value) is None
    assert sinc.measured(value, "x")["bands"] == 0


@pytest.mark.parametrize(
    ("rules", "short"),
    [("NEVER a. ALWAYS b. The c MUST d. NEVER e, ALWAYS f.", False), ("NEVER a. ALWAYS b. MUST c. d e f g h i j k", True), ("NEVER ALWAYS MUST NEVER", True)],
)
def test_constraints_are_the_longest_band_with_two_fifths_of_the_words_and_five_rules(rules: str, short: bool) -> None:
    value = sinc.sinc({**dict.fromkeys(BANDS, "x"), "TASK": "a b c", "CONSTRAINTS": rules})
    assert (sinc.short(value) is not None) is short
    if not short:
        assert sinc.short(sinc.sinc({**dict.fromkeys(BANDS, "x"), "TASK": "word " * 20, "CONSTRAINTS": rules})) is not None
