"""What its owner is told when a backend flaps, when the gateway dies between sending and noting, and when it starts anew during an outage."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from homeport.monitor.outbox import Outbox
from homeport.monitor.transitions import Transitions
from homeport.testing.backend import ScriptedBackend
from homeport.testing.clock import ManualClock
from homeport.testing.loopback import bound
from homeport.vocabulary import Event, Finding
from tests import figures
from tests.faults.year.gateway import NoTraffic
from tests.gateway import Spawned, config, soon
from tests.receiver import Receiver

PROBE_S = 15.0
QUICK = {"probe_interval_s": 0.05, "down_after": 2, "up_after": 2}


def told(events: list[Event]) -> str:
    """The kinds of these, in order, runs of "down, up" counted."""
    kinds = ", ".join(event.kind for event in events)
    pairs = kinds.count("down, up")
    rest = kinds.replace("down, up, ", "").replace("down, up", "").strip(", ")
    return ", then ".join(filter(None, [f"{pairs} x down and up" if pairs else "", rest]))


@pytest.mark.parametrize(
    ("away_s", "there_s", "most"),
    [(5, 55, 0), (60, 60, 10), (120, 600, 30), (60, 7200, 200)],
    ids=["seconds", "a minute each", "every 12 minutes", "every two hours"],
)
def test_a_backend_that_flaps_100_times(tmp_path: Path, away_s: float, there_s: float, most: int) -> None:
    """One that is back for good between two outages is told each time; one that comes and goes a few times, then once it has stayed."""
    clock, outbox, events = ManualClock(), Outbox(tmp_path), list[Event]()
    transitions = Transitions(outbox, ["owner"], NoTraffic(), down_after=2, up_after=2, at=clock.monotonic(), now=clock.time())

    def lives(seconds: float, good: bool) -> None:
        until = clock.monotonic() + seconds
        while clock.monotonic() < until:
            event = transitions.saw("home", Finding(good, "" if good else "connection refused"), clock.monotonic(), clock.time())
            events.extend([event] if event is not None else [])
            clock.advance(min(PROBE_S, until - clock.monotonic()))

    lives(3600, True)
    for _ in range(100):
        lives(away_s, False)
        lives(there_s, True)
    during = len(events)
    lives(3600, True)
    outbox.close()
    kinds = [event.kind for event in events]
    assert kinds == ["down", "up"] * (len(kinds) // 2), "each end follows its beginning, and at last all is told to be well"
    assert len(kinds) <= most
    assert during <= most
    lapses = events[-1].reason if events else ""
    figures.note(
        f"owner.flap_{away_s:g}_{there_s:g}", told(events) or "nothing", note=f"100 times {away_s:g} s away and {there_s:g} s there; {lapses}".rstrip("; ")
    )


@pytest.mark.slow
def test_a_crash_between_sending_and_noting(tmp_path: Path) -> None:
    with Receiver() as receiver, bound() as holder:
        path = config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"}, monitor={**QUICK, "notify": [receiver.url]})
        receiver.held = threading.Event()
        with Spawned(path) as gateway:
            assert receiver.until(lambda: len(receiver.posts) == 1)
            gateway.end(signal.SIGKILL)
        receiver.held.set()
        receiver.held = None
        with Spawned(path):
            assert receiver.until(lambda: len(receiver.taken) == 2)
        ids = {event["id"] for event in receiver.taken}
        assert (len(ids), receiver.kinds) == (1, [("down", "home")] * 2)
        figures.note("owner.crash", "down, and the same down again under the same id", note="killed after the receiver had it, before that was noted")


@pytest.mark.slow
def test_a_restart_during_an_outage(tmp_path: Path) -> None:
    """The same outage is not told twice; its end is, with how long it lasted since its beginning."""
    with Receiver() as receiver, bound() as holder:
        port = holder.getsockname()[1]
        path = config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, monitor={**QUICK, "notify": [receiver.url]})
        with Spawned(path):
            assert receiver.until(lambda: receiver.kinds == [("down", "home")])
        for _ in range(2):
            with Spawned(path) as gateway:
                assert soon(lambda: bool(gateway.run("status", "--json").stdout))
        holder.close()
        with ScriptedBackend(port=port), Spawned(path):
            assert receiver.until(lambda: len(receiver.taken) == 2)
        assert receiver.kinds == [("down", "home"), ("up", "home")]
        down, up = receiver.taken
        assert up["downtime_s"] == pytest.approx(up["since"] - down["since"], abs=0.05)
        figures.note("owner.restart", "down, then up with the whole of its downtime", note="restarted three times during the outage")
