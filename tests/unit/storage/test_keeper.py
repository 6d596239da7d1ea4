"""The keeper: rows appear beside a running gateway, for a small share of a core."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from homeport.storage.journal import Journal
from homeport.storage.keeper import LedgerKeeper
from homeport.storage.ledger import Ledger
from tests.unit.storage.samples import TS, receipt


def eventually(said: object, within_s: float = 10.0) -> bool:
    assert callable(said)
    deadline = time.monotonic() + within_s
    while not said():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_rows_appear_by_themselves(data_dir: Path) -> None:
    book = Journal(data_dir)
    for number in range(250):
        book.settled(receipt(f"a{number}", TS + number))
    keeper = LedgerKeeper(data_dir, share=0.5)
    keeper.start()
    with closing(Ledger(data_dir)) as ledger:
        assert eventually(lambda: ledger.count() == 250)
    keeper.stop()
    assert keeper.trouble is None
    book.close()


def test_it_rests_in_proportion_to_its_work(data_dir: Path) -> None:
    book = Journal(data_dir)
    for number in range(5000):
        book.settled(receipt(f"a{number}", TS + number))
    keeper = LedgerKeeper(data_dir, share=0.001)
    keeper.start()
    with closing(Ledger(data_dir)) as ledger:
        assert eventually(lambda: ledger.count() > 0)
        time.sleep(0.1)
        assert ledger.count() <= 200, "at a thousandth of a core a turn of 100 rows rests for about a second"
    begun = time.monotonic()
    keeper.stop()
    assert time.monotonic() - begun < 1.0
    book.close()


def test_what_it_cannot_do_is_trouble_and_it_goes_on_when_it_can(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    keeper = LedgerKeeper(tmp_path / "data")
    keeper.start()
    assert eventually(lambda: keeper.trouble is not None)
    (tmp_path / "data").unlink()
    assert eventually(lambda: keeper.trouble is None)
    keeper.stop()


def test_one_that_never_began_stops(data_dir: Path) -> None:
    LedgerKeeper(data_dir).stop()
    assert list(data_dir.iterdir()) == []
