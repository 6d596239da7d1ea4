"""The command line: `main` leads each word to its file, and every failure to a message and an exit code.

`up` is read here by hand where its flags are plain, for the gateway's start should not pay for a parser's
import (60 ms, 8 MB); everything else goes to `program`, where all commands stand in one list.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from homeport.cli.console import aside
from homeport.cli.failure import Usage
from homeport.errors import BadSettings, HomeportError

DONE, FAILED, MISUSED = 0, 1, 2


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 bad usage or configuration."""
    if words is None:
        words = sys.argv[1:]
        sys.excepthook = _fault
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without some character is no reason to fail
    try:
        code = _run(list(words))
        sys.stdout.flush()
        return code
    except (BadSettings, Usage) as error:
        return _failed(words, str(error), MISUSED)
    except HomeportError as error:
        return _failed(words, str(error), FAILED)
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:  # `homeport logs | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(words, f"{where}{error.strerror or error}", FAILED)


def _run(words: list[str]) -> int:
    if words[:1] == ["up"]:
        flags = plain_flags(words[1:])
        if flags is not None:
            from homeport.cli.up import up

            return up(**flags)
    from homeport.cli.program import run

    return run(words)


def plain_flags(words: list[str]) -> dict[str, Any] | None:
    """The flags of `up`, or None where they are not all plain ones, which `program` then reads or refuses."""
    flags: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--json":
            flags["json"] = True
            continue
        if not equals:
            value = next(rest, "")
        if not value or value.startswith("-"):
            return None
        if name == "--config":
            flags["config"] = Path(value)
        elif name == "--listen":
            flags["listen"] = value
        elif name == "--workers" and value.isdecimal():
            flags["workers"] = int(value)
        else:
            return None
    return flags


def _failed(words: Sequence[str], message: str, code: int) -> int:
    if "--json" in words:
        from homeport.cli.screen import print_json

        print_json({"error": message})
    else:
        first, *others = message.splitlines() or ["failed"]
        if others:
            aside(f"homeport: {len(others) + 1} problems", *(f"  {line}" for line in (first, *others)))
        else:
            aside(f"homeport: {first}")
    return code


def _fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tells of a fault of Homeport's own in one line; the message of the error may hold anything, so only its place is shown."""
    if sys.flags.dev_mode:
        sys.__excepthook__(kind, error, trace)
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"
    aside(f"homeport: a fault of its own ({kind.__name__} at {place}). PYTHONDEVMODE=1 shows more; please report it.")
