"""The examples' ground: who is let in, what is handed on, whose key it is, and that an example brings its gateway and takes it away."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from examples.page import HEADERS
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, Fault, Point, Refuse
from tests.browser.showing import ROOT, Example
from tests.caller import Heard, asked
from tests.gateway import Running, Spawned, config, soon

pytestmark = pytest.mark.slow
PAGES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/index.html"))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PATIENT = {"first_token_timeout_s": 60.0, "idle_timeout_s": 60.0}  # what a test leaves hanging, the gateway does not end


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    """In the gateway's place, or behind one."""
    with ScriptedBackend() as backend:
        yield backend


def settings(folder: Path, url: str) -> Path:
    return config(
        folder, {"home": {"url": url, **PATIENT}}, models={"default": {"routes": [{"backend": "home", "model": "m"}]}}, monitor={"probe_interval_s": 0.1}
    )


def ask(example: Example, path: str = "/", body: Any = None, **options: Any) -> Heard:
    return asked(example.url, body, **{"method": "GET" if body is None else "POST", "path": path, "host": urlsplit(example.url).netloc, **options})


def processes(pid: int) -> set[int]:
    """A process's children, and theirs."""
    found = {int(child) for listing in Path(f"/proc/{pid}/task").glob("*/children") for child in listing.read_text().split()}
    return found | {below for child in found for below in processes(child)}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_what_it_may_do(name: str, backend: ScriptedBackend) -> None:
    with Example(name, backend.url) as example:
        for path in ("/", "/own/app.js", "/own/style.css", "/static/base.css", "/static/stream.js", "/ready", "/nowhere"):
            heard = ask(example, path)
            assert heard.status == (404 if path == "/nowhere" else 200), path
            assert {header: heard.headers[header] for header in HEADERS} == HEADERS, path
        page = ask(example).body.decode()
        assert "://" not in page and "<script>" not in page and "style=" not in page and 'lang="en"' in page
        for path in ("/own/app.py", "/own/..%2fpage.py", "/static/%2e%2e%2fpage.py", "/own/", "/static/README.md", "/own/index.html"):
            assert ask(example, path).status == 404, path


def test_only_the_page_itself_is_let_in(backend: ScriptedBackend) -> None:
    with Example("ai-transform", backend.url) as example:
        here = urlsplit(example.url).netloc
        port = here.rpartition(":")[2]
        for host, status in ((here, 200), (f"localhost:{port}", 200), (f"evil.example:{port}", 421), ("127.0.0.1", 421), ("127.0.0.1:1", 421)):
            assert ask(example, host=host).status == status, host
        body = {"prompt": "hi"}
        for headers, status in (({"origin": "http://evil.example"}, 403), ({"origin": "null"}, 403), ({"content-type": "text/plain"}, 415)):
            assert ask(example, "/transform", json.dumps(body).encode(), headers={"content-length": "16", **headers}).status == status, headers
        assert ask(example, "/transform", {"prompt": "x" * 70_000}).status == 413
        assert ask(example, "/transform", {"prompt": 1}).status == 400
        assert ask(example, "/transform", {"prompt": "hi", "more": 1}).status == 400
        assert "Host" not in ask(example, "/transform", b"\xff", headers={"content-type": "application/json", "content-length": "1"}).error["message"]
        assert backend.requests == [], "none of it reached the gateway"


def test_a_refusal_of_the_gateway_is_handed_on(backend: ScriptedBackend) -> None:
    backend.pages["/tasks/scatter"] = Refuse(status=429, message="enough")
    with Example("ai-transform", backend.url) as example:
        heard = ask(example, "/transform", {"prompt": "hi"})
    assert (heard.status, heard.error["message"]) == (429, "enough")


@pytest.mark.parametrize("begun", [b"", b'event: result\ndata: {"output": ', b'event: result\ndata: {"output": {}}\n', b"event: partial\ndata: {}\n\n"])
def test_a_stream_that_breaks_ends_in_an_error(backend: ScriptedBackend, begun: bytes) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(begun), begun) if begun else b"ff\r\n"
    backend.pages["/tasks/scatter"] = Bytes(data=HEAD + chunk)
    with Example("ai-transform", backend.url) as example:
        heard = ask(example, "/transform", {"prompt": "hi"})
    assert heard.body.startswith(begun + b"\n\nevent: error\n")
    assert heard.errors[0]["message"].startswith("The gateway was lost in the middle of the answer")


