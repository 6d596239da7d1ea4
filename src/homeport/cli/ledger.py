"""`homeport ledger rebuild`: make the table of receipts anew from the journal."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.failure import Failed
from homeport.settings import load
from homeport.storage.ledger import Ledger


def rebuild(*, json: bool = False, config: Path | None = None) -> int:
    """Make the ledger anew from the journal. Nothing is lost: the journal is the truth, the ledger a view of it.

    Args:
        json: print JSON.
        config: the homeport.toml whose data folder is used.
    """
    folder = load(config=config).server.data
    if not folder.is_dir():
        raise Failed(f"there is no data folder {folder}, so nothing to rebuild from. It is made by: homeport up")
    with closing(Ledger(folder)) as ledger:
        rows = ledger.rebuild()
        damage = ledger.damage()
    if json:
        screen.print_json({"receipts": rows, "damage": damage})
    else:
        say(f"The ledger has {screen.counted(rows, 'receipt')} from the journal in {folder}.", *(f"Note: {sentence}" for sentence in damage))
    return 0
