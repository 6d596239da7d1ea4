"""Starts an example: on the gateway at $HOMEPORT_URL, else on one of its own that serves the bundled model and ends with it."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import homeport

HERE = Path(__file__).parent
PILOT = """
[server]
data = "data"
[backends.pilot]
kind = "pilot"
[models.default]
routes = [{ backend = "pilot" }]
"""


def main() -> None:
    """`python -m examples NAME`: runs examples/NAME/app.py. Exits with 2 where there is none of that name."""
    names = sorted(path.parent.name for path in HERE.glob("*/app.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.stderr.write(f"Which example? make example NAME={'|'.join(names)}\n")
        sys.exit(2)
    name = sys.argv.pop(1)  # what follows it is the example's own
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with gateway() as url:
            os.environ["HOMEPORT_URL"] = url
            runpy.run_path(str(HERE / name / "app.py"), run_name="__main__")
    except KeyboardInterrupt:
        pass


@contextmanager
def gateway() -> Iterator[str]:
    """The address of the gateway that is there, or of one that runs as long as this block."""
    if url := os.environ.get("HOMEPORT_URL"):
        yield url
        return
    os.environ.pop("HOMEPORT_KEY", None)  # it is of another gateway
    with tempfile.TemporaryDirectory(prefix="homeport-example-") as folder:
        path = Path(folder, "homeport.toml")
        path.write_text(PILOT, encoding="utf-8")
        with homeport.Gateway(config=path) as own:
            yield own.url


if __name__ == "__main__":
    main()
