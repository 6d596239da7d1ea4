"""What each key has used of its limits, from memory; a restart forgets it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from homeport.errors import OverBudget
from homeport.ports import Pair, Places
from homeport.rules import rates
from homeport.settings import KeyLimits, LimitSettings
from homeport.vocabulary import Ask, Receipt

REQUESTS, TOKENS = 0, 1  # in a meter's levels
PATIENCE_S = 60  # the SDKs wait no longer than this, and ask again at once where they are told to wait longer


class Meter:
    """One key: what it may use, and what it has."""

    __slots__ = ("asks", "levels", "limits", "places")

    def __init__(self, limits: KeyLimits, levels: Pair, places: Places | None) -> None:
        self.limits = limits
        self.levels = levels  # those of rules.rates: of requests, of tokens
        self.places = places  # None: nobody shares them
        self.asks: set[str] = set()  # the ids of its Asks that have one of its places, here

    @property
    def under_way(self) -> int:
        """Its Asks under way, anywhere."""
        return len(self.asks) if self.places is None else self.places.in_use

    def close(self) -> None:
        """Its key is gone: so is what it had."""
        self.levels[REQUESTS] = self.levels[TOKENS] = 0.0
        if self.places is not None:
            for _ in self.asks:
                self.places.give_back()
            self.places.close()
        self.asks.clear()


class Limits:
    """The meters of all keys: one for each that asked, until its key is revoked. `now` gives seconds, for durations.

    Workers of one gateway share what `levels` and `places` give them by a key's name.
    """

    def __init__(
        self,
        settings: LimitSettings,
        now: Callable[[], float] = time.monotonic,
        *,
        levels: Callable[[str], Pair] = lambda _: [0.0, 0.0],
        places: Callable[[str], Places | None] | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._levels = levels
        self._places = places
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
            meter = self._meters[key] = self._meter(key)
        limits, levels, now = meter.limits, meter.levels, self._now()
        most, tokens, requests = limits.max_in_flight, limits.tokens_per_minute, limits.requests_per_minute
        if most is not None and meter.under_way >= most:
            raise _crowded(key, most)
        if tokens is not None and (wait_s := rates.wait_s(levels[TOKENS], now, tokens)):
            raise _spent(key, _many(tokens, "token"), ", prompts and answers together (tokens_per_minute)", wait_s)
        if requests is not None and (wait_s := rates.wait_s(levels[REQUESTS], now, requests)):
            raise _spent(key, _many(requests, "request"), " (requests_per_minute)", wait_s)
        if most is not None:
            if meter.places is not None and not meter.places.take(most):  # another worker was quicker
                raise _crowded(key, most)
            meter.asks.add(ask.id)
        if requests is not None:
            levels[REQUESTS] = rates.spent(levels[REQUESTS], now, 1, requests)

    def settled(self, receipt: Receipt) -> None:
        """An Ask is over: its place is free again, and what it took in tokens is known."""
        meter = self._meters.get(receipt.key)
        if meter is None:
            return
        if receipt.id in meter.asks:
            meter.asks.remove(receipt.id)
            if meter.places is not None:
                meter.places.give_back()
        tokens, limit = receipt.prompt_tokens + receipt.completion_tokens, meter.limits.tokens_per_minute
        if tokens and limit is not None:
            meter.levels[TOKENS] = rates.spent(meter.levels[TOKENS], self._now(), tokens, limit)

    def keep(self, names: Iterable[str]) -> None:
        """These keys are left: forget the others. What asked while there was no key is remembered."""
        left = {None, *names}
        for key in [key for key in self._meters if key not in left]:
            self._meters.pop(key).close()

    def _meter(self, key: str | None) -> Meter:
        name = "" if key is None else key  # no key has an empty name
        return Meter(self._settings.of(key), self._levels(name), self._places(name) if self._places is not None else None)


def _crowded(key: str | None, most: int) -> OverBudget:
    return _refusal(f"{_who(key)} may have {_many(most, 'request')} under way at once (max_in_flight); wait until one has ended", 1)


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
