"""`homeport up`: what is said at the start, and what where there is none; the gateway itself has its own tests."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from homeport.cli.up import beside, from_here
from homeport.errors import BadSettings
from homeport.settings import Settings
from homeport.vocabulary import Standing

from .conftest import Homeport

Run = Callable[[Settings, Callable[[str, Sequence[Standing]], None]], int]
FOUND = [
    Standing("ollama", "openai", "local", "healthy", "", 0.0, 0, 4, 0, ["qwen3.5:latest", "coder"]),
    Standing("pilot", "pilot", "local", "loading", "", 0.0, 0, 4, 0, []),
]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Puts a gateway in the place of the real one."""

    def use(run: Run) -> None:
        fake: Any = ModuleType("homeport.foreground")
        fake.run = lambda settings, *, ready, reread: run(settings, ready)
        workers: Any = ModuleType("homeport.workers")
        workers.run = lambda settings, count, *, ready, reread: run(settings, ready)
        for name, module in (("foreground", fake), ("workers", workers)):
            monkeypatch.setitem(sys.modules, f"homeport.{name}", module)
            monkeypatch.setattr(f"homeport.{name}", module, raising=False)

    return use


def starts(url: str) -> Run:
    def run(_: Settings, ready: Callable[[str, Sequence[Standing]], None]) -> int:
        ready(url, FOUND)
        return 0

    return run


def fails(error: Exception) -> Run:
    def run(_settings: Settings, _ready: object) -> int:
        raise error

    return run


CURL = (
    "  curl http://127.0.0.1:8461/v1/chat/completions -H 'content-type: application/json'"
    ' -d \'{"model":"default","messages":[{"role":"user","content":"Where is my parcel?"}]}\''
)


def test_the_greeting(homeport: Homeport, app: Callable[[Run], None]) -> None:
    app(starts("http://127.0.0.1:8461"))
    ended = homeport("up")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "Homeport answers at http://127.0.0.1:8461",
        "",
        "  ollama is healthy: qwen3.5:latest, coder",
        "  pilot is loading",
        "",
        "Try it:",
        CURL,
        "",
        "Apps take http://127.0.0.1:8461/v1 as their OpenAI base URL. Ctrl-C stops it.",
    ]


def test_with_a_key_the_curl_line_sends_one(homeport: Homeport, app: Callable[[Run], None]) -> None:
    app(starts("http://127.0.0.1:8461"))
    homeport("keys", "add", "laptop")
    out = homeport("up").out
    assert CURL.replace(" -H", ' -H "authorization: Bearer $HOMEPORT_KEY" -H', 1) in out
    assert "(HOMEPORT_KEY holds one of the keys of: homeport keys list)" in out


def test_the_model_of_the_curl_line_is_one_that_is_served(homeport: Homeport, app: Callable[[Run], None], tmp_path: Path) -> None:
    app(starts("http://127.0.0.1:8461"))
    path = tmp_path / "homeport.toml"
    home = 'kind = "openai"\nurl = "http://192.0.2.1"\nlocation = "local"\nwake = "00-11-22-33-44-55"'
    text = f'[backends.home]\n{home}\n[models.{{}}]\nroutes = [{{{{ backend = "home" }}}}]\n'
    path.write_text(text.format("assistant"))
    out = homeport("up").out
    assert '"model":"assistant"' in out
    assert out.startswith("Note: wake of [backends.home] does not reach a public address: its packet stays on this machine's network (homeport.toml:5).\n")
    path.write_text(text.format("assistant") + "[models.default]\nroutes = [{ backend = 'home' }]\n")
    assert '"model":"default"' in homeport("up").out


def test_json_is_one_line(homeport: Homeport, app: Callable[[Run], None], tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text("[monitor]\n")
    app(starts("http://0.0.0.0:8461"))
    assert homeport("up", "--json").json == {"url": "http://127.0.0.1:8461", "pid": os.getpid()}


def test_flags_reach_the_settings(homeport: Homeport, app: Callable[[Run], None], tmp_path: Path) -> None:
    seen: list[Settings] = []

    def run(settings: Settings, _ready: object) -> int:
        seen.append(settings)
        return 0

    app(run)
    (tmp_path / "my.toml").write_text("[server]\nmax_body_mb = 7\n")
    assert homeport("up", "--config", "my.toml", "--listen", "127.0.0.1:0", "--workers", "1").code == 0
    assert homeport("up", "--config=my.toml", "--listen=127.0.0.1:0").code == 0
    assert [(settings.server.listen, settings.server.max_body_mb) for settings in seen] == [("127.0.0.1:0", 7)] * 2


def test_a_port_in_use_is_told_with_its_holder(homeport: Homeport, app: Callable[[Run], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        app(fails(OSError(errno.EADDRINUSE, "in use")))
        ended = homeport("up", "--listen", f"127.0.0.1:{port}")
    assert ended.code == 1
    assert ended.err.startswith(f"homeport: port {port} is in use by ")
    assert ended.err.endswith(f"choose another port: homeport up --listen 127.0.0.1:{port + 1}\n")
    if sys.platform == "linux":
        assert f"(pid {os.getpid()}). Stop it, or" in ended.err


@pytest.mark.parametrize(
    ("error", "listen", "told"),
    [
        (
            OSError(errno.EADDRINUSE, "x"),
            "127.0.0.1:1",
            "port 1 is in use by another program. Stop it, or choose another port: homeport up --listen 127.0.0.1:2",
        ),
        (PermissionError(errno.EACCES, "x"), ":80", "port 80 is reserved for the system's administrator. Choose one above 1023: homeport up --listen :8461"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "9.9.9.9:8461", "9.9.9.9:8461 is no address of this machine. Try: homeport up --listen 127.0.0.1:8461"),
        (socket.gaierror(-2, "x"), "nohost:8461", "nohost:8461 is no address of this machine. Try: homeport up --listen 127.0.0.1:8461"),
        (PermissionError(errno.EACCES, "Permission denied", "journal"), ":80", "journal: Permission denied"),
    ],
)
def test_an_address_that_cannot_be_had(
    homeport: Homeport, app: Callable[[Run], None], monkeypatch: pytest.MonkeyPatch, error: OSError, listen: str, told: str
) -> None:
    monkeypatch.setattr("homeport.cli.holder.holder", lambda port: None)
    app(fails(error))
    ended = homeport("up", "--listen", listen)
    assert (ended.code, ended.out, ended.err) == (1, "", f"homeport: {told}\n")
    assert json.loads(homeport("up", "--listen", listen, "--json").out) == {"error": told}


def test_a_second_gateway_is_told_from_another_program(homeport: Homeport, app: Callable[[Run], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.cli.holder.holder", lambda port: ("homeport", 7))
    app(fails(OSError(errno.EADDRINUSE, "x")))
    assert "in use by homeport (pid 7). It runs already, see: homeport status. Or choose" in homeport("up").err


def test_what_the_app_refuses_is_2(homeport: Homeport, app: Callable[[Run], None]) -> None:
    app(fails(BadSettings("there is no key yet")))
    ended = homeport("up")
    assert (ended.code, ended.err) == (2, "homeport: there is no key yet\n")


def test_addresses() -> None:
    assert from_here("http://[::]:1") == "http://[::1]:1"
    assert from_here("http://10.0.0.0:1") == "http://10.0.0.0:1"
    assert (beside("::1", 1), beside("", 65535)) == ("[::1]:2", ":65534")
