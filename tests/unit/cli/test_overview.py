"""`homeport` alone."""

from __future__ import annotations

import pytest

from homeport.cli.overview import next_steps

from .conftest import FakeGateway, Homeport
from .test_status import WELL


def test_without_a_gateway_it_says_how_to_start(homeport: Homeport, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LISTEN", f"127.0.0.1:{free_port}")
    ended = homeport()
    assert ended.code == 0
    assert ended.out.splitlines() == [
        f"No gateway answers at http://127.0.0.1:{free_port} (connection refused).",
        "",
        "Next:",
        "  1. homeport up                           start the gateway here, on the bundled model and the engines it finds",
        "  2. homeport config show                  see what it would use, and where each value comes from",
        "  3. export HOMEPORT_URL=http://HOST:8461  use a gateway that runs elsewhere",
    ]
    found = homeport("--json").json
    assert found["status"] is None
    assert found["next"][0]["do"] == "homeport up"


def test_with_a_gateway_it_shows_the_status_and_three_things(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says(WELL)
    lines = homeport().out.splitlines()
    assert lines[0] == f"homeport 0.1.0 at {gateway.url}"
    assert [line[:5] for line in lines[lines.index("Next:") + 1 :]] == ["  1. ", "  2. ", "  3. "]
    assert homeport("--json").json["status"]["verdict"] == "All is well."


def test_what_comes_next_depends_on_how_things_stand() -> None:
    def first(**changes: object) -> list[str]:
        steps = next_steps(WELL | {"url": "http://h:1"} | changes)
        assert len(steps) == 3
        return [do for do, _ in steps]

    backend = WELL["backends"][0]
    assert first()[0] == "export OPENAI_BASE_URL=http://h:1/v1"
    assert first(requests={"ok": 0})[0] == 'homeport run default "Where is my parcel?"'
    assert first(backends=[backend | {"state": "down"}])[0] == "homeport logs --last 50"
    assert "homeport pull hf.co/ORG/REPO" in first(backends=[backend | {"kind": "pilot"}])
    assert "homeport pull hf.co/ORG/REPO" not in first()
