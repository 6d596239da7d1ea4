"""Reads `[limits]`: how much each key may ask, and what is different for one of them."""

from __future__ import annotations

from collections.abc import Iterable

from homeport.settings.document import Table, shown
from homeport.settings.tree import KeyLimits, LimitSettings, Settings

KEY = ("requests_per_minute", "tokens_per_minute", "max_in_flight")
KEYS = (*KEY, "keys")
EXAMPLES = {"requests_per_minute": 60, "tokens_per_minute": 100_000, "max_in_flight": 4}


def read_limits(table: Table) -> LimitSettings:
    """The section. What is wrong is collected in the table's document."""
    misplaced = {name: f"the limits of one key stand under [limits.keys.{shown(name)}]" for name, value in table.values.items() if isinstance(value, dict)}
    table.known(KEYS, misplaced)
    keys = {}
    for name, own in table.document.table(*table.key, "keys").tables():
        own.known(KEY)
        keys[name] = KeyLimits(**_amounts(own))
    return LimitSettings(**_amounts(table), keys=keys)


def strangers(settings: Settings, names: Iterable[str]) -> list[str]:
    """A notice for each `[limits.keys.NAME]` that is none of these keys; no error, for keys come and go."""
    known = set(names)
    return [f'[limits.keys] has limits for "{name}", and there is no key of that name' for name in settings.limits.keys if name not in known]


def _amounts(table: Table) -> dict[str, int | None]:
    return {key: table.whole(key, example) if key in table else None for key, example in EXAMPLES.items()}
