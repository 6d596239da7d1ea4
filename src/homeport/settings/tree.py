"""The tree of settings as frozen values, with the defaults of every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

Kind = Literal["ollama", "openai", "anthropic", "engine", "pilot"]
Location = Literal["local", "cloud"]


class Server(Struct, frozen=True, kw_only=True):
    """`[server]`: where Homeport listens and keeps its data."""

    listen: str = "127.0.0.1:8461"
    data: Path
    max_body_mb: int = 32
    drain_timeout_s: float = 30.0


class BackendSettings(Struct, frozen=True, kw_only=True):
    """`[backends.NAME]`: one place that answers. Times are seconds."""

    name: str
    kind: Kind
    url: str | None = None  # without a trailing /v1 or slash
    model: Path | None = None  # kind "engine": the GGUF file
    slots: int = 4
    context: int = 4096
    api_key: str | None = None  # resolved from its environment variable or file
    location: Location = "local"
    max_in_flight: int = 4
    queue: int = 64
    queue_timeout_s: float = 10.0
    assemble: bool = True
    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 15.0
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 600.0

    def __repr__(self) -> str:
        """Without the api_key, so that it reaches no log."""
        return f"BackendSettings(name={self.name!r}, kind={self.kind!r}, location={self.location!r})"


class RouteSettings(Struct, frozen=True, kw_only=True):
    """One entry of a model's `routes`."""

    backend: str
    model: str | None = None
    while_in_flight_below: int | None = None


class ModelSettings(Struct, frozen=True, kw_only=True):
    """`[models.NAME]`: a name that apps ask for, and what may answer it, in order."""

    name: str
    routes: tuple[RouteSettings, ...]
    options: dict[str, Any] = field(default_factory=dict)
    private: bool = False
    on_break: Literal["error"] = "error"


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """`[monitor]`: when a backend counts as down, and who is told. Times are seconds."""

    notify: tuple[str, ...] = ()  # apprise URLs, resolved from their environment variables or files
    probe_interval_s: float = 15.0
    down_after: int = 2  # failed probes in a row
    up_after: int = 2  # good probes in a row
    dead_man_url: str | None = None
    quiet_hours: str | None = None  # such as "23:00-07:00", on the clock of this place
    watch: tuple[str, ...] = ()  # addresses of other Homeports, without a trailing slash

    def __repr__(self) -> str:
        """Without the URLs, which may hold tokens, so that they reach no log."""
        return f"MonitorSettings(notify={len(self.notify)} of them, watch={self.watch!r})"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything Homeport was told. `discover`: no `[backends]` given, so look for engines on loopback."""

    server: Server
    backends: dict[str, BackendSettings] = field(default_factory=dict)
    models: dict[str, ModelSettings] = field(default_factory=dict)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    discover: bool = False
    path: Path | None = None  # the file that was read
    origins: dict[str, str] = field(default_factory=dict)  # dotted key → "flag" "environment" "file" "default"
    secrets: dict[str, str] = field(default_factory=dict)  # dotted key → where the secret came from: "env NAME" or "file PATH"
    notices: tuple[str, ...] = ()  # what the owner should know though it is no error, a sentence each
