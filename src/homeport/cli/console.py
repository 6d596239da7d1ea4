"""Where commands write: what was asked for to stdout, everything said beside it to stderr."""

from __future__ import annotations

import sys


def say(*lines: str) -> None:
    """Lines of the result. Raises BrokenPipeError where the reader has left."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def aside(*lines: str) -> None:
    """Lines for the person at the terminal, which no program reads."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
