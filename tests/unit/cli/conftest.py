"""A command line to call, and a gateway for it to talk to that says what the test chose."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from homeport.cli import main


@dataclass(frozen=True)
class Ended:
    """What one command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON on stdout, with nothing said beside it."""
        assert self.err == ""
        [line] = self.out.splitlines()
        return json.loads(line)


Homeport = Callable[..., Ended]


@pytest.fixture
def homeport(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Homeport:
    """Runs a command in this process, in a folder of the test's own; as in a pipe, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code = main(words)
        return Ended(code, *capsys.readouterr())

    return run


@dataclass
class FakeGateway:
    """Answers every request with `status` and `body`, or with the `chunks` of a stream; remembers what it was asked."""

    url: str
    status: int = 200
    body: bytes = b"{}"
    chunks: list[bytes] | None = None
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def says(self, value: Any, status: int = 200) -> None:
        self.status, self.body, self.chunks = status, json.dumps(value).encode(), None

    def streams(self, *events: Any, done: bool = True) -> None:
        lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
        self.status, self.chunks = 200, [*lines, b"data: [DONE]\n\n"] if done else lines


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    """A gateway at $HOMEPORT_URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            fake.seen.append((f"{self.command} {self.path}", {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(fake.status)
            self.send_header("connection", "close")
            if fake.chunks is None:
                self.send_header("content-length", str(len(fake.body)))
                self.end_headers()
                self.wfile.write(fake.body)
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in fake.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if fake.chunks and b"[DONE]" in fake.chunks[-1]:
                self.wfile.write(b"0\r\n\r\n")  # else it breaks off

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeGateway(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("HOMEPORT_URL", fake.url)
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a person were watching, on a terminal with colours."""
    monkeypatch.setattr("homeport.cli.screen.is_terminal", lambda stream=None: True)
    monkeypatch.setenv("TERM", "xterm")
    os.environ.pop("NO_COLOR", None)
