"""What each key has used of its limits, from memory; a restart forgets it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from homeport.errors import OverBudget
from homeport.rules import rates
from homeport.settings import KeyLimits, LimitSettings
from homeport.vocabulary import Ask, Receipt

PATIENCE_S = 60  # the SDKs wait no longer than this, and ask again at once where they are told to wait longer


class Meter:
    """One key: what it may use, and the levels of what it has."""

    __slots__ = ("asks", "limits", "requests", "tokens")

    def __init__(self, limits: KeyLimits) -> None:
        self.limits = limits
        self.requests = 0.0  # levels of rules.rates
        self.tokens = 0.0
        self.asks: set[str] = set()  # the ids of its Asks under way


class Limits:
    """The meters of all keys: one for each that asked, until its key is revoked. `now` gives seconds, for durations."""

    def __init__(self, settings: LimitSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._meters: dict[str | None, Meter] = {}

    def __len__(self) -> int:
        """How many meters there are."""
        return len(self._meters)

    @property
    def any(self) -> bool:
        """Whether anybody has a limit."""
        return bool(self._settings)

    def apply(self, settings: LimitSettings) -> None:
        """Other limits from now on; what was used of the old ones stays used."""
        self._settings = settings
        for key, meter in self._meters.items():
            meter.limits = settings.of(key)

    def spend(self, ask: Ask) -> None:
        """One more Ask of its key; it is under way until `settled` hears of its receipt.

        Raises:
            OverBudget: a limit is reached. Then nothing is spent.
        """
        key = ask.caller.key
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(self._settings.of(key))
        limits, now = meter.limits, self._now()
        most, tokens, requests = limits.max_in_flight, limits.tokens_per_minute, limits.requests_per_minute
        if most is not None and len(meter.asks) >= most:
            raise _refusal(f"{_who(key)} may have {_many(most, 'request')} under way at once (max_in_flight); wait until one has ended", 1)
        if tokens is not None and (wait_s := rates.wait_s(meter.tokens, now, tokens)):
            raise _spent(key, _many(tokens, "token"), ", prompts and answers together (tokens_per_minute)", wait_s)
        if requests is not None:
            if wait_s := rates.wait_s(meter.requests, now, requests):
                raise _spent(key, _many(requests, "request"), " (requests_per_minute)", wait_s)
            meter.requests = rates.spent(meter.requests, now, 1, requests)
        meter.asks.add(ask.id)

    def settled(self, receipt: Receipt) -> None:
        """An Ask is over: its place is free again, and what it took in tokens is known."""
        meter = self._meters.get(receipt.key)
        if meter is None:
            return
        meter.asks.discard(receipt.id)
        tokens, limit = receipt.prompt_tokens + receipt.completion_tokens, meter.limits.tokens_per_minute
        if tokens and limit is not None:
            meter.tokens = rates.spent(meter.tokens, self._now(), tokens, limit)

    def keep(self, names: Iterable[str]) -> None:
        """These keys are left: forget the others. What asked while there was no key is remembered."""
        left = {None, *names}
        for key in [key for key in self._meters if key not in left]:
            del self._meters[key]


def _spent(key: str | None, most: str, of: str, wait_s: float) -> OverBudget:
    seconds = rates.whole_s(wait_s)
    return _refusal(f"{_who(key)} may have {most} a minute{of}, and has used them; there is room again in {seconds} s", seconds)


def _refusal(message: str, seconds: int) -> OverBudget:
    error = OverBudget(f"{message}. The owner of this gateway sets this under [limits].")
    error.retry_after_s = seconds
    if seconds > PATIENCE_S:  # they would only ask in vain
        error.should_retry = False
    return error


def _who(key: str | None) -> str:
    return f"The key {key}" if key is not None else "Whoever asks this gateway"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
