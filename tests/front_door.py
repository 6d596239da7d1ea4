"""The front door that ships, with the real nginx: `with FrontDoor(folder, upstream) as door: door.url`."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.caller import Caller, Heard
from tests.docs.pages import ROOT
from tests.nginx import EXECUTABLE

NGINX = ROOT / "deploy" / "nginx"
TEMPLATE = NGINX / "homeport.conf.template"
WORD = re.compile(r"\$\{(HOMEPORT_[A-Z_]+)\}")
DEFAULTS = {
    "name": "_",
    "https": "443",
    "http": "80",
    "upstream": "127.0.0.1:8461",
    "pages": str(NGINX),
    "certificate": "/nonexistent",
    "certificate_key": "/nonexistent",
    "acme": "/nonexistent",
    "body_mb": "32",
    "rate": "1000",
    "burst": "1000",
    "open": "1000",
    "insiders": "",
}
AROUND = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def rendered(**changes: Any) -> str:
    """The site file; `changes` are the template's words, in lower case and without their HOMEPORT_."""
    told = {f"HOMEPORT_{name.upper()}": str(value) for name, value in {**DEFAULTS, **changes}.items()}
    return WORD.sub(lambda match: told[match[1]], TEMPLATE.read_text(encoding="utf-8"))


def self_signed(folder: Path, name: str = "localhost", address: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate for the name and the address, and its key."""
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name},IP:{address}", "-keyout", str(private), "-out", str(public)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return public, private


class FrontDoor:
    """One nginx with the site that ships, from `with` to the end of its block; ports are free ones unless given.

    `prefix` stands before nginx's command, such as `("ip", "netns", "exec", "vps")`; then give `https` and `http`.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str = DEFAULTS["upstream"],
        *,
        address: str = "127.0.0.1",
        https: int = 0,
        http: int = 0,
        certificate: tuple[Path, Path] | None = None,
        prefix: tuple[str, ...] = (),
        **changes: Any,
    ) -> None:
        self.folder = folder / "front-door"
        self.folder.mkdir()
        self.address, self.https, self.http = address, https or _free(address), http or _free(address)
        self.certificate, key = certificate or self_signed(self.folder, address=address)
        self.url, self.plain_url = f"https://{address}:{self.https}", f"http://{address}:{self.http}"
        told = {"https": f"{address}:{self.https}", "http": f"{address}:{self.http}", "certificate": self.certificate, "certificate_key": key}
        (self.folder / "site.conf").write_text(rendered(upstream=upstream, **told, **changes), encoding="utf-8")
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(AROUND.format(folder=self.folder, user=user), encoding="utf-8")
        self._prefix = prefix
        self._child: subprocess.Popen[bytes]

    def context(self) -> ssl.SSLContext:
        """Trusts its certificate, and nothing else."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def log(self) -> str:
        """What it complained about."""
        return (self.folder / "error.log").read_text(encoding="utf-8")

    def reload(self) -> None:
        """Take over what its site file says now; on return that is so."""
        before = self._workers()
        self._child.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not self._workers() or self._workers() & before:
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.02)

    def _workers(self) -> set[str]:
        try:
            return set(Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text(encoding="ascii").split())
        except OSError:  # it has ended
            return set()

    def __enter__(self) -> Self:
        assert EXECUTABLE is not None
        with (self.folder / "out").open("wb") as out:
            command = [*self._prefix, EXECUTABLE, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
            self._child = subprocess.Popen(command, stdout=out, stderr=out)
        deadline = time.monotonic() + 20
        while not ((self.folder / "nginx.pid").exists() and self._workers()):  # its sockets are bound, and somebody accepts
            if self._child.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise AssertionError((self.folder / "out").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(10)
        finally:
            if self._child.poll() is None:
                self._child.kill()
                self._child.wait(10)


class Visitor(Caller):
    """One connection with TLS to a front door."""

    def __init__(self, door: FrontDoor) -> None:
        super().__init__(door.url)
        self._context = door.context()

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24, ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()


def visit(door: FrontDoor, body: Any = None, **options: Any) -> Heard:
    """One request through the front door, 30 s at most."""

    async def go() -> Heard:
        async with Visitor(door) as visitor:
            return await visitor.ask(body, **options)

    return asyncio.run(asyncio.wait_for(go(), 30))


def _free(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
