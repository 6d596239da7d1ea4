"""Workers ask each other: who is gone, silent or of another mind is left out, in bounded time."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

import pytest

from homeport.fleet import siblings
from homeport.fleet.bell import Bell
from homeport.fleet.leader import Leadership
from homeport.fleet.siblings import UnixSiblings
from homeport.fleet.sockets import opened

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


def test_the_others_answer_and_the_silent_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "PATIENCE_S", 0.5)

    async def scene() -> None:
        with opened(tmp_path) as folder:
            three = [UnixSiblings(folder, seat) for seat in range(3)]
            for seat, sibling in enumerate(three):
                sibling.answer("seat", lambda seat=seat: b"%d" % seat * 100_000)  # type: ignore[misc]
                await sibling.start()
            three[1].answer("one", lambda: b"")
            assert await three[0].gather("seat") == [b"1" * 100_000, b"2" * 100_000]
            assert await three[0].gather("one") == [b""]
            assert await three[1].gather("one") == []
            silent = folder.bind("seat-7.sibling", socket.SOCK_STREAM)
            silent.listen()
            begun = time.monotonic()
            assert await three[0].gather("seat") == [b"1" * 100_000, b"2" * 100_000]
            assert time.monotonic() - begun < 5
            silent.close()  # its file is still there
            three[2].stop()
            assert await three[0].gather("seat") == [b"1" * 100_000]
            for sibling in three:
                sibling.stop()

    asyncio.run(scene())


def test_a_bell_is_heard_and_one_for_nobody_is_not_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as folder:
            loop, heard = asyncio.get_running_loop(), asyncio.Event()
            one, other = Bell(folder), Bell(folder)
            one.listen(loop, 1, heard.set)
            other.ring(5)
            for _ in range(3000):  # more than its socket holds
                other.ring(1)
            await asyncio.wait_for(heard.wait(), 5)
            one.close(loop)
            other.ring(1)
            other.close(loop)

    asyncio.run(scene())


def test_one_leads_and_another_takes_over(tmp_path: Path) -> None:
    async def scene() -> None:
        led: list[str] = []

        async def lead(name: str) -> None:
            led.append(name)

        first, second = Leadership(tmp_path, lambda: lead("first")), Leadership(tmp_path, lambda: lead("second"))
        await first.start()
        await second.start()
        await asyncio.sleep(0.5)
        assert led == ["first"]
        first.stop()
        async with asyncio.timeout(5):
            while len(led) < 2:
                await asyncio.sleep(0.01)
        assert led == ["first", "second"]
        second.stop()

    asyncio.run(scene())
