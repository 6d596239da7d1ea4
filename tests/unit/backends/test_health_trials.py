"""Who tries an open circuit, and says nothing of it, leaves the trial to the next."""

from __future__ import annotations

from homeport.errors import Unreachable
from tests.unit.backends.test_health import Stand


def test_an_ask_that_says_nothing_leaves_all_as_it_was_and_the_trial_to_the_next() -> None:
    stand = Stand()
    health = stand.health
    health.left("m")
    assert (health.pristine, stand.changes) == (True, 0)
    stand.fails("m", Unreachable("off"))
    stand.clock.advance(health.opens_in("m"))
    assert health.enter("m")
    assert not health.may_try("m")
    before = health.whole
    health.left("m")
    assert health.may_try("m")
    assert health.whole == before
