"""The whole chain in three network namespaces: what a visitor gets through it, and what of it can be reached from outside."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import pytest

from tests.caller import Heard
from tests.chain import engine, places, vps
from tests.chain.chain import Chain

WHY_NOT = places.lacking() or vps.lacking()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
MERGED_S = 0.005  # two tokens that come within this came together


def arrivals(heard: Heard) -> list[float]:
    """When each word was there."""
    body, found, times = b"", 0, []
    for at, piece in heard.pieces:
        body += piece
        words = body.count(b'"content":" w')
        times += [at] * (words - found)
        found = words
    return times


def test_tokens_come_one_by_one(tmp_path: Path) -> None:
    """A token every 40 ms at the engine is one every 40 ms at the visitor, through all of it; the best of three, for what else this machine does."""
    with Chain(tmp_path) as chain:
        merged, middle = [], []
        for _ in range(3):
            heard = chain.visitor.ask("slow", streamed=True)
            assert heard.finished and heard.text == engine.slow("home")
            assert heard.headers["x-homeport-backend"] == "home"
            times = arrivals(heard)
            assert len(times) == engine.TOKENS
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            merged.append(sum(gap < MERGED_S for gap in gaps))
            middle.append(statistics.median(gaps))
            assert times[-1] - times[0] > 0.8 * engine.EVERY_S * (engine.TOKENS - 1), "held back, and then sent at once"
        assert min(merged) <= 2, f"tokens that came together with the one before: {merged} of {engine.TOKENS}"
        assert min(abs(gap - engine.EVERY_S) for gap in middle) < engine.EVERY_S / 4
        whole = chain.visitor.ask("slow")
        assert whole.status == 200 and whole.text == engine.slow("home")


def test_nothing_but_the_front_door_is_open(tmp_path: Path) -> None:
    with Chain(tmp_path) as chain:
        assert open_ports(chain.vps.place) == {22, 80, 443}
        assert open_ports(chain.box) == set()
        key, chain.visitor.key = chain.visitor.key, "sk-nobody"
        assert chain.visitor.ask().status == 401
        chain.visitor.key = chain.home.token  # the node's is not the gateway's
        assert chain.visitor.ask().status == 401
        chain.visitor.key = key
        assert chain.visitor.ask().status == 200


def open_ports(place: places.Place) -> set[int]:
    """What listens on more than loopback."""
    addresses = [line.split()[3] for line in place.run("ss", "-Hltn").splitlines()]
    return {int(address.rpartition(":")[2]) for address in addresses if not address.startswith(("127.", "[::1]"))}
