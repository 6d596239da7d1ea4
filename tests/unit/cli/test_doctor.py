"""`homeport doctor`: its screen, its exit codes, and what it never says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from homeport.cli import doctor as command
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong

from .conftest import Homeport

Given = Callable[..., list[Case]]


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Sets what the examination finds; gives the cases it was made on."""

    def given(*found: Diagnosis) -> list[Case]:
        cases: list[Case] = []

        def examine(case: Case) -> Sequence[Diagnosis]:
            cases.append(case)
            return list(found)

        monkeypatch.setattr(command, "examine", examine)
        return cases

    return given


BAD = wrong("engine.reachable", "home does not answer at http://box:1: connection refused", "the machine is on", "start it there")
MAYBE = unsure("gateway.running", "No gateway runs at 127.0.0.1:8461", "", "homeport up")
GOOD = well("disk.space", "/data: 68 GiB free")


def test_what_is_wrong_comes_first_with_its_fix(homeport: Homeport, finds: Given) -> None:
    finds(GOOD, MAYBE, BAD)
    ended = homeport("doctor")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "✗ home does not answer at http://box:1: connection refused",
        "    The machine is on",
        "    Fix: start it there",
        "",
        "! No gateway runs at 127.0.0.1:8461",
        "    Fix: homeport up",
        "",
        "✓ /data: 68 GiB free",
        "",
        "1 thing is wrong, 1 thing to know, 1 well.",
    ]
    assert ended.err.startswith("Looking at ")


def test_nothing_wrong_is_exit_code_0(homeport: Homeport, finds: Given) -> None:
    finds(MAYBE, GOOD)
    ended = homeport("doctor")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "Nothing is wrong, 1 thing to know, 1 well.")
    finds(GOOD, GOOD)
    assert homeport("doctor").out.splitlines()[-1] == "Nothing is wrong, 2 well."


def test_json_is_one_line_of_findings(homeport: Homeport, finds: Given) -> None:
    finds(BAD, MAYBE)
    ended = homeport("doctor", "--json")
    assert ended.code == 1
    told = {"check": "gateway.running", "ok": None, "what": "No gateway runs at 127.0.0.1:8461", "why": "", "fix": "homeport up"}
    assert ended.json["ok"] is False and ended.json["findings"][1] == told
    assert list(ended.json["findings"][0]) == ["check", "ok", "what", "why", "fix"]


def test_control_characters_of_an_engine_do_not_reach_the_terminal(homeport: Homeport, finds: Given) -> None:
    finds(wrong("engine.routes", "a\x1b[2Jb", "c\x07d", "e\r\nf"))
    assert not [c for c in homeport("doctor").out if not c.isprintable() and c != "\n"]


def test_colours_are_for_a_terminal(homeport: Homeport, finds: Given, terminal: None) -> None:
    finds(BAD, MAYBE, GOOD)
    out = homeport("doctor").out
    assert all(f"\x1b[{style}m" in out for style in ("31", "32", "33"))


@pytest.mark.parametrize("url", ["https://ai.example", "https://ai.example/", "https://ai.example/v1", "https://ai.example/v1/"])
def test_the_public_address_is_the_one_before_v1(homeport: Homeport, finds: Given, url: str) -> None:
    cases = finds(GOOD)
    homeport("doctor", "--url", url)
    assert cases[0].public_url == "https://ai.example"


@pytest.mark.parametrize("url", ["ai.example", "ftp://ai.example", "https://user:s3cret@ai.example", "https://ai.example/?token=s3cret", ""])
def test_what_is_no_public_address(homeport: Homeport, finds: Given, url: str) -> None:
    cases = finds(GOOD)
    ended = homeport("doctor", "--url", url)
    assert (ended.code, cases) == (2, [])
    assert "--url" in ended.err and "s3cret" not in ended.err


def test_where_the_gateway_is(homeport: Homeport, finds: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = finds(GOOD)
    homeport("doctor")
    (tmp_path / "homeport.toml").write_text('[server]\nlisten = "127.0.0.1:0"\n', encoding="utf-8")
    homeport("doctor")
    monkeypatch.setenv("HOMEPORT_URL", "https://user:s3cret@vps.example/v1")
    monkeypatch.setenv("HOMEPORT_KEY", "hp_x")
    homeport("doctor")
    homeport("doctor", "--config", "homeport.toml")
    assert [(case.gateway, case.here) for case in cases] == [("http://127.0.0.1:8461", True), (None, True), ("https://vps.example", False), (None, True)]
    assert cases[2].key == "hp_x"
    assert "hp_x" not in repr(cases[2])


def test_a_bad_configuration_is_a_finding(homeport: Homeport, finds: Given, tmp_path: Path) -> None:
    cases = finds(GOOD)
    (tmp_path / "homeport.toml").write_text("[server]\nlisten = 3\n", encoding="utf-8")
    assert homeport("doctor").code == 0
    assert cases[0].fault is not None and cases[0].fault.startswith("homeport.toml:2: server.listen takes a text")
    assert cases[0].settings.server.data == tmp_path / "data"
    assert cases[0].gateway is None
