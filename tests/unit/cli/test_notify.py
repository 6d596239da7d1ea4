"""`homeport notify test`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.receiver import Receiver

from .conftest import Homeport


def test_a_message_reaches_who_is_to_be_told(homeport: Homeport, tmp_path: Path) -> None:
    with Receiver() as receiver:
        (tmp_path / "homeport.toml").write_text(f'[monitor]\nnotify = ["{receiver.url}/token"]\nquiet_hours = "00:00-23:59"\n')
        ended = homeport("notify", "test")
        assert (ended.code, ended.out, ended.err) == (0, "json:// (notify 1): taken\n", "Sending to json:// (notify 1) …\n")
        told = homeport("notify", "test", "--json")
        assert told.code == 0
        [event, other] = receiver.taken
        assert told.json == {"id": other["id"], "sent": [{"target": "json:// (notify 1)", "ok": True, "reason": None}], "ok": True}
        assert (event["kind"], event["backend"], event["downtime_s"]) == ("test", None, None)
        assert event["id"] != other["id"]
        assert receiver.posts[0]["title"] == "A test from Homeport"


def test_one_that_does_not_take_it(homeport: Homeport, tmp_path: Path) -> None:
    with Receiver() as receiver:
        (tmp_path / "homeport.toml").write_text(f'[monitor]\nnotify = ["nonsense://token", "{receiver.url}"]\n')
        ended = homeport("notify", "test", "--json")
    assert ended.code == 1
    assert [sent["ok"] for sent in ended.json["sent"]] == [False, True]
    assert "token" not in json.dumps([sent["target"] for sent in ended.json["sent"]])


def test_nobody_to_tell(homeport: Homeport) -> None:
    ended = homeport("notify", "test")
    assert ended.code == 1
    assert ended.err.startswith("homeport: there is nobody to tell: write [monitor] notify = ")
