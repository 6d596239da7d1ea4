"""What is to run at boot, whatever the system calls it."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

from homeport.errors import BadSettings, HomeportError
from homeport.service.readiness import STOP_S

Name = Literal["gateway", "tunnel"]
Scope = Literal["system", "user"]
NAMES: tuple[Name, ...] = ("gateway", "tunnel")
VERBS: dict[Name, tuple[str, ...]] = {"gateway": ("up",), "tunnel": ("tunnel", "up")}
ABOUT: dict[Name, str] = {"gateway": "Homeport, the front door for models", "tunnel": "Homeport's tunnel, the way home"}
LONG_S = 1e8  # three years
CACHES = ("/.cache/uv/", "/uv/cache/", "/Caches/uv/", "/archive-v0/")  # what `uvx` runs from


class Job(Struct, frozen=True, kw_only=True):
    """One service. Paths are absolute; times are seconds."""

    name: Name
    scope: Scope
    program: tuple[str, ...]  # how Homeport is called, without the command's words
    config: Path | None = None
    data: Path | None = None  # where it writes; None is the place that the kind of service has for it
    drain_s: float = 30.0
    needs: tuple[Path, ...] = ()  # folders that it must be able to read: its Python, its package
    environment: dict[str, str] = {}  # no secrets
    engines: tuple[str, ...] = ()  # backends of kind "engine": they may want a graphics card

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command."""
        return (*self.program, *VERBS[self.name], *self.flags)

    @property
    def flags(self) -> tuple[str, ...]:
        """Which configuration."""
        return ("--config", str(self.config)) if self.config is not None else ()

    @property
    def stop_s(self) -> float:
        """How long it may take to end."""
        return self.drain_s + STOP_S if self.name == "gateway" else STOP_S


class Init(Protocol):
    """What starts programs at boot: systemd, launchd, the Task Scheduler."""

    name: str

    def absent(self, job: Job) -> str | None:
        """Why it cannot be told anything now; None where it can."""

    def files(self, job: Job) -> dict[Path, bytes]:
        """What is written, by path; what says that there is such a service comes first."""

    def shared(self, job: Job) -> set[Path]:
        """Those of its files that the other service has, too."""

    def start(self, job: Job, *, changed: bool) -> list[list[str]]:
        """The commands that make it run now and at boot, in order; `changed`: its files are others than before."""

    def stop(self, job: Job) -> list[list[str]]:
        """Those that end it, before its files go."""

    def forget(self, job: Job) -> list[list[str]]:
        """Those that follow when its files are gone."""

    def then(self, job: Job) -> list[str]:
        """The three next commands for a person."""

    def query(self, job: Job) -> list[str]:
        """The command that says how it stands."""

    def state(self, job: Job, code: int, said: str) -> tuple[str, str]:
        """What `query` said, as one word (running, stopped, failed, missing) and as one line."""

    def left(self, job: Job) -> list[str]:
        """What removing leaves, a line each, with how to remove it."""


def program() -> tuple[str, ...]:
    """How this Homeport is called. Raises HomeportError where it runs from a cache that may be emptied."""
    folder = Path(sys.executable).parent
    script = folder / ("homeport.exe" if sys.platform == "win32" else "homeport")
    if any(part in Path(sys.prefix).as_posix() + "/" for part in CACHES):
        raise HomeportError("This Homeport runs from uv's cache, which may be emptied any day. Install it first: uv tool install homeport")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "homeport")


def needed() -> tuple[Path, ...]:
    """The folders that this Homeport is made of: its environment, its Python, its package."""
    package = Path(__file__).resolve().parents[2]
    found = dict.fromkeys([Path(sys.prefix), Path(sys.base_prefix).resolve(), package])
    return tuple(path for path in found if not any(other != path and path.is_relative_to(other) for other in found))


def read(config: Path | None) -> dict[str, Any]:
    """What a service must know of its configuration: {"data", "drain_s", "engines"}, those that are told.

    Secrets are not looked up: they may be in the service's environment alone. Raises BadSettings where it is no TOML.
    """
    if config is None:
        return {}
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"{config} cannot be read: {getattr(error, 'strerror', None) or error}. See: homeport config check --config {config}") from None
    server, backends = values.get("server"), values.get("backends")
    found: dict[str, Any] = {}
    if isinstance(server, dict):
        data, drain = server.get("data"), server.get("drain_timeout_s")
        if isinstance(data, str):
            found["data"] = config.parent / Path(data).expanduser()
        if isinstance(drain, int | float) and not isinstance(drain, bool) and 0 <= drain < LONG_S:  # else the gateway refuses it
            found["drain_s"] = float(drain)
    if isinstance(backends, dict):
        found["engines"] = tuple(name for name, table in backends.items() if isinstance(table, dict) and table.get("kind") == "engine")
    return found
