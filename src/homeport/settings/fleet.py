"""Reads `[fleet]`: the store that this gateway shares with others, and whether what talks to it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from homeport.settings.document import Table, described, shown
from homeport.settings.secret import read_secret
from homeport.settings.tree import FleetSettings

KEYS = ("url", "lease_ttl_s")
EXAMPLE = "redis://127.0.0.1:6379/0"
VARIABLE = "FLEET_URL"
SCHEMES = ("redis", "rediss", "unix")
LEAST_TTL_S, MOST_TTL_S = 1.0, 3600.0
REMEDY = "what talks to Redis is not installed; pip install 'homeport[fleet]'"


def read_fleet(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> FleetSettings:
    """The section; where a secret came from is noted in `secrets`. What is wrong is collected in the table's document."""
    table.known(KEYS)
    url = _url(table, environ, secrets)
    ttl_s = table.seconds("lease_ttl_s", 10.0)
    if not LEAST_TTL_S <= ttl_s <= MOST_TTL_S:
        table.problem("lease_ttl_s", f"takes {LEAST_TTL_S:g} to {MOST_TTL_S:g} seconds, not {ttl_s:g}")
        ttl_s = 10.0
    if url is None:
        if table.values:
            table.missing("url", f'url = "{EXAMPLE}"')
        return FleetSettings(lease_ttl_s=ttl_s)
    if not installed():
        table.problem("url", f"is set, and {REMEDY}, or remove it")
    return FleetSettings(url=url, lease_ttl_s=ttl_s)


def installed() -> bool:
    """Whether the extra `homeport[fleet]` is there."""
    return find_spec("redis") is not None


def _url(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> str | None:
    table.document.origins[f"{table.name}.url"] = "file" if "url" in table else "default"
    value = table.values.get("url")
    if value is None:
        return None
    if isinstance(value, dict):
        found = read_secret(table, "url", value, ("url",), VARIABLE, environ)
        if found is None:
            return None
        value, secrets[f"{table.name}.url"] = found
    elif not isinstance(value, str):
        table.problem("url", f'takes a text, not {described(value)}; write url = "{EXAMPLE}", or {{ env = "{VARIABLE}" }}')
        return None
    value = value.strip()
    problem = url_problem(value)
    if problem:
        table.problem("url", problem)
        return None
    if urlsplit(value).password and f"{table.name}.url" not in secrets:
        table.problem("url", f'holds a password; keep the whole address out of the file: url = {{ env = "{VARIABLE}" }}, or {{ file = "path" }}')
        return None
    return value


def url_problem(value: str) -> str | None:
    """What is wrong with a store's address, or None. Never repeats it where it may hold a password."""
    if not value.isascii() or not value.isprintable() or " " in value:
        return "takes an address in ASCII without blanks"
    scheme, told, _ = value.partition("://")
    if not told:
        return f'takes redis://, rediss:// or unix:// at its start, such as "{EXAMPLE}"'
    if scheme not in SCHEMES:
        return f'takes redis://, rediss:// or unix:// at its start, not "{shown(scheme)}://"'
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no address, or its port is not from 1 to 65535"
    if scheme == "unix":
        if parts.query and not (parts.query.startswith("db=") and parts.query[3:].isdecimal()):  # it may be a password
            return "takes nothing after ? but the number of a database, such as ?db=0"
        return None if parts.path else "names no socket; write unix:///run/redis/redis-server.sock?db=0"
    if not host or port == 0:
        return f'is no address, or its port is not from 1 to 65535; write "{EXAMPLE}"'
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return "takes the number of a database after the last /, such as /0"
    return "takes no ? or # part" if parts.query or parts.fragment else None


def shown_url(url: str) -> str:
    """Where the store is, without who asks: fit for pages and logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.path}" if parts.scheme == "unix" else f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"
