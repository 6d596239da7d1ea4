"""Places of one process: a backend and the one that a reload put in its place count together."""

from __future__ import annotations

import asyncio

from homeport.backends.leases import Leases
from homeport.fleet.alone import Alone


def test_views_of_one_name_count_together_and_wake_each_other() -> None:
    async def scene() -> None:
        alone = Alone()
        before, after, other = (Leases(2, 8, 20.0, alone.at(name)) for name in ("home", "home", "vm"))
        held = [before.take(), before.take()]
        assert after.take() is None and other.take() is not None
        waiting = asyncio.ensure_future(after.wait(None))
        await asyncio.sleep(0)
        assert held[0] is not None
        held[0].release()
        await asyncio.wait_for(waiting, 5)
        assert (before.in_flight, after.in_flight, other.in_flight) == (2, 2, 1)

    asyncio.run(scene())


def test_one_process_leads_at_once() -> None:
    led = []

    async def lead() -> None:
        led.append(1)

    asyncio.run(Alone().join(lead))
    assert led == [1]
