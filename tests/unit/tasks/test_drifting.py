"""Drift as a rule: what is told, and that it tells nothing of an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.errors import HomeportError
from homeport.tasks import drifting
from homeport.tasks.drifting import FILE, Case, Record


def test_another_model_behind_a_name_and_a_name_that_is_gone() -> None:
    found = drifting.digests({"a": "1" * 64, "b": "2" * 64, "c": "3" * 64}, {"a": "1" * 64, "b": "4" * 64, "new": "5" * 64})
    assert [(one.kind, one.name) for one in found] == [("digest", "b"), ("gone", "c")]
    assert len({one.key for one in found}) == 2


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
    record = Record({"a": "1"}, [Case("classify", {"text": "x"}, "question", 1.5)])
    drifting.save(folder, record)
    assert drifting.load(folder) == record
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    (folder / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(HomeportError, match="cannot be read"):
        drifting.load(folder)
