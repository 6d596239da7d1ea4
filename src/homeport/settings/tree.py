"""The tree of settings as frozen values, with the defaults of every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

Kind = Literal["ollama", "openai", "anthropic", "engine", "pilot"]
Location = Literal["local", "cloud"]
TunnelKind = Literal["ssh", "cloudflared"]


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
    wake: str | None = None  # the hardware address of its network card, "aa:bb:cc:dd:ee:ff"
    max_in_flight: int = 4
    queue: int = 64
    queue_timeout_s: float = 10.0
    assemble: bool = True
    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 15.0
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 600.0
    keep_warm: bool = False
    drained: bool = False

    def __repr__(self) -> str:
        """Without the api_key, so that it reaches no log."""
        return f"BackendSettings(name={self.name!r}, kind={self.kind!r}, location={self.location!r})"


class RouteSettings(Struct, frozen=True, kw_only=True):
    """One entry of a model's `routes`."""

    backend: str
    model: str | None = None
    while_in_flight_below: int | None = None
    digest: str | None = None  # what its model must be: SHA-256 in hexadecimal, or how that begins


class ModelSettings(Struct, frozen=True, kw_only=True):
    """`[models.NAME]`: a name that apps ask for, and what may answer it, in order."""

    name: str
    routes: tuple[RouteSettings, ...]
    options: dict[str, Any] = field(default_factory=dict)
    private: bool = False
    on_break: Literal["error", "continue"] = "error"


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


class KeyLimits(Struct, frozen=True, kw_only=True):
    """`[limits.keys.NAME]`: how much one key may ask; None where it says nothing."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None  # of prompts and answers together
    max_in_flight: int | None = None

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self != KeyLimits()


class LimitSettings(Struct, frozen=True, kw_only=True):
    """`[limits]`: how much each key may ask, and by name what is different for some. None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_in_flight: int | None = None
    keys: dict[str, KeyLimits] = field(default_factory=dict)

    def of(self, name: str | None) -> KeyLimits:
        """What holds for a key, or for whoever asks while there are none."""
        own = KeyLimits() if name is None else self.keys.get(name, KeyLimits())
        return KeyLimits(
            requests_per_minute=own.requests_per_minute or self.requests_per_minute,
            tokens_per_minute=own.tokens_per_minute or self.tokens_per_minute,
            max_in_flight=own.max_in_flight or self.max_in_flight,
        )

    def __bool__(self) -> bool:
        """Whether there is any limit for anyone."""
        return bool(self.of(None)) or any(self.keys.values())


class TelemetrySettings(Struct, frozen=True, kw_only=True):
    """`[telemetry]`: where spans of each request are sent, with `homeport[otel]`."""

    otlp_url: str | None = None  # of a collector, OTLP over HTTP, without a trailing slash; None: nowhere


class TaskSettings(Struct, frozen=True, kw_only=True):
    """`[tasks]`: what is served beside the tasks that ship."""

    paths: tuple[Path, ...] = ()  # Python files


class TunnelSettings(Struct, frozen=True, kw_only=True):
    """`[tunnel]`: a way into this home, held open from inside. Times are seconds."""

    kind: TunnelKind = "ssh"
    to: str | None = None  # ssh: USER@HOST; cloudflared: the public address, without a trailing slash
    port: int = 22
    host_key: str | None = None  # type and base64 of the one key that the VPS may show
    identity: Path | None = None  # the private key; else the one of `homeport tunnel key`
    remote: str = "127.0.0.1:8462"  # on the VPS: HOST:PORT of its loopback, or the path of a Unix socket
    local: str = "127.0.0.1:8461"  # the node; where it is not set, what [server] listen says
    token: str | None = None  # cloudflared's
    probe_timeout_s: float = 45.0  # three rounds of the other side's probes

    def __repr__(self) -> str:
        """Without the token, so that it reaches no log."""
        return f"TunnelSettings(kind={self.kind!r}, to={self.to!r}, remote={self.remote!r}, local={self.local!r})"


class AnswerSettings(Struct, frozen=True, kw_only=True):
    """`[answers.NAME]`: messages that code answers in place of a model."""

    name: str
    models: tuple[str, ...]  # the asked names that it holds for
    exact: tuple[str, ...] = ()
    pattern: str | None = None  # a regular expression for the whole of a message
    reply: str
    data: Path | None = None  # a JSON or TOML file that the reply looks things up in


class FleetSettings(Struct, frozen=True, kw_only=True):
    """`[fleet]`: the store that gateways share, with `homeport[fleet]`. Times are seconds."""

    url: str | None = None  # of a Redis or Valkey, resolved from its environment variable or file; None: this gateway shares with nobody
    lease_ttl_s: float = 10.0  # a gateway that has not been heard of for so long has lost its places

    def __repr__(self) -> str:
        """Without the URL, which may hold a password, so that it reaches no log."""
        return f"FleetSettings(lease_ttl_s={self.lease_ttl_s!r})"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything Homeport was told. `discover`: no `[backends]` given, so look for engines on loopback."""

    server: Server
    backends: dict[str, BackendSettings] = field(default_factory=dict)
    models: dict[str, ModelSettings] = field(default_factory=dict)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    answers: dict[str, AnswerSettings] = field(default_factory=dict)
    tunnel: TunnelSettings | None = None
    fleet: FleetSettings = field(default_factory=FleetSettings)
    discover: bool = False
    path: Path | None = None  # the file that was read
    origins: dict[str, str] = field(default_factory=dict)  # dotted key → "flag" "environment" "file" "default"
    secrets: dict[str, str] = field(default_factory=dict)  # dotted key → where the secret came from: "env NAME" or "file PATH"
    notices: tuple[str, ...] = ()  # what the owner should know though it is no error, a sentence each
