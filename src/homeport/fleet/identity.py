"""The id of one run of a gateway, the same in all of its workers: by it Homeports see that a request came back to them."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

FILE = "gateway.id"


def identity(folder: Path | None) -> str:
    """16 hexadecimal digits: of chance, or what the first of the workers wrote into the folder that they share for this run. Raises OSError."""
    drawn = secrets.token_hex(8)
    if folder is None:
        return drawn
    own = folder / f"{FILE}.{drawn}"
    own.write_text(drawn, encoding="ascii")
    with contextlib.suppress(FileExistsError):
        os.link(own, folder / FILE)  # whole at once, and only by the first
    own.unlink()
    return (folder / FILE).read_text(encoding="ascii")
