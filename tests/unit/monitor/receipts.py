"""Receipts and a catalogue for tests of what is counted."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.ports import Served
from homeport.vocabulary import Attempt, Receipt

OK = Receipt(
    "id", 1000.0, "bob", "app", None, "openai", "assistant", "m", "home", "openai", "local", True, "ok", [Attempt("home", "m", "ok", "", 90.0)],
    10, 50, 4, 6, 400, 0.0, 20.0, 100.0, 50.0, 0.0, None, None, [],
)  # fmt: skip


def receipt(*attempts: tuple[str, str], **fields: Any) -> Receipt:
    """One like OK but for these fields; `attempts` are (backend, outcome)."""
    if attempts:
        fields["attempts"] = [Attempt(backend, "m", outcome, "no reason of a prompt's", 1.0) for backend, outcome in attempts]
    return msgspec.structs.replace(OK, **fields)


class Names:
    """A catalogue (port) of these names, which are found with `:latest` and without."""

    def __init__(self, *names: str) -> None:
        self.listed = list(names)

    def find(self, name: str) -> Served | None:
        known = any(found in self.listed for found in (name, f"{name}:latest", name.removesuffix(":latest")))
        return object() if known else None  # type: ignore[return-value]

    def names(self) -> list[str]:
        return list(self.listed)
