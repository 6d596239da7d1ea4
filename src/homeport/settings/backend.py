"""Reads one `[backends.NAME]`: what its kind takes, its address, and its secret."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from homeport.pilot import PATHS
from homeport.settings.address import UNIX, socket_path, socket_url, url_problem
from homeport.settings.document import Table, described, listed, meant, shown
from homeport.settings.secret import read_secret
from homeport.settings.tree import BackendSettings, Kind, Location

KINDS = ("ollama", "openai", "anthropic", "engine", "pilot")
REMOTE = ("ollama", "openai", "anthropic")
KEYS = (
    *("kind", "url", "model", "slots", "context", "api_key", "location", "wake", "max_in_flight", "queue", "queue_timeout_s", "assemble"),
    *("connect_timeout_s", "first_token_timeout_s", "idle_timeout_s", "total_timeout_s", "keep_warm", "drained"),
)
_ELSEWHERE = {
    "model": 'is for kind = "engine"; name the model in the routes of a [models.…], or ask for it by name',
    "slots": 'is for kinds engine and pilot; limit this one with "max_in_flight"',
    "context": "is for kinds engine and pilot; the backend knows its own",
}
_HERE = "is for a box of its own that sleeps; this backend runs on this machine"
FOREIGN = {  # keys that a kind does not take, and what to do instead
    **dict.fromkeys(REMOTE, _ELSEWHERE),
    "engine": {
        "url": 'is for kind = "openai"; an engine takes model = "path/to.gguf"',
        "api_key": "is not taken: an engine is only reachable from Homeport",
        "wake": _HERE,
    },
    "pilot": {
        "url": 'is for kind = "openai"; the pilot runs inside Homeport',
        "api_key": "is not taken: the pilot is only reachable from Homeport",
        "wake": _HERE,
    },
}
_HARDWARE = re.compile(r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
LONGEST_SOCKET = 103  # bytes of a Unix socket's path: 107 on Linux, 103 on macOS
PRIVATE_NAMES = ("localhost", "local", "lan", "home", "internal", "intranet", "arpa", "test", "ts.net")


def read_backend(name: str, table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> BackendSettings:
    """The backend; where its secret came from is noted in `secrets`. What is wrong is collected in the table's document."""
    table.known(KEYS)
    kind = _kind(table)
    local = kind in ("engine", "pilot")
    for key, instead in FOREIGN.get(kind or "", {}).items():
        if key in table:
            table.problem(key, instead)
    url = _url(table, needed=kind in REMOTE)
    api_key = _secret(table, "api_key", environ, secrets)
    location = cast(Location, table.word("location", ("local", "cloud"), "local"))
    if local and location == "cloud":
        table.problem("location", f'is "local" for kind {kind}, which runs on this machine')
    if url and "location" not in table and _is_public(url):
        counts = f'[{table.name}] has a public address and no location, so it counts as "local" and private models may use it'
        table.document.notice((*table.key, "url"), f'{counts}; write location = "cloud" or "local"')
    if table.flag("keep_warm", False) and kind not in ("ollama", None):
        table.problem("keep_warm", f'is for kind = "ollama"; {kind} has its model loaded while it runs')
    wake = _wake(table, url, kind) if "wake" in table else None
    slots = table.whole("slots", 4)
    most = table.whole("max_in_flight", slots if local else 4)
    if local and most > slots:
        table.problem("max_in_flight", f"takes at most the slots ({slots}), not {most}; raise slots, or lower it")
    return BackendSettings(
        name=name,
        kind=kind or "openai",
        url=url,
        model=_gguf(table) if kind == "engine" else _bundled(table) if kind == "pilot" else None,
        slots=slots,
        context=table.whole("context", 4096),
        api_key=api_key,
        location=location,
        wake=wake,
        max_in_flight=most,
        queue=table.whole("queue", 64, least=0),
        queue_timeout_s=table.seconds("queue_timeout_s", 10.0, zero=True),
        assemble=table.flag("assemble", location == "local"),
        connect_timeout_s=table.seconds("connect_timeout_s", 3.0),
        first_token_timeout_s=table.seconds("first_token_timeout_s", 15.0),
        idle_timeout_s=table.seconds("idle_timeout_s", 30.0),
        total_timeout_s=table.seconds("total_timeout_s", 600.0),
        keep_warm=table.flag("keep_warm", False),
        drained=table.flag("drained", False),
    )


def _kind(table: Table) -> Kind | None:
    value = table.text("kind", "openai")
    if "kind" not in table:
        guess = "engine" if "model" in table and "url" not in table else "openai"
        table.missing("kind", f'kind = "{guess}" (or {listed(k for k in KINDS if k != guess)})')
    elif value in KINDS:
        return cast(Kind, value)
    elif value is not None:
        table.problem("kind", f'takes {listed(KINDS)}, not "{shown(value)}"{meant(value, KINDS)}')
    return None


