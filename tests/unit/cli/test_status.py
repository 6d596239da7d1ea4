"""`homeport status`, and how the command line finds and hears a gateway."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from .conftest import FakeGateway, Homeport

BACKEND = {
    "name": "home",
    "kind": "openai",
    "location": "local",
    "state": "healthy",
    "reason": "",
    "since": 0.0,
    "in_flight": 1,
    "max_in_flight": 4,
    "queued": 2,
}
WELL: dict[str, Any] = {
    "verdict": "All is well.",
    "version": "0.1.0",
    "uptime_s": 12000.0,
    "requests": {"ok": 1199, "failed": 1, "cut": 0},
    "backends": [{**BACKEND, "models": ["qwen3.5:latest", "coder"], "ttft_ms": 120.4, "tok_per_s": 31.2}],
    "models": [{"name": "default", "routes": [{"backend": "home", "model": "qwen3.5:latest"}]}],
    "incidents": [],
}


def test_the_screen(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says(WELL)
    ended = homeport("status")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"homeport 0.1.0 at {gateway.url}",
        "All is well.",
        "up for 3 h 20 min, 1,200 requests (1,199 ok, 1 failed)",
        "",
        "BACKEND  STATE    BUSY  WAITING  FIRST TOKEN  SPEED     90 DAYS  MODELS",
        "home     healthy  1/4   2        120 ms       31 tok/s  -        qwen3.5:latest, coder",
    ]


def test_a_backend_that_is_down_says_why(homeport: Homeport, gateway: FakeGateway) -> None:
    down = {**BACKEND, "name": "vm", "state": "open", "reason": "connection refused\x1b[2J", "since": time.time() - 300, "models": []}
    down["retry_at"] = time.time() + 30
    gateway.says(WELL | {"verdict": "1 of 2 backends is down", "backends": [*WELL["backends"], down]})
    out = homeport("status").out
    assert "vm       not answering  1/4   2        -            -         -        -" in out
    assert re.search(r"^vm is not answering for 5 min: connection refused.*; next try in (30|29) s$", out, re.MULTILINE)
    assert "\x1b" not in out, "what a backend said cannot command a terminal"


def test_what_stands_behind_a_node_has_a_row_of_its_own(homeport: Homeport, gateway: FakeGateway) -> None:
    behind = {"name": "gpu\x1b[2J", "state": "open", "reason": "", "in_flight": 1, "max_in_flight": 2, "queued": 5, "location": "local"}
    node = {"version": "0.1.0", "in_flight": 1, "max_in_flight": 2, "queued": 5, "backends": [behind, 5]}
    gateway.says(WELL | {"backends": [WELL["backends"][0] | {"node": node}]})
    out = homeport("status").out
    assert re.search(r"^home/gpu.* +not answering +1/2 +5 +- +- +- +-$", out, re.MULTILINE)
    assert "\x1b" not in out


FIGURES = {"count": 1200, "p5": 101.0, "p50": 420.0, "p95": 1250.0, "p99": 2600.0}


def test_how_fast_each_name_was_answered(homeport: Homeport, gateway: FakeGateway) -> None:
    speeds = [
        {"model": "assistant\x1b[2J", "first_token_ms": FIGURES, "tok_per_s": {"count": 7, "p5": 3.0, "p50": 41.4, "p95": 52.0, "p99": 1500.0}},
        {"model": "embedder", "first_token_ms": {"count": 1, "p50": 9.0}, "tok_per_s": None},
        *({"model": f"other-{number}"} for number in range(12)),
    ]
    days = [{"day": "2026-11-20", "good": 3, "bad": 1, "neither": 9}, {"day": "2026-11-21", "good": 4, "bad": 0, "neither": 0}]
    gateway.says(WELL | {"distributions": speeds, "heartbeats": {"home": days}})
    lines = homeport("status").out.splitlines()
    assert "31 tok/s  87.5 %   qwen3.5:latest, coder" in lines[5]
    head = next(place for place, line in enumerate(lines) if line.startswith("LAST 7 DAYS"))
    assert lines[head] == "LAST 7 DAYS    ANSWERS  FIRST TOKEN p50/p95/p99  TOKENS/S p50/p95/p99"
    assert lines[head + 1] == "assistant [2J  1200     420 ms / 1.2 s / 2.6 s   41 / 52 / 1,500"
    assert lines[head + 2] == "embedder       1        9 ms / - / -             -"
    assert lines[-1] == "and 2 more (--json has them)"


@pytest.mark.parametrize("odd", [[], "x", {"home": "x"}, {"home": [3, {"good": "x"}]}, None])
def test_days_that_say_nothing(homeport: Homeport, gateway: FakeGateway, odd: Any) -> None:
    gateway.says(WELL | {"heartbeats": odd, "distributions": ["x"]})
    assert "31 tok/s  -        qwen3.5" in homeport("status").out


def test_the_last_incident(homeport: Homeport, gateway: FakeGateway) -> None:
    over = {"id": "evt-1", "kind": "down", "backend": "home", "since": 1.0, "until": time.time() - 1, "reason": "connection refused", "downtime_s": 43_200.0}
    lasting = {**over, "backend": "vm", "since": time.time() - 60, "until": None, "downtime_s": None, "traffic": "to home (default)\x1b[2J"}
    gateway.says(WELL | {"incidents": [{**over, "traffic": "vm answered 12"}, lasting]})
    line, before = homeport("status").out.splitlines()[-2:]
    assert before.startswith("Before that: vm is down since ")
    assert line.startswith("Last incident: home was down for 12 h 0 min until ")
    assert line.endswith(" (connection refused); vm answered 12")
    gateway.says(WELL | {"incidents": [lasting, over]})
    line = homeport("status").out.splitlines()[-2]
    assert line.startswith("Last incident: vm is down since ")
    assert line.endswith(" (connection refused); to home (default) [2J")


def test_json_is_what_the_gateway_says(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says(WELL)
    assert homeport("status", "--json").json == WELL | {"url": gateway.url}


def test_colours_on_a_terminal_only(homeport: Homeport, gateway: FakeGateway, terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.says(WELL)
    assert "\x1b[32mAll is well.\x1b[0m" in homeport("status").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in homeport("status").out


def test_a_gateway_without_backends(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"verdict": "Nothing to ask.", "backends": []})
    assert "No backend yet. Start an engine" in homeport("status").out


def test_the_key_is_sent_and_a_missing_one_is_asked_for(homeport: Homeport, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.says({"error": {"message": "no key", "type": "authentication_error"}}, status=401)
    ended = homeport("status")
    assert ended.code == 1
    assert ended.err == f"homeport: the gateway at {gateway.url} wants a key. Make one with: homeport keys add NAME, then set HOMEPORT_KEY to it\n"
    assert "authorization" not in gateway.seen[-1][1]
    monkeypatch.setenv("HOMEPORT_KEY", "hp_x")
    ended = homeport("status")
    assert gateway.seen[-1][:1] == ("GET /status",)
    assert gateway.seen[-1][1]["authorization"] == "Bearer hp_x"
    assert "does not know the key in HOMEPORT_KEY" in ended.err
    assert "hp_x" not in ended.err


def test_nothing_there_says_how_to_start_one(homeport: Homeport, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LISTEN", f"127.0.0.1:{free_port}")
    told = f"no gateway answers at http://127.0.0.1:{free_port} (connection refused). Start one: homeport up"
    ended = homeport("status")
    assert (ended.code, ended.out, ended.err) == (1, "", f"homeport: {told}\n")
    assert homeport("status", "--json").json == {"error": told}


def test_the_first_of_several_that_answers(homeport: Homeport, gateway: FakeGateway, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.says(WELL)
    monkeypatch.setenv("HOMEPORT_URL", f"http://127.0.0.1:{free_port} , {gateway.url}/v1/")
    assert homeport("status", "--json").json["url"] == gateway.url
    assert gateway.seen[-1][0] == "GET /status"


@pytest.mark.parametrize("listen", [":{port}", "0.0.0.0:{port}", "localhost:{port}"])
def test_the_configured_address_as_seen_from_here(homeport: Homeport, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    gateway.says(WELL)
    monkeypatch.delenv("HOMEPORT_URL")
    monkeypatch.setenv("HOMEPORT_LISTEN", listen.format(port=gateway.url.rpartition(":")[2]))
    assert homeport("status").code == 0


def test_an_address_that_is_not_known(homeport: Homeport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LISTEN", "127.0.0.1:0")
    ended = homeport("status")
    assert ended.code == 2
    assert "set HOMEPORT_URL to the one that it printed" in ended.err


@pytest.mark.parametrize("url", ["127.0.0.1:8461", "ftp://x", "http://", "http://x:y", "http://[", "http://a b/"])
def test_an_address_that_is_none(homeport: Homeport, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HOMEPORT_URL", url)
    ended = homeport("status")
    assert ended.code == 2
    assert ended.err == 'homeport: HOMEPORT_URL takes addresses such as "http://127.0.0.1:8461", separated by commas\n'


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>hello</html>"), (200, b"[]"), (200, b"\xff"), (404, b"not found"), (502, b"{}")])
def test_another_program_at_that_address(homeport: Homeport, gateway: FakeGateway, status: int, body: bytes) -> None:
    gateway.status, gateway.body = status, body
    ended = homeport("status")
    assert ended.code == 1
    assert "is no Homeport gateway. Set HOMEPORT_URL to the right address, or start one: homeport up" in ended.err


def test_an_error_of_the_gateway_is_passed_on(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"error": {"message": "The journal\x1b[2J is full."}}, status=503)
    ended = homeport("status")
    assert (ended.code, ended.err) == (1, "homeport: The journal [2J is full.\n")
