"""Fills the tree of settings: flag before environment before file before default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from homeport.pilot import PATHS
from homeport.settings import places
from homeport.settings.address import address
from homeport.settings.answers import read_answer
from homeport.settings.backend import read_backend
from homeport.settings.document import Document, Table, described, listed, meant, shown
from homeport.settings.fleet import read_fleet
from homeport.settings.limits import read_limits
from homeport.settings.monitor import read_monitor
from homeport.settings.tasks import read_tasks
from homeport.settings.telemetry import VARIABLE as OTLP
from homeport.settings.telemetry import read_telemetry
from homeport.settings.tree import BackendSettings, ModelSettings, RouteSettings, Server, Settings
from homeport.settings.tunnel import read_tunnel

SECTIONS = ("server", "backends", "models", "monitor", "limits", "telemetry", "tasks", "answers", "tunnel", "fleet")
SERVER = ("listen", "data", "max_body_mb", "drain_timeout_s")
MODEL = ("routes", "options", "private", "on_break")
ROUTE = ("backend", "model", "while_in_flight_below", "digest")
DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")
VARIABLES = ("HOMEPORT_CONFIG", "HOMEPORT_LISTEN", "HOMEPORT_DATA", "HOMEPORT_URL", "HOMEPORT_KEY", OTLP)
BUNDLED = tuple(PATHS)  # the bundled models: a route may name one without a [backends.pilot]


def load(*, config: Path | None = None, listen: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. `config` and `listen` are the flags; `environ` is the process's own unless given.

    Raises BadSettings, whose message has every problem found, a line each: file, line, what is wrong, what was meant.
    """
    environ = os.environ if environ is None else environ
    path, origin = places.find(config, environ)
    document = Document.read(path, origin) if path else Document(None, {}, {})
    document.origins["config"] = origin
    secrets: dict[str, str] = {}
    _sections(document)
    server = _server(document, listen, environ)
    backends = {name: read_backend(name, table, environ, secrets) for name, table in document.table("backends").tables()}
    models = {name: _model(name, table, backends, document) for name, table in document.table("models").tables()}
    discover = not backends
    named = {route.backend for model in models.values() for route in model.routes}
    for name in BUNDLED:
        if name in named and name not in backends:
            backends[name] = BackendSettings(name=name, kind="pilot", model=None if name == "pilot" else PATHS[name])
    monitor = read_monitor(document.table("monitor"), environ, secrets)
    telemetry = read_telemetry(document.table("telemetry"), environ)
    limits = read_limits(document.table("limits"))
    tasks = read_tasks(document.table("tasks"))
    answers = {name: read_answer(name, table, models) for name, table in document.table("answers").tables()}
    tunnel = read_tunnel(document.table("tunnel"), server.listen, environ, secrets) if "tunnel" in document.values else None
    fleet = read_fleet(document.table("fleet"), environ, secrets)
    _variables(document, environ, secrets)
    document.refuse()
    return Settings(
        server=server,
        backends=backends,
        models=models,
        monitor=monitor,
        telemetry=telemetry,
        limits=limits,
        tasks=tasks,
        answers=answers,
        tunnel=tunnel,
        fleet=fleet,
        discover=discover,
        path=path.absolute() if path else None,
        origins=document.origins,
        secrets=secrets,
        notices=document.notices(),
    )


def _sections(document: Document) -> None:
    for name, value in document.values.items():
        if name not in SECTIONS and name in SERVER and not isinstance(value, dict):
            document.problem((name,), f'"{name}" stands outside of any section; it belongs under [server]')
        elif name not in SECTIONS:
            what = f'there is no section "{shown(name)}"' if isinstance(value, dict | list) else f'"{shown(name)}" stands outside of any section'
            document.problem((name,), what + (meant(name, SECTIONS) or f"; there are {listed(SECTIONS)}"))


def _server(document: Document, listen: str | None, environ: Mapping[str, str]) -> Server:
    table = document.table("server")
    table.known(SERVER)
    return Server(
        listen=_listen(table, listen, environ),
        data=_data(table, environ),
        max_body_mb=table.whole("max_body_mb", 32),
        drain_timeout_s=table.seconds("drain_timeout_s", 30.0, zero=True),
    )


def _listen(table: Table, flag: str | None, environ: Mapping[str, str]) -> str:
    default = "127.0.0.1:8461"
    value = table.text("listen", default)
    if value is not None and not table.valid("listen", address, value):
        value = None
    for origin, name, told in (("environment", "HOMEPORT_LISTEN", environ.get("HOMEPORT_LISTEN")), ("flag", "--listen", flag)):
        if told:
            try:
                address(told)
            except ValueError as error:
                table.document.outside(f"{name} {error}")
            value = told
            table.document.origins["server.listen"] = origin
    return value.strip() if value else default


def _data(table: Table, environ: Mapping[str, str]) -> Path:
    value = table.path("data", "data")
    told = environ.get("HOMEPORT_DATA")
    name = "HOMEPORT_DATA" if told else "server.data"
    try:
        if told:
            value = Path(told).expanduser().absolute()
            table.document.origins["server.data"] = "environment"
        folder = value or places.data_folder(environ).absolute()
    except RuntimeError:
        table.document.outside(f"{name} is not known, for there is no home folder; set HOMEPORT_DATA to a folder")
        return Path()
    if os.path.exists(folder) and not os.path.isdir(folder):
        text = f"takes a folder, but {folder} is a file"
        table.document.outside(f"HOMEPORT_DATA {text}") if told else table.problem("data", text)
    return folder


