"""Who answered meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.storage.answered import Answered
from homeport.storage.journal import Journal

from .samples import TS, receipt


def test_answers_are_counted_by_backend(data_dir: Path) -> None:
    journal = Journal(data_dir)
    rows = [
        ("vm", "ok", 0, "assistant"),
        ("vm", "ok", 1, "assistant:latest"),
        ("pilot", "ok", 2, "assistant"),
        (None, "failed", 3, "assistant"),
        ("vm", "cut", 4, "assistant"),
        ("vm", "client_left", 5, "assistant"),
        ("vm", "ok", 6, "coder"),
        ("vm", "ok", -1, "assistant"),
        ("vm", "ok", 10, "assistant"),
    ]
    for number, (backend, outcome, at, asked) in enumerate(rows):
        journal.settled(receipt(f"req-{number}", TS + at, backend=backend, outcome=outcome, asked=asked))
    journal.close()
    assert Answered(data_dir)({"assistant:latest"}, TS, TS + 10) == {"vm": 2, "pilot": 1, None: 2}
    assert Answered(data_dir)({"nobody"}, TS, TS + 10) == {}


def test_more_than_one_turn_of_rows(data_dir: Path) -> None:
    journal = Journal(data_dir)
    for number in range(250):
        journal.settled(receipt(f"req-{number}", TS + number))
    journal.close()
    assert Answered(data_dir)({"assistant"}, TS, TS + 1000) == {"home": 250}


def test_a_ledger_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(HomeportError):
        Answered(tmp_path / "data")({"assistant"}, TS, TS + 1)
