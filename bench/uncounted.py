"""`homeport` that tells nobody of its receipts: what the row `counting` compares the real one with."""

from __future__ import annotations

import sys
from typing import Any

from homeport.app import App
from homeport.cli import main

made = App.__init__


def silent(self: App, *args: Any, **kwargs: Any) -> None:
    """An App without observers."""
    made(self, *args, **kwargs)
    self._tally.observers.clear()


if __name__ == "__main__":
    App.__init__ = silent  # type: ignore[method-assign]
    sys.exit(main())