def _model(name: str, table: Table, backends: Mapping[str, BackendSettings], document: Document) -> ModelSettings:
    table.known(MODEL)
    private = table.flag("private", False)
    found = table.take("routes", list, '[{ backend = "home" }]')
    routes = tuple(route for index, value in enumerate(found or []) if (route := _route(table, index, value, backends)) is not None)
    example = 'routes = [{ backend = "home", model = "…" }]'
    table.missing("routes", example)
    if found == []:
        table.problem("routes", f"is empty; write {example}")
    clouds = [route.backend for route in routes if route.backend in backends and backends[route.backend].location == "cloud"]
    if private and clouds and len(clouds) == len(routes):
        table.problem("private", 'is true, but every route leads to a backend with location = "cloud"; add a route to a local one')
    elif private and clouds:
        document.notice((*table.key, "private"), f"[{table.name}] is private, so its route to {clouds[0]} (cloud) is never used")
    return ModelSettings(name=name, routes=routes, options=_options(table), private=private, on_break=_on_break(table, routes, backends))


def _on_break(table: Table, routes: Sequence[RouteSettings], backends: Mapping[str, BackendSettings]) -> Literal["error", "continue"]:
    if table.word("on_break", ("error", "continue"), "error") == "error":
        return "error"
    kinds = {backends[route.backend].kind for route in routes if route.backend in backends}
    if kinds and not kinds & {"openai", "engine", "pilot"} and not any(route.backend in BUNDLED for route in routes):
        why = "only llama.cpp and vLLM go on with a begun answer, reached with kind openai, engine or pilot"
        table.document.notice((*table.key, "on_break"), f'on_break = "continue" of [{table.name}] changes nothing: {why}')
    return "continue"


def _route(model: Table, index: int, value: Any, backends: Mapping[str, BackendSettings]) -> RouteSettings | None:
    key = (*model.key, "routes", index)
    if not isinstance(value, dict):
        hint = '{ backend = "' + (shown(value) if isinstance(value, str) else "home") + '" }'
        model.document.problem(key, f"route {index + 1} of [{model.name}] takes a table, not {described(value)}; write {hint}")
        return None
    table = Table(model.document, key, value, name=f"{model.name}.routes[{index + 1}]")
    table.known(ROUTE)
    backend = table.text("backend", "home")
    table.missing("backend", '{ backend = "home", … }')
    if backend is not None and backend not in BUNDLED and backend not in model.document.table("backends").values:
        names = [*backends, *(one for one in BUNDLED if one not in backends)]
        missing = f"; write a [backends.{shown(backend)}] with kind and url, or use pilot"
        hint = meant(backend, names) or (f"; there are {listed(names)}" if backends else missing)
        table.problem("backend", f'names "{shown(backend)}", which is no backend{hint}')
    name = table.text("model", "qwen3.5:latest")
    if name is not None and not name.isascii():
        table.problem("model", "takes printable ASCII characters")
    below = table.whole("while_in_flight_below", 1) if "while_in_flight_below" in table else None
    digest = _digest(table, backend, backends)
    return RouteSettings(backend=backend, model=name, while_in_flight_below=below, digest=digest) if backend else None


def _digest(table: Table, backend: str | None, backends: Mapping[str, BackendSettings]) -> str | None:
    value = table.text("digest", "sha256:…")
    if value is None:
        return None
    found = DIGEST.fullmatch(value.lower())
    if found is None:
        table.problem(
            "digest",
            'takes a SHA-256 in hexadecimal, or at least its first 12 digits, such as "sha256:845dbda0ea48"; `homeport drift` and `ollama list` show them',
        )
    kind = backends[backend].kind if backend is not None and backend in backends else None
    if kind == "anthropic":
        table.problem("digest", "cannot be checked: no backend of kind anthropic tells what its models are; leave it out")
    elif kind == "openai":
        why = "only an Ollama tells its models' digests; where this is none, the route is never taken"
        table.document.notice((*table.key, "digest"), f"{table.name} pins a digest: {why}")
    return found[1] if found is not None else None


def _options(table: Table) -> dict[str, Any]:
    found = table.take("options", dict, "{ temperature = 0.3 }")
    for name, value in (found or {}).items():
        if not _is_json(value):
            key = (*table.key, "options", name)
            table.document.problem(key, f"{table.name}.options.{shown(name)} is a date, a time or no finite number, which cannot be sent to a backend")
    return dict(found or {})


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return value - value == 0  # not so for inf and nan
    return isinstance(value, str | int)


def _variables(document: Document, environ: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    used = {source.removeprefix("env ") for source in secrets.values()}
    for name in environ:
        if name.startswith("HOMEPORT_") and name not in VARIABLES and name not in used:
            hint = meant(name, VARIABLES)
            if hint:
                document.mention(f"the environment variable {shown(name)} is not read{hint}")
