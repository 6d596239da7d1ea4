"""The way from the world: how long its certificate holds, and whether it can be walked around."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from homeport.doctor.certificate import Encryption, judge, look

URL = "https://ai.example"
NOW, DAY = 1_795_000_000.0, 86400.0


@pytest.mark.parametrize(("days", "ok"), [(60.5, True), (20.5, None), (6.5, False), (1.5, False)])
def test_how_long_it_holds(days: float, ok: bool | None) -> None:
    [found] = judge(Encryption(URL, NOW + days * DAY), NOW)
    assert found.ok is ok
    assert found.what == f"The certificate of {URL} ends in {int(days)} day{'s' if int(days) != 1 else ''}"


@pytest.mark.parametrize(("plain", "checks"), [(None, []), (308, []), (404, []), (200, ["public.redirect"])])
def test_a_way_around_it(plain: int | None, checks: list[str]) -> None:
    found = [one for one in judge(Encryption(URL, NOW + 60 * DAY, plain), NOW) if one.ok is False]
    assert [one.check for one in found] == checks


@pytest.mark.parametrize(("url", "ok"), [("http://ai.example", False), ("http://192.168.1.5:8461", None), ("http://8.8.8.8", False)])
def test_no_encryption_at_all(url: str, ok: bool | None) -> None:
    [found] = judge(look(url))
    assert (found.check, found.ok) == ("public.plain", ok)


def test_this_machine_needs_none() -> None:
    assert list(judge(look("http://127.0.0.1:8461"))) == []


@contextmanager
def serving(status: int, wrap: Callable[[socket.socket], socket.socket] = lambda sock: sock) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who only looks at a certificate leaves early
    server.socket = wrap(server.socket)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that holds for ten days, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    made, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "10"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(made), *subject]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made, key


def test_a_real_one_is_read(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(200, lambda sock: context.wrap_socket(sock, server_side=True)) as port, serving(200) as plain, serving(301) as led:
        url = f"https://127.0.0.1:{port}"
        assert look(url) == Encryption(url)  # nobody vouches for it: `public` tells that
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        seen = look(url, door=plain)
        assert {one.check: one.ok for one in judge(seen)} == {"public.certificate": None, "public.redirect": False}
        assert "ends in 9 days" in next(judge(seen)).what
        assert look(url, door=led).plain == 301
