"""What several workers see of a backend, as one."""

from __future__ import annotations

from homeport.front.together import merged
from homeport.vocabulary import Standing


def standing(state: str, reason: str, in_flight: int, queued: int, ttft_ms: float | None, models: list[str]) -> Standing:
    return Standing("home", "ollama", "local", state, reason, 1.0, in_flight, 4, queued, models, ttft_ms)


def test_the_worst_state_is_shown_and_what_waits_is_added_up() -> None:
    found = merged([standing("healthy", "", 3, 2, 100.0, ["m"]), standing("open", "refused", 3, 1, None, []), standing("degraded", "slow", 2, 0, 300.0, ["m"])])
    assert (found.state, found.reason) == ("open", "refused")
    assert (found.in_flight, found.max_in_flight, found.queued) == (3, 4, 3)
    assert (found.ttft_ms, found.models) == (200.0, ["m"])


def test_one_is_shown_as_it_is() -> None:
    one = standing("degraded", "slow", 3, 2, 100.0, ["m"])
    assert merged([one]) is one
