"""The messenger's turns, and one delivery by the courier."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import closing
from pathlib import Path

import pytest

from homeport.monitor import notify
from homeport.monitor.notify import Messenger, Target, deliver, targets
from homeport.monitor.outbox import Outbox
from homeport.vocabulary import Event
from tests.receiver import Receiver

EVENT = Event("evt-1", "down", "home", 1.0, "connection refused", None, "to vm (assistant)")


def test_targets_are_named_without_their_secrets() -> None:
    found = targets(["ntfys://token@ntfy.example/topic", "slack://a/b/c", "ntfys://token@ntfy.example/topic"])
    assert [target.label for target in found] == ["ntfys:// (notify 1)", "slack:// (notify 2)"]
    assert "token" not in repr(found) + found[0].key
    assert found[0].key == Target("ntfys://token@ntfy.example/topic", 5).key != found[1].key


def test_one_target_does_not_wait_for_another(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    now, tried = [0.0], []
    up = {"json://bad-token": False, "json://good": True}

    def send(url: str, event: Event, ended: threading.Event) -> str | None:
        tried.append(url)
        return None if up[url] else "no"

    with closing(Outbox(data_dir)) as outbox, caplog.at_level(logging.WARNING, "homeport"):
        to = targets(list(up))
        messenger = Messenger(data_dir, to, send=send, clock=lambda: now[0], chance=lambda: 1.0)
        outbox.record(EVENT, [target.key for target in to], 1.0)
        assert messenger.turn(outbox) == 1.0
        assert tried == list(up)
        assert messenger.turn(outbox) == 1.0
        assert tried == list(up), "not before its time"
        for wait in (1.0, 2.0, 4.0):
            now[0] += wait
            assert messenger.turn(outbox) == 2 * wait
        now[0] += 8.0
        up["json://bad-token"] = True
        assert messenger.turn(outbox) is None
        assert tried[-1] == "json://bad-token"
    assert [record.getMessage() for record in caplog.records] == [
        "a notification could not be delivered to json:// (notify 1): no. It is tried again until it is.",
        "notifications are delivered to json:// (notify 1) again",
    ]


def test_within_quiet_hours_nothing_is_sent(data_dir: Path) -> None:
    quiet, sent = [True], []
    with closing(Outbox(data_dir)) as outbox:
        to = targets(["json://one"])
        messenger = Messenger(data_dir, to, quiet=lambda: quiet[0], send=lambda _, event, __: sent.append(event))
        assert messenger.turn(outbox) is None
        outbox.record(EVENT, [to[0].key], 1.0)
        assert messenger.turn(outbox) == notify.ASLEEP_S
        assert sent == []
        quiet[0] = False
        assert messenger.turn(outbox) is None
        assert sent == [EVENT]


def test_a_delivery() -> None:
    with Receiver() as receiver:
        assert deliver(receiver.url, EVENT) is None
        [post] = receiver.posts
        assert json.loads(post["message"]) == {
            "id": "evt-1",
            "kind": "down",
            "backend": "home",
            "since": 1.0,
            "reason": "connection refused",
            "downtime_s": None,
            "traffic": "to vm (assistant)",
        }
        receiver.status = 500
        told = deliver(receiver.url, EVENT)
        assert told is not None
        assert told.startswith("the receiver did not take it")


def test_an_address_that_apprise_does_not_know() -> None:
    told = deliver("nonsense://token", EVENT)
    assert told is not None
    assert told.startswith("apprise knows no such address")
    assert "token" not in told.partition(":")[0]


def test_a_receiver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUT_S", 1.5)
    with Receiver() as receiver:
        receiver.held = threading.Event()
        assert deliver(receiver.url, EVENT) == "it was not taken in time"
        receiver.held.set()