def _url(table: Table, *, needed: bool) -> str | None:
    example = "http://127.0.0.1:8080"
    value = table.text("url", example)
    if value is None:
        if needed:
            table.missing("url", f'url = "{example}"')
        return None
    if value.startswith(UNIX):
        return _socket(table, value)
    problem = url_problem(value)
    if problem:
        table.problem("url", problem)
        return None
    return value.rstrip("/").removesuffix("/v1").rstrip("/")


def _socket(table: Table, value: str) -> str | None:
    """The address of a Unix socket."""
    path = socket_path(value) or ""
    if not path.startswith("/") or not path.isprintable() or len(path.encode()) > LONGEST_SOCKET:
        told = f'takes the whole path of a socket of at most {LONGEST_SOCKET} bytes, such as "{UNIX}/run/homeport/home.sock"'
        table.problem("url", told)
        return None
    return socket_url(path)


def _wake(table: Table, url: str | None, kind: Kind | None) -> str | None:
    """The hardware address that a sleeping box is woken by, as six octets with `:`."""
    told = table.text("wake", "aa:bb:cc:dd:ee:ff")
    if told is None or kind not in REMOTE:
        return None
    if not _HARDWARE.fullmatch(told):
        table.problem("wake", f'takes the hardware address of the box\'s network card, such as "aa:bb:cc:dd:ee:ff", not "{shown(told)}"')
        return None
    octets = bytes.fromhex(told.replace(told[2], ""))
    if not any(octets) or octets[0] & 1:
        table.problem("wake", f'takes the address of one card; "{shown(told)}" is that of {"many" if any(octets) else "none"}')
        return None
    host = (urlsplit(url).hostname or "") if url else ""
    if socket_path(url or "") is not None:
        host = "localhost"
    if host == "localhost" or host.startswith("127.") or host == "::1":
        table.problem("wake", "is for a box on this machine's network, and the url leads to this machine; at the end of a tunnel, set it on the node there")
        return None
    if url and _is_public(url):
        table.document.notice((*table.key, "wake"), f"wake of [{table.name}] does not reach a public address: its packet stays on this machine's network")
    return octets.hex(":")


def _is_public(url: str) -> bool:
    """Whether the host looks like one on the open internet: a dotted name, or an address outside of the private ranges."""
    if socket_path(url) is not None:
        return False
    host = urlsplit(url).hostname or ""
    try:
        a, b = socket.inet_pton(socket.AF_INET, host)[:2]
    except OSError:
        if ":" in host or "." not in host:
            return ":" in host and host[:2] in ("20", "24", "26", "28", "2a", "2c")
        return not any(host == name or host.endswith("." + name) for name in PRIVATE_NAMES)
    return not (a in (0, 10, 127) or (a, b) in ((192, 168), (169, 254)) or (a == 172 and 16 <= b < 32) or (a == 100 and 64 <= b < 128))


def _gguf(table: Table) -> Path | None:
    path = table.path("model", "models/qwen.gguf")
    table.missing("model", 'model = "path/to.gguf"')
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return path
        table.problem("model", f"is no GGUF file: {path}")
    except FileNotFoundError:
        table.problem("model", f"does not exist: {path}{_neighbour(path)}")
    except (OSError, ValueError) as error:
        table.problem("model", f"cannot be read: {path}: {getattr(error, 'strerror', None) or 'a bad name'}")
    return None


def _bundled(table: Table) -> Path | None:
    """The file of the bundled model that is named; None for the pilot, which is meant where none is."""
    value = table.text("model", "pilot")
    if value is not None and value not in PATHS:
        table.problem("model", f'takes {listed(PATHS)}, not "{shown(value)}"; use kind = "engine" for another file')
    return None if value in (None, "pilot") else PATHS.get(value)


def _neighbour(path: Path) -> str:
    try:
        return meant(path.name, [name for name in os.listdir(path.parent) if name.endswith(".gguf")])
    except OSError:
        return "; there is no such folder"


def _secret(table: Table, key: str, environ: Mapping[str, str], secrets: dict[str, str]) -> str | None:
    """The secret of `{ env = "NAME" }` or `{ file = "PATH" }`; neither it nor a literal is ever shown."""
    value: Any = table.values.get(key)
    name = f"{table.name}.{key}"
    table.document.origins[name] = "default" if key not in table else "file"
    if key not in table:
        return None
    variable = "".join(c if c.isalnum() and c.isascii() else "_" for c in f"{table.key[-1]}_{key}").upper()
    fix = f'write {key} = {{ env = "{variable}" }}, or {key} = {{ file = "path" }}'
    if isinstance(value, str):
        table.problem(key, f"is a secret, which may not stand in this file; {fix}")
        return None
    if not isinstance(value, dict):
        table.problem(key, f"takes a table, not {described(value)}; {fix}")
        return None
    found = read_secret(table, key, value, (key,), variable, environ)
    if found is None:
        return None
    secrets[name] = found[1]
    return found[0]
