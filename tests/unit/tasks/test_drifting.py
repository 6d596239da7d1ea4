"""Drift as a rule: what is told, and that it tells nothing of an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.errors import HomeportError
from homeport.tasks import drifting
from homeport.tasks.drifting import FILE, Case, Record

ONE, TWO = "1" * 64, "2" * 64


def test_a_name_that_is_gone_and_a_new_one() -> None:
    found = drifting.digests({"a": {"home/m": ONE}, "c": {"home/m": ONE}}, {"a": {"home/m": ONE}, "new": {"home/x": TWO}})
    assert [(one.kind, one.name) for one in found] == [("gone", "c")]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"home/m": ONE}, {"home/m": TWO}),
        ({"home/m": ONE, "den/m": ONE}, {"home/m": ONE, "den/m": TWO}),
        ({"home/m": ONE}, {"home/m": ONE, "new/m": TWO}),
        ({"home/m": ""}, {"home/other": ""}),
    ],
    ids=["its digest", "of one place", "a new place", "of another name"],
)
def test_another_model_answers(before: dict[str, str], now: dict[str, str]) -> None:
    [found] = drifting.digests({"a": before}, {"a": now})
    assert (found.kind, found.name) == ("digest", "a")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"home/m": ONE}, {"home/m": ""}),
        ({"home/m": ""}, {"home/m": ONE}),
        ({"home/m": ONE, "den/m": ""}, {"den/m": TWO, "home/m": ""}),
        ({"home/m": ONE}, {"den/m": ONE}),
        ({"home/m": ""}, {"den/m": ""}),
        ({"home/m": ONE, "den/m": TWO}, {"den/m": TWO, "home/m": ONE}),
        ({"home/m": ONE, "den/m": TWO}, {"den/m": TWO}),
    ],
    ids=["not looked at now", "nor then", "one each", "another backend", "of which nothing is told", "another order", "one route less"],
)
def test_the_same_models_as_far_as_is_known(before: dict[str, str], now: dict[str, str]) -> None:
    assert drifting.digests({"a": before}, {"a": now}) == []


def test_a_digest_that_was_not_known_is_learned_and_none_is_forgotten() -> None:
    assert drifting.learned({"a": {"home/m": "", "den/m": ONE}}, {"a": {"home/m": TWO, "den/m": ""}, "new": {}}) == {"a": {"home/m": TWO, "den/m": ONE}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1.00004, 1.0, True),
        (1.01, 1.0, False),
        ([0.12341, {"a": 2}], [0.12343, {"a": 2.0}], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        (True, 1, False),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_what_counts_as_the_same(one: Any, other: Any, same: bool) -> None:
    assert drifting.same(one, other) is same


def test_a_change_is_told_by_field_and_not_by_value() -> None:
    assert drifting.fields_changed({"a": "x", "b": "SECRET"}, {"a": "x", "b": "OTHER"}) == "its b changed"
    assert drifting.fields_changed("SECRET", "OTHER") == "its answer changed"


def test_a_record_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert drifting.load(folder) is None
    record = Record({"a": {"home/m": "1"}}, [Case("classify", {"text": "x"}, "question", 1.5)])
    drifting.save(folder, record)
    assert drifting.load(folder) == record
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    (folder / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(HomeportError, match="cannot be read"):
        drifting.load(folder)


def test_a_record_of_one_digest_a_name_keeps_its_cases_and_learns_the_rest(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"digests": {"a": "7f65"}, "cases": [{"task": "t", "input": {}, "output": 1, "at": 1.0}], "told": ["x"]}', encoding="utf-8")
    record = drifting.load(tmp_path)
    assert record is not None and (record.cases, record.told) == ([Case("t", {}, 1, 1.0)], ["x"])
    now = {"a": {"home/m": "d1"}}
    assert drifting.digests(record.digests, now) == []
    assert drifting.learned(record.digests, now) == now
    assert [one.kind for one in drifting.digests(drifting.learned(record.digests, now), {"a": {"home/m": "d2"}})] == ["digest"]
