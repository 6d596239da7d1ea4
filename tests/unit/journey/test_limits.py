"""What a key has used of its limits, and what it is told when that is all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from homeport.errors import OverBudget
from homeport.journey.admit import Admit, Limited, admission
from homeport.journey.limits import Limits
from homeport.settings import KeyLimits, LimitSettings
from homeport.vocabulary import Receipt
from tests.properties.test_rates import Clock, ask, receipt


def refusal(limits: Limits, number: int, key: str | None = "ada") -> OverBudget:
    with pytest.raises(OverBudget) as caught:
        limits.spend(ask(number, key))
    return caught.value


def test_requests() -> None:
    clock = Clock()
    limits = Limits(LimitSettings(requests_per_minute=2), clock)
    limits.spend(ask(1, "ada"))
    limits.spend(ask(2, "ada"))
    error = refusal(limits, 3)
    assert str(error) == (
        "The key ada may have 2 requests a minute (requests_per_minute), and has used them; there is room again in 30 s. "
        "The owner of this gateway sets this under [limits]."
    )
    assert (error.status, error.code, error.retry_after_s, error.should_retry) == (429, "rate_limit_exceeded", 30, None)
    limits.spend(ask(4, "bob"))
    clock.now = 29.9
    assert refusal(limits, 5).retry_after_s == 1
    clock.now = 30.0
    limits.spend(ask(6, "ada"))


def test_tokens_are_counted_afterwards_and_may_be_owed() -> None:
    clock = Clock()
    limits = Limits(LimitSettings(tokens_per_minute=100), clock)
    first, second = ask(1, None), ask(2, None)
    limits.spend(first)
    limits.spend(second)
    limits.settled(receipt(first, 60))
    limits.spend(ask(3, None))
    limits.settled(receipt(second, 200))
    error = refusal(limits, 4, None)
    assert str(error).startswith("Whoever asks this gateway may have 100 tokens a minute, prompts and answers together (tokens_per_minute), and has used them;")
    assert error.retry_after_s == 97  # 260 spent: 160 owed, and one more token to have
    assert error.should_retry is False  # no SDK waits that long
    clock.now = 96.5
    assert refusal(limits, 5, None).retry_after_s == 1
    clock.now = 97.0
    limits.spend(ask(6, None))


def test_places_are_free_again_with_the_receipt() -> None:
    limits = Limits(LimitSettings(max_in_flight=1), Clock())
    first = ask(1, "ada")
    limits.spend(first)
    error = refusal(limits, 2)
    assert str(error).startswith("The key ada may have 1 request under way at once (max_in_flight); wait until one has ended.")
    assert (error.retry_after_s, error.should_retry) == (1, None)
    limits.settled(receipt(ask(2, "ada"), 0))  # the refused one's own receipt frees nothing
    refusal(limits, 3)
    limits.settled(receipt(first, 5))
    limits.spend(ask(4, "ada"))


def test_who_is_refused_spends_nothing() -> None:
    clock = Clock()
    limits = Limits(LimitSettings(max_in_flight=1, requests_per_minute=2), clock)
    first = ask(1, "ada")
    limits.spend(first)
    for number in range(2, 9):
        assert "max_in_flight" in str(refusal(limits, number))
    limits.settled(receipt(first, 0))
    limits.spend(ask(9, "ada"))


def test_one_key_has_limits_of_its_own() -> None:
    settings = LimitSettings(requests_per_minute=1, keys={"bob": KeyLimits(requests_per_minute=3), "eve": KeyLimits(max_in_flight=1)})
    assert settings.of("eve") == KeyLimits(requests_per_minute=1, max_in_flight=1)
    limits = Limits(settings, Clock())
    for number in range(3):
        limits.spend(ask(number, "bob"))
    refusal(limits, 3, "bob")
    limits.spend(ask(4, "ada"))
    refusal(limits, 5)


def test_a_revoked_key_is_forgotten() -> None:
    limits = Limits(LimitSettings(requests_per_minute=1), Clock())
    for key in ("ada", "bob", None):
        limits.spend(ask(1, key))
    limits.keep(["bob"])
    assert len(limits) == 2
    refusal(limits, 2, "bob")
    limits.settled(receipt(ask(1, "ada"), 7))  # its last answer ends after it is gone
    assert len(limits) == 2


class NoKeys:
    """Nobody has a key."""

    exist = False

    def find(self, secret: str) -> str | None:
        return None


def test_without_limits_the_step_is_the_plain_one() -> None:
    observers: list[Callable[[Receipt], None]] = []
    limits = Limits(LimitSettings())
    assert type(admission(NoKeys(), limits, observers, public=False)) is Admit
    assert not observers
    limits.apply(LimitSettings(keys={"ada": KeyLimits(max_in_flight=1)}))
    for _ in range(3):
        assert type(admission(NoKeys(), limits, observers, public=False)) is Limited
    assert observers == [limits.settled]
    limits.apply(LimitSettings())
    assert type(admission(NoKeys(), limits, observers, public=False)) is Admit
    assert observers == [limits.settled], "what is under way has to come to its end"


def test_other_limits_while_it_runs() -> None:
    """What was used, and what has a place, counts on; a limit that is new begins now."""
    limits = Limits(LimitSettings(requests_per_minute=2), Clock())
    for number in range(2):
        limits.spend(ask(number, "ada"))
    refusal(limits, 2)
    limits.apply(LimitSettings(requests_per_minute=3, max_in_flight=3))
    assert refusal(limits, 3).retry_after_s == 20  # a minute's worth was used, and one more takes 20 s now
    limits.apply(LimitSettings(max_in_flight=2))
    limits.spend(ask(4, "ada"))
    limits.spend(ask(5, "ada"))
    assert "2 requests under way" in str(refusal(limits, 6))
    limits.apply(LimitSettings(max_in_flight=3))
    limits.spend(ask(7, "ada"))
    limits.apply(LimitSettings())
    limits.settled(receipt(ask(4, "ada"), 0))
    limits.apply(LimitSettings(max_in_flight=3))
    limits.spend(ask(8, "ada"))
    refusal(limits, 9)
