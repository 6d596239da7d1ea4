"""Reads `[monitor]`: whom to tell, when, and what else to watch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from homeport.settings.address import url_problem
from homeport.settings.document import Table, described
from homeport.settings.secret import read_secret
from homeport.settings.tree import MonitorSettings

KEYS = ("notify", "probe_interval_s", "down_after", "up_after", "dead_man_url", "quiet_hours", "watch")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]{1,31}://\S")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
EXAMPLE = '"ntfys://ntfy.example/topic"'


def read_monitor(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> MonitorSettings:
    """The section; where secrets came from is noted in `secrets`. What is wrong is collected in the table's document."""
    table.known(KEYS)
    return MonitorSettings(
        notify=_notify(table, environ, secrets),
        probe_interval_s=table.seconds("probe_interval_s", 15.0),
        down_after=table.whole("down_after", 2),
        up_after=table.whole("up_after", 2),
        dead_man_url=_dead_man_url(table, environ, secrets),
        quiet_hours=_quiet_hours(table),
        watch=_watch(table),
    )


def minutes(quiet_hours: str) -> tuple[int, int]:
    """The first minute of the day of `23:00-07:00`, and the first after it. Raises ValueError for anything else."""
    found = _HOURS.fullmatch(quiet_hours.replace(" ", ""))
    if found is None:
        raise ValueError('takes two times of the day, such as "23:00-07:00"')
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if begin == end:
        raise ValueError("begins and ends at the same time; leave it out to have none")
    return begin, end


def _notify(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> tuple[str, ...]:
    found = table.take("notify", list, f'[{EXAMPLE}, {{ env = "NOTIFY_URL" }}]')
    urls = []
    for index, value in enumerate(found or []):
        url = _address(table, f"notify[{index + 1}]", value, ("notify", index), "NOTIFY_URL", environ, secrets)
        if url is None:
            continue
        if _SCHEME.match(url):
            urls.append(url)
        else:
            table.document.problem((*table.key, "notify", index), f"{table.name}.notify[{index + 1}] is no apprise URL, such as {EXAMPLE}")
    return tuple(urls)


def _dead_man_url(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> str | None:
    table.document.origins[f"{table.name}.dead_man_url"] = "file" if "dead_man_url" in table else "default"
    if "dead_man_url" not in table:
        return None
    url = _address(table, "dead_man_url", table.values["dead_man_url"], ("dead_man_url",), "DEAD_MAN_URL", environ, secrets)
    if url is not None and not (url.startswith(("http://", "https://")) and url.partition("://")[2].strip("/")):
        table.problem("dead_man_url", "takes an address that begins with http:// or https://")
        return None
    return url


def _address(
    table: Table, key: str, value: Any, place: tuple[str | int, ...], variable: str, environ: Mapping[str, str], secrets: dict[str, str]
) -> str | None:
    """A URL that may hold a token: as it stands, or from the environment or a file. Never repeated in a message."""
    if isinstance(value, dict):
        found = read_secret(table, key, value, place, variable, environ)
        if found is None:
            return None
        secrets[f"{table.name}.{key}"] = found[1]
        return found[0]
    if not isinstance(value, str):
        table.document.problem((*table.key, *place), f'{table.name}.{key} takes a text, not {described(value)}; write a URL, or {{ env = "{variable}" }}')
        return None
    if not value.strip() or not value.isprintable() or not value.isascii():
        table.document.problem((*table.key, *place), f"{table.name}.{key} takes a URL in printable ASCII characters")
        return None
    return value.strip()


def _quiet_hours(table: Table) -> str | None:
    value = table.text("quiet_hours", "23:00-07:00")
    return value if value is not None and table.valid("quiet_hours", minutes, value) else None


def _watch(table: Table) -> tuple[str, ...]:
    found = table.take("watch", list, '["https://homeport.example"]')
    urls = []
    for index, value in enumerate(found or []):
        problem = url_problem(value) if isinstance(value, str) else f"takes a text, not {described(value)}"
        if problem:
            table.document.problem((*table.key, "watch", index), f"{table.name}.watch[{index + 1}] {problem}")
        else:
            urls.append(str(value).rstrip("/").removesuffix("/v1").rstrip("/"))
    return tuple(dict.fromkeys(urls))
