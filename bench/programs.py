"""Starts and stops what takes part in a run: the mock, nginx, Homeport; each by its own pid, in its own folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cores import Cores, pinned

HERE = Path(__file__).parent


class Missing(Exception):
    """Something a row needs is not on this machine; the message says what."""


@dataclass
class Program:
    """One program under test, or none of them for `direct`. `models` maps the mock's model names to the ones to ask for."""

    name: str
    port: int
    pid: int | None = None
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    stream_port: int | None = None
    models: Callable[[str], str] = str
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of each request
    version: str = ""

    def port_for(self, stream: bool) -> int:
        return self.stream_port if stream and self.stream_port else self.port


class Bench:
    """One run's folder, cores and children. Closing it stops everything that it started."""

    def __init__(self, cores: Cores, say: Callable[[str], None]) -> None:
        self.cores = cores
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="homeport-bench-"))
        self._children: list[subprocess.Popen[bytes]] = []
        self.binaries: dict[str, Path] = {}
        self.mock_port = 0
        self.mock_pid = 0

    def close(self) -> None:
        for child in reversed(self._children):
            self.stop(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self, command: list[str], core: int, *, log: str, stdin: int = subprocess.DEVNULL, stdout: int | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a child on this core; what it prints goes to `log` in the run's folder."""
        with pinned(core), (self.folder / log).open("ab") as sink:
            child = subprocess.Popen(
                command, stdin=stdin, stdout=sink if stdout is None else stdout, stderr=sink,
                cwd=self.folder, env={**os.environ, **(env or {})}, start_new_session=True,
            )  # fmt: skip
        self._children.append(child)
        return child

    def stop(self, child: subprocess.Popen[bytes], patience_s: float = 5.0) -> None:
        """Ask the child to end, then insist, for its whole process group."""
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdin:
            child.stdin.close()
        if child.stdout:
            child.stdout.close()
        if child in self._children:
            self._children.remove(child)

    def stop_pid(self, pid: int) -> None:
        """Stop the child with this pid, if it is one."""
        for child in list(self._children):
            if child.pid == pid:
                self.stop(child)

    def log_tail(self, log: str) -> str:
        """The last lines of a child's log, on one line."""
        path = self.folder / log
        return " · ".join(path.read_text(errors="replace").strip().splitlines()[-3:])[-400:] if path.exists() else ""

    def compile(self) -> None:
        """Compile mock.c and load.c into the run's folder."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise Missing("no C compiler (cc): install gcc; the mock upstream and the load generator are compiled at run time")
        for name in ("mock", "load"):
            made = subprocess.run([compiler, "-O2", "-o", str(self.folder / name), str(HERE / f"{name}.c")], capture_output=True, text=True, check=False)
            if made.returncode:
                raise Missing(f"{name}.c does not compile here: {made.stderr.strip()[-300:]}")
            self.binaries[name] = self.folder / name

    def start_mock(self, interval_us: int) -> Program:
        """Start the mock upstream; it is also the program `direct`."""
        child = self.start([str(self.binaries["mock"]), str(interval_us)], self.cores.load, log="mock.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        self.mock_port, self.mock_pid = int(child.stdout.readline()), child.pid
        return Program("direct", self.mock_port, version="mock.c")

    def check_mock(self) -> None:
        """Raises Missing where the mock has died, for then every figure is void."""
        for child in self._children:
            if child.pid == self.mock_pid and child.poll() is not None:
                raise Missing(f"the mock upstream died with code {child.returncode}")

    def mock_stats(self) -> dict[str, int]:
        """What the mock has open and has counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.mock_port}/stats", timeout=5) as answer:
            return dict(json.load(answer))


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str, headers: dict[str, str] | None = None, timeout_s: float = 1.0) -> bool:
    """Whether a GET there is answered 200."""
    with contextlib.suppress(OSError, ValueError, urllib.error.HTTPError):
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    return False


