"""`homeport ledger rebuild`."""

from __future__ import annotations

from pathlib import Path

from homeport.storage.journal import Journal

from .conftest import Homeport
from .test_logs import receipt


def test_the_ledger_is_made_anew_from_the_journal(homeport: Homeport, tmp_path: Path) -> None:
    nothing = homeport("ledger", "rebuild")
    assert (nothing.code, nothing.out) == (1, "")
    assert "nothing to rebuild from" in nothing.err
    journal = Journal(tmp_path / "data")
    journal.settled(receipt(1))
    journal.settled(receipt(2))
    journal.close()
    assert homeport("ledger", "rebuild").out == f"The ledger has 2 receipts from the journal in {tmp_path / 'data'}.\n"
    (tmp_path / "data" / "ledger.sqlite").unlink()
    assert homeport("ledger", "rebuild", "--json").json == {"receipts": 2, "damage": []}
