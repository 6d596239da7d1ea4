"""A real nginx before something under test: `with Nginx(folder, upstream, rules) as url`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

EXECUTABLE = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

CONF = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        {server}
        location / {{ proxy_pass {upstream}; {rules} }}
    }}
}}
"""


class Nginx:
    """One nginx with one worker; `rules` stand in its location, `server` in its server block. `certificate`: its file and its key's, for TLS."""

    def __init__(self, folder: Path, upstream: str, rules: str = "", server: str = "", certificate: tuple[Path, Path] | None = None) -> None:
        assert EXECUTABLE is not None
        self._folder = folder / "nginx"
        self._folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        if certificate is not None:
            server += f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
        user = "user root;" if os.geteuid() == 0 else ""
        told = {"user": user, "folder": self._folder, "port": self.port, "tls": " ssl" if certificate else "", "server": server, "rules": rules}
        (self._folder / "nginx.conf").write_text(CONF.format(upstream=upstream, **told), encoding="utf-8")
        self._child: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        assert EXECUTABLE is not None
        with (self._folder / "out").open("wb") as out:
            self._child = subprocess.Popen([EXECUTABLE, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")], stdout=out, stderr=out)
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self._child.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise AssertionError((self._folder / "out").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.02)

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