def test_no_gateway(free_port: int) -> None:
    with Example("ai-transform", f"http://127.0.0.1:{free_port}") as example:
        heard = ask(example, "/transform", {"prompt": "hi"})
        assert heard.status == 502 and "The gateway does not answer" in heard.error["message"]
        ready = ask(example, "/ready").json
        assert ready["ready"] is False and "the gateway does not answer" in ready["reason"]


def test_whether_a_model_is_there(backend: ScriptedBackend, tmp_path: Path) -> None:
    with Running(settings(tmp_path, backend.url)) as gateway, Example("ai-transform", gateway.url) as example:
        assert soon(lambda: ask(example, "/ready").json == {"ready": True, "reason": ""})
        backend.loading = True
        assert soon(lambda: not ask(example, "/ready").json["ready"])
        assert ask(example, "/ready").json["reason"].startswith("home ")
        backend.loading = False
        assert soon(lambda: ask(example, "/ready").json["ready"], 30)


def test_another_name_than_default(backend: ScriptedBackend, tmp_path: Path) -> None:
    with Running(config(tmp_path, {"home": backend.url})) as gateway, Example("ai-transform", gateway.url) as example:
        assert ask(example, "/ready").json == {"ready": False, "reason": "the gateway serves no model called default"}


def test_the_key_stays_on_the_server(backend: ScriptedBackend, tmp_path: Path) -> None:
    with Spawned(settings(tmp_path, backend.url)) as gateway:
        added = gateway.run("keys", "add", "example", "--json")
        key = json.loads(added.stdout)["key"]
        with Example("ai-transform", gateway.url) as example:
            refused = ask(example, "/transform", {"prompt": "hi"})
            assert refused.status == 401
        with Example("ai-transform", gateway.url, key=key) as example:
            paths = ["/", "/ready", *(f"/own/{name}" for name in ("app.js", "template.js", "style.css")), "/static/stream.js", "/static/base.css"]
            heard = [ask(example, path) for path in paths] + [ask(example, "/transform", {"prompt": "hi"})]
            assert heard[-1].status == 200 and b"event: result" in heard[-1].body
            assert ask(example, "/ready").json["ready"] is True
    assert not any(key in f"{one.headers}{one.body!r}" for one in heard)


def test_a_caller_who_leaves_before_the_first_word(backend: ScriptedBackend, tmp_path: Path) -> None:
    backend.default = Answer(fault=Fault(at=Point.HEADERS, how="freeze"))
    with Running(settings(tmp_path, backend.url)) as gateway, Example("ai-transform", gateway.url) as example:
        body = json.dumps({"prompt": "hi"}).encode()
        head = f"POST /transform HTTP/1.1\r\nhost: {urlsplit(example.url).netloc}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection((urlsplit(example.url).hostname, urlsplit(example.url).port)) as caller:
            caller.sendall(head.encode() + body)
            assert soon(lambda: backend.in_flight == 1)
        assert soon(lambda: backend.in_flight == 0)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts processes by /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_example_brings_its_gateway_and_takes_it_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Example("payment-drafts") as example:
        assert soon(lambda: ask(example, "/ready").json["ready"], 30)
        assert [path.name for path in tmp_path.glob("homeport-example-*")] != []
        heard = ask(example, "/draft", {"client": "osei", "days_overdue": 3})
        below = processes(example.pid)
        assert below, "the bundled model has a process of its own"
        assert example.kill(number) == 0
        assert soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    result = next(event for event in heard.events if "homeport" in event)
    assert result["output"]["tone"] == "friendly" and "Ama Osei" in result["output"]["body"]
    assert list(tmp_path.glob("homeport-example-*")) == []


def test_what_it_is_started_with(free_port: int) -> None:
    def started(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOMEPORT_URL": "http://127.0.0.1:9", **more}
        return subprocess.run([sys.executable, "-m", "examples", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)

    for words in ((), ("nonsense",)):
        unknown = started(*words)
        assert (unknown.returncode, unknown.stdout) == (2, "") and "ai-transform" in unknown.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        refused = started("ai-transform", PORT=str(free_port))
        assert refused.returncode == 1 and f"Port {free_port} cannot be had" in refused.stderr and "Traceback" not in refused.stderr
    assert "cannot be had" in started("ai-transform", PORT="http").stderr