def wait_for_port(port: int, child: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Wait until the child accepts connections. Raises Missing where it ended or took too long."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if child.poll() is not None:
            raise Missing(f"it ended with code {child.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    raise Missing(f"it did not listen within {timeout_s:g} s")


NGINX_CONF = """
{user}worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
    server {{
        listen 127.0.0.1:{stream_port} backlog=16384;
        location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
"""


def start_nginx(bench: Bench, files: int) -> Program:
    """nginx with one worker on the program's core: one port that buffers, one that does not. Raises Missing."""
    executable = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/nginx/sbin")
    if executable is None:
        raise Missing("nginx is not installed (Debian: apt install nginx-light): no ratios to it")
    folder = bench.folder / "nginx"
    folder.mkdir()
    port, stream_port = free_port(), free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    conf = NGINX_CONF.format(user=user, files=files, folder=folder, connections=min(files, 60000), mock=bench.mock_port, port=port, stream_port=stream_port)
    (folder / "nginx.conf").write_text(conf)
    child = bench.start([executable, "-p", str(folder), "-c", str(folder / "nginx.conf")], bench.cores.program, log="nginx.log")
    try:
        wait_for_port(port, child, 5)
    except Missing as why:
        raise Missing(f"nginx: {why}: {bench.log_tail('nginx.log')}") from None
    said = subprocess.run([executable, "-v"], capture_output=True, text=True, check=False).stderr
    return Program("nginx", port, child.pid, stream_port=stream_port, version=said.strip().rpartition("/")[2])


HOMEPORT_TOML = """
[server]
listen = "127.0.0.1:{port}"
data = "{data}"
[backends.mock]
kind = "openai"
url = "http://127.0.0.1:{mock}"
max_in_flight = {in_flight}
queue = 4096
[backends.whole]
kind = "openai"
url = "http://127.0.0.1:{mock}"
max_in_flight = {in_flight}
queue = 4096
assemble = false
[models.assistant]
routes = [{{ backend = "mock", model = "whole" }}]
[models.assistant-unassembled]
routes = [{{ backend = "whole", model = "whole" }}]
{streams}"""
STREAM_TOML = """[models.assistant-{model}]
routes = [{{ backend = "mock", model = "{model}" }}]
"""


def homeport_models(model: str) -> str:
    """The name that Homeport is asked for, so that every request has its model name rewritten."""
    return "assistant" if model == "whole" else f"assistant-{model}"


@dataclass
class Homeport:
    """How Homeport is started for a run: its executable, and the folder with configuration, keys and journal."""

    bench: Bench
    executable: Path
    data: Path
    config: Path
    port: int
    key: str

    def command(self) -> list[str]:
        return [str(self.executable), "up", "--config", str(self.config), "--json"]

    def env(self) -> dict[str, str]:
        return {"HOMEPORT_DATA": str(self.data)}

    def add_key(self) -> None:
        """Make a key with its own command. Raises Missing where that fails."""
        command = [str(self.executable), "keys", "add", "bench", "--json"]
        made = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.env()}, check=False, timeout=30)
        if made.returncode:
            raise Missing(f"`homeport keys add` failed with code {made.returncode}: {made.stderr.strip()[-300:]}")
        self.key = json.loads(made.stdout)["key"]


def prepare_homeport(bench: Bench, executable: Path, streams: list[str], in_flight: int) -> Homeport:
    """Write a configuration and make a key. Raises Missing where the executable does not do its part."""
    executable = executable.absolute()
    if not executable.exists():
        raise Missing(f"{executable} is not there: run `make install`, or name it with --homeport")
    data = bench.folder / "homeport-data"
    data.mkdir()
    port = free_port()
    config = bench.folder / "homeport.toml"
    models = "".join(STREAM_TOML.format(model=model) for model in streams)
    config.write_text(HOMEPORT_TOML.format(port=port, data=data, mock=bench.mock_port, in_flight=in_flight, streams=models))
    homeport = Homeport(bench, executable, data, config, port, "")
    homeport.add_key()
    return homeport


def start_homeport(homeport: Homeport, core: int | None = None) -> Program:
    """Start Homeport, on the program's core unless another is named, and wait until it listens. Raises Missing."""
    bench = homeport.bench
    child = bench.start(homeport.command(), bench.cores.program if core is None else core, log="homeport.log", stdout=subprocess.PIPE, env=homeport.env())
    try:
        wait_for_port(homeport.port, child, 20)
    except Missing as why:
        bench.stop(child)
        raise Missing(f"`homeport up`: {why}: {bench.log_tail('homeport.log')}") from None
    assert child.stdout is not None
    child.stdout.readline()  # its line with url and pid: it accepts requests
    return Program("homeport", homeport.port, child.pid, key=homeport.key, models=homeport_models)
