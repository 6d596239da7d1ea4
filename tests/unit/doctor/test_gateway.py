"""The gateway's address: it runs, it hangs, somebody else is there, or nobody."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from homeport.cli.holder import holder
from homeport.doctor import gateway, web
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis
from homeport.settings import load
from homeport.storage.keys import Keys

WELL = {"verdict": "All is well.", "version": "1.0", "trouble": None, "backends": [{"name": "home", "kind": "ollama", "state": "healthy", "tok_per_s": 41.5}]}


def case(data: Path, listen: str, url: str | None = None, **more: Any) -> Case:
    settings = load(listen=listen, environ={"HOMEPORT_DATA": str(data)})
    return Case(version="1.0", settings=settings, gateway=url or f"http://{listen}", holder=holder, **more)


def looked(one: Case, unreachable: tuple[str, ...] = ()) -> dict[str, Diagnosis]:
    return {found.check: found for found in gateway.judge(one, gateway.look(one), set(unreachable))}


class Told:
    """A server that answers each request with one status and body, and keeps the headers it saw."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps(WELL).encode()
        self.seen: list[str | None] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.seen.append(self.headers.get("authorization"))
                self.send_response(told.status)
                self.send_header("content-length", str(len(told.body)))
                self.end_headers()
                self.wfile.write(told.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.listen = f"127.0.0.1:{self.server.server_port}"

    def says(self, **fields: Any) -> None:
        self.body = json.dumps(WELL | fields).encode()


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def test_one_that_runs_is_well(told: Told, tmp_path: Path) -> None:
    one = case(tmp_path, told.listen, key="hp_x")
    assert [(found.check, found.ok) for found in looked(one).values()] == [("gateway.running", True)]
    assert told.seen == ["Bearer hp_x"]
    assert gateway.look(one).speeds == {"home": 41.5}


def test_another_version_runs(told: Told, tmp_path: Path) -> None:
    told.says(version="0.9")
    assert looked(case(tmp_path, told.listen))["gateway.version"].what == "The gateway runs 0.9, and this command is of 1.0"


@pytest.mark.parametrize(("state", "ok"), [("open", False), ("down", False), ("degraded", None), ("loading", None), ("drained", None)])
def test_what_it_says_of_its_backends(told: Told, tmp_path: Path, state: str, ok: bool | None) -> None:
    told.says(backends=[{"name": "pilot", "kind": "pilot", "state": state, "reason": "it ended with code 9"}])
    found = looked(case(tmp_path, told.listen))["gateway.backends"]
    assert (found.ok, found.what) == (ok, f"pilot is {state}: it ended with code 9")
    if state == "open":
        assert "engine-pilot.log" in found.fix
        assert "gateway.backends" not in looked(case(tmp_path, told.listen), ("pilot",))  # its visit has told it


def test_its_trouble_is_told(told: Told, tmp_path: Path) -> None:
    told.says(trouble="cannot write to /data: no space left on device")
    assert looked(case(tmp_path, told.listen))["gateway.records"].ok is False


@pytest.mark.parametrize("backends", [None, {}, [None, 3], [{"name": None, "tok_per_s": "fast"}]])
def test_a_report_that_is_none_is_not_stumbled_over(told: Told, tmp_path: Path, backends: Any) -> None:
    told.says(backends=backends)
    assert looked(case(tmp_path, told.listen))["gateway.running"].ok is True


def test_one_that_wants_a_key_is_not_broken(told: Told, tmp_path: Path) -> None:
    told.status = 401
    found = looked(case(tmp_path, told.listen))["gateway.running"]
    assert found.ok is None and "wants a key" in found.what
    assert "does not know the key" in looked(case(tmp_path, told.listen, key="hp_x"))["gateway.running"].what


@pytest.mark.parametrize(("status", "body"), [(404, b"nothing"), (200, b"<html>"), (200, b'{"status":"ok"}')])
def test_something_else_is_there(told: Told, tmp_path: Path, status: int, body: bytes) -> None:
    told.status, told.body = status, body
    found = looked(case(tmp_path, told.listen))["gateway.running"]
    assert found.ok is False and f"is no Homeport (HTTP {status})" in found.what


def test_nobody_is_there(tmp_path: Path, free_port: int) -> None:
    [found] = looked(case(tmp_path, f"127.0.0.1:{free_port}")).values()
    assert (found.check, found.ok, found.what, found.fix) == ("gateway.running", None, f"No gateway runs at 127.0.0.1:{free_port}", "homeport up")


def test_the_port_is_held_by_something_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.fetch, "__defaults__", ({}, None, 0.3))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(8)
        port = sock.getsockname()[1]
        one = case(tmp_path, f"127.0.0.1:{port}")
        found = looked(one)["gateway.port"]
        assert found.ok is False
        if (who := holder(port)) is not None:
            assert found.what == f"Port {port} is held by {who[0]} (pid {os.getpid()})"
        nameless = Case(version="1.0", settings=one.settings, gateway=one.gateway)
        assert looked(nameless)["gateway.port"].what == f"Port {port} is held by another program"
        ours = Case(version="1.0", settings=one.settings, gateway=one.gateway, holder=lambda port: ("homeport", 77))
        assert looked(ours)["gateway.running"].fix == "kill 77, and start it again: homeport up"


def test_an_address_that_is_not_this_machines(tmp_path: Path) -> None:
    Keys(tmp_path).add("laptop")
    found = looked(case(tmp_path, "192.0.2.77:8461", url="http://127.0.0.1:9"))["gateway.port"]
    assert (found.ok, found.what) == (False, "192.0.2.77 is no address of this machine")


def test_one_elsewhere_says_nothing_of_the_port_here(tmp_path: Path, free_port: int) -> None:
    found = looked(case(tmp_path, "127.0.0.1:8461", url=f"http://127.0.0.1:{free_port}", here=False))["gateway.running"]
    assert (found.ok, found.fix) == (False, "start it there, or unset HOMEPORT_URL")


def test_an_open_door_without_a_key(tmp_path: Path, free_port: int) -> None:
    assert looked(case(tmp_path, f"0.0.0.0:{free_port}", url=f"http://127.0.0.1:{free_port}"))["gateway.keys"].ok is False
    Keys(tmp_path).add("laptop")
    assert "gateway.keys" not in looked(case(tmp_path, f"0.0.0.0:{free_port}", url=f"http://127.0.0.1:{free_port}"))
