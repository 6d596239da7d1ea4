"""A limit holds over every stretch of time, and a wait that was told is neither too short nor longer than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import OverBudget
from homeport.journey.limits import Limits
from homeport.rules import rates
from homeport.settings import LimitSettings
from homeport.vocabulary import Ask, Caller, Receipt, Surface

STEPS = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 3.0), st.floats(0.0, 200.0)), max_size=120)
LIMITS = st.one_of(st.integers(1, 12), st.integers(1, 10**6))
FLOATS = 1e-3  # of one request, at the clock's size


@given(LIMITS, STEPS, st.floats(0.0, 1e9))
def test_never_more_than_the_rate_and_one_burst(limit: int, steps: list[float], now: float) -> None:
    level, times = 0.0, []
    for step in steps:
        now += step
        if not rates.wait_s(level, now, limit):
            level = rates.spent(level, now, 1, limit)
            times.append(now)
    for first, began in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= limit * (times[last] - began) / rates.MINUTE_S + limit + FLOATS


@given(LIMITS, STEPS, st.floats(0.0, 1e6))
def test_who_asks_no_faster_than_the_rate_is_never_refused(limit: int, steps: list[float], now: float) -> None:
    level = 0.0
    for step in steps:
        now += step + rates.MINUTE_S / limit
        assert not rates.wait_s(level, now, limit)
        level = rates.spent(level, now, 1, limit)


@given(LIMITS, st.integers(1, 10**6), st.floats(0.0, 1e6))
def test_the_wait_is_as_long_as_needed(limit: int, amount: int, now: float) -> None:
    level = rates.spent(0.0, now, amount, limit)
    wait_s = rates.wait_s(level, now, limit)
    told = rates.whole_s(wait_s) if wait_s else 0
    assert not rates.wait_s(level, now + told, limit)
    if wait_s > 1e-3:
        assert rates.wait_s(level, now + wait_s - 1e-3, limit)
        assert told - 1 < wait_s + 1e-3


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(number: int, key: str | None) -> Ask:
    return Ask(f"ask-{number}", "openai", Surface.CHAT, "m", {}, False, False, 1, Caller(key), 0.0)


def receipt(asked: Ask, tokens: int) -> Receipt:
    who = asked.caller.key
    return Receipt(
        asked.id, 0.0, who, None, None, "openai", "m", None, None, None, None, False, "ok", [], tokens, 0, 0, 0, 1, 0.0, None, 0.0, None, None, None, None, []
    )


KEY = st.sampled_from([None, "ada", "bob"])
DEEDS = st.lists(st.tuples(st.sampled_from(["ask", "end", "wait", "revoke"]), KEY, st.floats(0.0, 30.0), st.integers(0, 40)), max_size=80)


@given(st.integers(1, 5), st.integers(1, 60), st.integers(1, 6), DEEDS)
def test_each_key_by_itself(most: int, tokens: int, requests: int, deeds: list[tuple[str, str | None, float, int]]) -> None:
    """Places never exceed the limit, who is refused spends nothing, and no meter is left of a key that is gone."""
    clock = Clock()
    limits = Limits(LimitSettings(max_in_flight=most, tokens_per_minute=tokens, requests_per_minute=requests), clock)
    under_way: dict[str | None, list[Ask]] = {None: [], "ada": [], "bob": []}
    for number, (deed, key, seconds, amount) in enumerate(deeds):
        if deed == "wait":
            clock.now += seconds
        elif deed == "ask":
            asked = ask(number, key)
            try:
                limits.spend(asked)
            except OverBudget as error:
                assert error.retry_after_s is not None and error.retry_after_s >= 1
                assert str(error).startswith(f"The key {key} may" if key else "Whoever asks this gateway may")
            else:
                under_way[key].append(asked)
                assert len(under_way[key]) <= most
        elif deed == "end" and under_way[key]:
            limits.settled(receipt(under_way[key].pop(0), amount))
        elif deed == "revoke":
            limits.keep([name for name in ("ada", "bob") if name != key])
            if key is not None:
                under_way[key] = []
    assert len(limits) <= 3
    limits.keep([])
    assert len(limits) <= 1
