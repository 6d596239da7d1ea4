"""What people read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from homeport.monitor.message import text, title
from homeport.vocabulary import Event


@pytest.fixture(autouse=True)
def oslo(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Europe/Oslo")
    time.tzset()
    monkeypatch.setattr("socket.gethostname", lambda: "vps")
    yield
    monkeypatch.undo()
    time.tzset()


def test_down() -> None:
    event = Event("evt-1", "down", "home", 1_795_176_000.0, "connection refused", None, "to vm, then pilot (assistant)")
    assert title(event) == "home is down"
    assert text(event) == ("Connection refused. Since 2026-11-20 13:00:00. Its requests go to vm, then pilot (assistant).\n— Homeport on vps, evt-1")


def test_up() -> None:
    event = Event("evt-2", "up", "home", 1_795_219_200.0, "it answers again", 43_200.0, "vm answered 12")
    assert title(event) == "home is up again"
    assert text(event) == (
        "It was down for 12 h 0 min, from 2026-11-20 13:00:00 to 2026-11-21 01:00:00. Its requests meanwhile: vm answered 12.\n— Homeport on vps, evt-2"
    )


def test_up_after_coming_and_going() -> None:
    event = Event("evt-2", "up", "home", 1_795_219_200.0, "it answers again, after it had come and gone once more", 60.0, None)
    assert text(event).startswith("It answers again, after it had come and gone once more. It was down for 1 min, from ")


def test_others() -> None:
    assert title(Event("evt-3", "test", None, 0.0, "a test", None, None)) == "A test from Homeport"
    assert title(Event("evt-4", "drift", "home", 0.0, "another model", None, None)) == "A model has drifted"
    assert title(Event("evt-5", "moved", "home", 0.0, "a kind of a later version", None, None)) == "moved: home"
