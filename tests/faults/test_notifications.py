"""kill -9 around a delivery: nothing is told twice under two ids, and nothing is forgotten."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from homeport.settings import load
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import bound
from tests.gateway import Running, Spawned, config, soon
from tests.receiver import Receiver

QUICK = {"probe_interval_s": 0.05, "down_after": 2, "up_after": 2}


def events(data: Path) -> list[tuple[str, str]]:
    """(id, kind) of what the outbox holds."""
    if not (data / "outbox.sqlite").exists():
        return []
    with closing(sqlite3.connect(data / "outbox.sqlite", timeout=10)) as outbox:
        if not outbox.execute("PRAGMA user_version").fetchone()[0]:
            return []
        return outbox.execute("SELECT id, kind FROM events ORDER BY number").fetchall()


def test_killed_between_send_and_acknowledgement(tmp_path: Path) -> None:
    """The receiver has it, the gateway does not know: it comes again, under the same id."""
    with Receiver() as receiver, bound() as holder:
        path = config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"}, monitor={**QUICK, "notify": [receiver.url]})
        receiver.held = threading.Event()
        gateway = Spawned(path)
        with gateway:
            assert receiver.until(lambda: len(receiver.posts) == 1)
            assert gateway.end(signal.SIGKILL) == -signal.SIGKILL
        receiver.held.set()
        assert receiver.until(lambda: len(receiver.taken) == 1)
        receiver.held = None
        with Spawned(path):
            assert receiver.until(lambda: len(receiver.taken) == 2)
            time.sleep(0.5)
        assert len({event["id"] for event in receiver.taken}) == 1
        assert receiver.taken[0] == receiver.taken[1]
        with Spawned(path):
            time.sleep(1.0)
        assert len(receiver.posts) == 2, "acknowledged, and sent again"
    assert [kind for _, kind in events(tmp_path / "data")] == ["down"]


def test_stopped_while_a_receiver_hangs(tmp_path: Path) -> None:
    """SIGTERM does not wait for it for long, and the next run delivers."""
    with Receiver() as receiver, bound() as holder:
        path = config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"}, monitor={**QUICK, "notify": [receiver.url]})
        receiver.held = threading.Event()
        gateway = Spawned(path)
        with gateway:
            assert receiver.until(lambda: len(receiver.posts) == 1)
            begun = time.monotonic()
            assert gateway.end(signal.SIGTERM) == 0
            assert time.monotonic() - begun < 8.0
        receiver.held.set()
        receiver.held = None
        with Spawned(path):
            assert receiver.until(lambda: len(receiver.posts) == 2)
        assert len({post["id"] for post in receiver.posts}) == 1


@pytest.mark.slow
def test_killed_at_any_moment_while_it_goes_down_and_up(tmp_path: Path) -> None:
    """One event for each change that lasted, whenever the gateway was killed; each is taken, some of them twice."""
    rng = random.Random(6)
    changes = 5
    with Receiver() as receiver, bound() as holder:
        port = holder.getsockname()[1]
        path = config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, monitor={**QUICK, "up_after": 1, "notify": [receiver.url]})
        data = tmp_path / "data"
        holder.close()
        for change in range(changes):
            there = ScriptedBackend(port=port) if change % 2 else bound(port)
            with there:
                while len(events(data)) == change:
                    with Spawned(path) as gateway:
                        time.sleep(rng.uniform(0.0, 0.6))
                        assert gateway.end(signal.SIGKILL) == -signal.SIGKILL
        with bound(port), Spawned(path):
            ids = [id for id, _ in events(data)]
            assert receiver.until(lambda: {event["id"] for event in receiver.taken} >= set(ids))
    assert [kind for _, kind in events(data)] == ["down", "up", "down", "up", "down"]
    taken: dict[str, Any] = {}
    for event in receiver.taken:
        assert taken.setdefault(event["id"], event) == event
    assert list(taken) == ids, "in their order"


def test_a_spoilt_outbox_is_put_aside(tmp_path: Path) -> None:
    with Receiver() as receiver, bound() as holder:
        path = config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"}, monitor={**QUICK, "notify": [receiver.url]})
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "outbox.sqlite").write_bytes(os.urandom(8192))
        with Running(path):
            assert receiver.until(lambda: len(receiver.taken) == 1)
        assert (tmp_path / "data" / "outbox.sqlite.spoilt").exists()


def test_an_outbox_that_cannot_be_opened_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The gateway runs on, says so once, and tells what happened once it can write."""
    with Receiver() as receiver, bound() as holder:
        path = config(tmp_path, {"home": f"http://127.0.0.1:{holder.getsockname()[1]}"}, monitor={**QUICK, "notify": [receiver.url]})
        (tmp_path / "data" / "outbox.sqlite").mkdir(parents=True)
        with Running(path) as gateway:
            time.sleep(0.5)
            assert gateway.status()["incidents"] == []
            (tmp_path / "data" / "outbox.sqlite").rmdir()
            assert receiver.until(lambda: receiver.kinds == [("down", "home")])
        assert [record.getMessage() for record in caplog.records if "not told" in record.getMessage()] == [
            f"changes of backends are not told: {tmp_path / 'data' / 'outbox.sqlite'} cannot be used: unable to open database file."
            " Make the folder writable and free some space."
        ]


@pytest.mark.slow
def test_secrets_reach_no_log_no_page_and_no_file(tmp_path: Path) -> None:
    """Neither the addresses of receivers nor the switch's, whether they work or not."""
    with Receiver() as receiver, bound() as holder:
        nobody = f"127.0.0.1:{holder.getsockname()[1]}"
        notify = [
            f"{receiver.url}/canary-one?token=canary-two",
            f"json://canary-user:canary-word@{nobody}/canary-three",
            "slack://canary-four",
            "canary://five",
        ]
        monitor = {**QUICK, "notify": notify, "dead_man_url": f"http://{nobody}/canary-six"}
        with ScriptedBackend() as fake:
            path = config(tmp_path, {"home": f"http://{nobody}", "vm": fake.url}, monitor=monitor)
            gateway = Spawned(path)
            with gateway:
                assert receiver.until(lambda: len(receiver.taken) == 1)
                assert soon(lambda: log(tmp_path).count("could not be delivered") == 3, 20)
                said = [gateway.run(*words, "--json").stdout for words in (("config", "show"), ("config", "check"), ("status",))]
                tested = gateway.run("notify", "test")
                shown = gateway.run("config", "show").stdout
        assert tested.returncode == 1
        assert "dead_man_url could not be pinged: connection refused" in log(tmp_path)
        texts = [log(tmp_path), *said, shown, tested.stdout, tested.stderr, repr(load(config=path))]
        assert [text for text in texts if "canary" in text.replace("canary:// (notify 4)", "").replace('"canary://…"', "")] == []
        kept = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir() if file.is_file())
        assert b"canary" not in kept


def log(folder: Path) -> str:
    return (folder / "gateway.log").read_text(encoding="utf-8")
