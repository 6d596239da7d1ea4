"""Times the observers of receipts alone, in a gateway that serves nobody: prints CPU µs a receipt, of all of them and of `/metrics`, as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from homeport.app import App
from homeport.settings import load
from homeport.vocabulary import Attempt, Receipt

RECEIPTS, ROUNDS = 20_000, 7
RECEIPT = Receipt(
    "bench", 0.0, "bench", None, None, "openai", "assistant", "whole", "mock", "openai", "local", False, "ok", [Attempt("mock", "whole", "ok", "", 1.2)],
    80, 60, 0, 0, 300, 0.0, 1.1, 1.2, 900.0, 0.0, None, None, [],
)  # fmt: skip


def cpu_us(observers: list[Callable[[Receipt], None]]) -> float:
    """CPU µs a receipt, the least of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(RECEIPTS):
            for observe in observers:
                observe(RECEIPT)
        found.append((time.process_time() - began) / RECEIPTS * 1e6)
    return min(found)


if __name__ == "__main__":
    app = App(load(config=Path(sys.argv[1])))
    try:
        print(json.dumps({"all": cpu_us(app._tally.observers), "metrics": cpu_us([app._measures.observe])}))
    finally:
        app.discard()
