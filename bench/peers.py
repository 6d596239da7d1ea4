"""Other gateways, each installed from its registry into an environment of its own and put in front of the mock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.programs import Bench, Missing, Program, free_port, wait_for_port

KEY = "sk-bench"


@dataclass(frozen=True)
class Peer:
    """How one gateway is had and started."""

    name: str
    package: str
    start: Callable[[Bench, Path, int], Program]
    npm: bool = False


def cache_folder() -> Path:
    """Where the environments are kept between runs; safe to delete."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "homeport-bench"


def installed(peer: Peer, bench: Bench) -> Path:
    """The peer's environment, made where it is not there yet. Raises Missing."""
    folder = cache_folder() / peer.name
    done = folder / "installed"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bench.say(f"installing {peer.package} into {folder} …")
    if peer.npm:
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm is not installed")
        commands = [[npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder), peer.package]]
    else:
        commands = [[sys.executable, "-m", "venv", str(folder)], [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", peer.package]]
    for command in commands:
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if made.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise Missing(f"{peer.package} could not be installed: {made.stderr.strip().splitlines()[-1][:200] if made.stderr.strip() else made.returncode}")
    done.touch()
    return folder


def version(peer: Peer, folder: Path) -> str:
    """The version that was installed."""
    if peer.npm:
        return str(json.loads((folder / "node_modules" / peer.package / "package.json").read_text())["version"])
    name = peer.package.partition("[")[0]
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([str(folder / "bin/python"), "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _launch(bench: Bench, name: str, command: list[str], port: int, env: dict[str, str] | None = None, patience_s: float = 60) -> int:
    child = bench.start(command, bench.cores.program, log=f"{name}.log", env=env)
    try:
        wait_for_port(port, child, patience_s)
    except Missing as why:
        bench.stop(child)
        raise Missing(f"{why}: {bench.log_tail(f'{name}.log')}") from None
    return child.pid


def _router(name: str, *verb: str) -> Callable[[Bench, Path, int], Program]:
    def start(bench: Bench, folder: Path, port: int) -> Program:
        command = [
            str(folder / "bin" / name), *verb, "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{bench.mock_port}",
            "--policy", "round_robin", "--prometheus-port", str(free_port()), "--log-level", "error",
        ]  # fmt: skip
        return Program(name, port, _launch(bench, name, command, port))

    return start


LITELLM_YAML = """
model_list:
{models}
litellm_settings: {{ telemetry: false, num_retries: 0 }}
general_settings: {{ master_key: {key} }}
"""


def _litellm(bench: Bench, folder: Path, port: int) -> Program:
    config = bench.folder / "litellm.yaml"
    form = "  - {{ model_name: {name}, litellm_params: {{ model: openai/{name}, api_base: 'http://127.0.0.1:{port}/v1', api_key: none }} }}"
    models = "\n".join(form.format(name=name, port=bench.mock_port) for name in ("whole", "s200", "s40"))
    config.write_text(LITELLM_YAML.format(models=models, key=KEY))
    command = [str(folder / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    return Program("litellm", port, _launch(bench, "litellm", command, port, env, 120), key=KEY)


TENSORZERO_TOML = """
[gateway]
observability.enabled = false
{models}
"""
TENSORZERO_MODEL = """
[models.{name}]
routing = ["mock"]
[models.{name}.providers.mock]
type = "openai"
model_name = "{name}"
api_base = "http://127.0.0.1:{port}/v1/"
api_key_location = "none"
"""
# The wheel holds the gateway as a library that serves HTTP inside a process; this is that process.
TENSORZERO_PY = """
import sys, signal
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
open(sys.argv[2], "w").write(gateway.base_url)
signal.sigwait([signal.SIGTERM])
"""


def _tensorzero(bench: Bench, folder: Path, _port: int) -> Program:
    config, script, told = bench.folder / "tensorzero.toml", bench.folder / "tensorzero.py.txt", bench.folder / "tensorzero.url"
    models = "".join(TENSORZERO_MODEL.format(name=name, port=bench.mock_port) for name in ("whole", "s200", "s40"))
    config.write_text(TENSORZERO_TOML.format(models=models))
    script.write_text(TENSORZERO_PY)
    child = bench.start([str(folder / "bin/python"), str(script), str(config), str(told)], bench.cores.program, log="tensorzero.log")
    for _ in range(300):
        if child.poll() is not None or (told.exists() and told.read_text()):
            break
        time.sleep(0.1)
    if not told.exists():
        bench.stop(child)
        raise Missing(f"it did not start: {bench.log_tail('tensorzero.log')}")
    base = told.read_text().rstrip("/")
    port, _, path = base.rpartition(":")[2].partition("/")
    path = f"/{path}/chat/completions".replace("//", "/")
    return Program("tensorzero", int(port), child.pid, path=path, models=lambda name: f"tensorzero::model_name::{name}")


def _portkey(bench: Bench, folder: Path, port: int) -> Program:
    node = shutil.which("node")
    if node is None:
        raise Missing("node is not installed")
    command = [node, str(folder / "node_modules/@portkey-ai/gateway/build/start-server.js"), f"--port={port}", "--headless"]
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{bench.mock_port}/v1"}
    return Program("portkey", port, _launch(bench, "portkey", command, port), key=KEY, headers=headers)


PEERS = (
    Peer("vllm-router", "vllm-router", _router("vllm-router")),
    Peer("sglang-router", "sglang-router", _router("sglang-router", "launch")),
    Peer("litellm", "litellm[proxy]", _litellm),
    Peer("tensorzero", "tensorzero", _tensorzero),
    Peer("portkey", "@portkey-ai/gateway", _portkey, npm=True),
)


def start_peers(bench: Bench) -> tuple[list[Program], dict[str, str]]:
    """Install and start every peer; those that answer, and why the others do not."""
    running: list[Program] = []
    absent: dict[str, str] = {}
    for peer in PEERS:
        try:
            folder = installed(peer, bench)
            program = peer.start(bench, folder, free_port())
            program.version = version(peer, folder)
            running.append(program)
        except (Missing, OSError, subprocess.TimeoutExpired) as why:
            absent[peer.name] = str(why)
        bench.say(f"{peer.name}: {absent.get(peer.name, 'started')}")
    return running, absent
