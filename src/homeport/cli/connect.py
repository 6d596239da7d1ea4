"""`homeport connect`: point a client at this gateway, having shown what would change and tried the connection."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from homeport.cli import screen
from homeport.cli.clients import files
from homeport.cli.clients.client import Client, Place, Spoilt, Wanted, is_local
from homeport.cli.clients.diff import diff, painted
from homeport.cli.clients.probe import Finding, Probe, Seen
from homeport.cli.console import say
from homeport.cli.failure import Failed, Usage
from homeport.cli.gateway import Gateway
from homeport.settings import places

VARIABLE = "HOMEPORT_KEY"


def connect(
    client: str | None = None,
    /,
    *,
    write: bool = False,
    undo: bool = False,
    try_: Annotated[bool, Parameter(name="--try")] = False,
    model: str | None = None,
    url: str | None = None,
    key_env: str | None = None,
    key: str | None = None,
    json: bool = False,
    config: Path | None = None,
) -> int:
    """Point a client at this gateway: shows what would change in its configuration, and tries the connection.

    Without a client: the clients there are, and which of them are on this machine.

    Args:
        client: aider, claude-code, cline, codex, continue, open-webui, openai-sdk or zed.
        write: write the change; the earlier file is kept beside it.
        undo: bring back what was there before.
        try_: ask the model one short question, too.
        model: what the client asks for; one of `homeport models`, "default" unless given.
        url: the gateway's address; else $HOMEPORT_URL, or the configured one.
        key_env: the environment variable that holds the key; HOMEPORT_KEY unless given.
        key: the key to try the connection with; it is written nowhere.
        json: print JSON.
        config: the homeport.toml whose address is taken.
    """
    place = _here()
    if client is None:
        if write or undo or try_:
            raise Usage("which client? homeport connect CLIENT; without one it lists them")
        return _listed(place, json=json)
    chosen = _chosen(client)
    if undo:
        if write or try_:
            raise Usage("--undo stands alone: it neither writes nor asks")
        return _undone(place, chosen, json=json)
    path = chosen.file(place)
    if write and path is None:
        raise Usage(f"{chosen.nowhere}, so there is nothing to write; what to do by hand: homeport connect {chosen.name}")
    variable = _variable(key_env)
    secret = key or os.environ.get(variable, "").strip() or None
    urls = [_base(url)] if url else Gateway.configured(config).urls
    probe = Probe(chosen, secret, variable, from_flag=key is not None)
    seen = probe.look(urls)
    wanted = _wanted(seen, model, variable, given=secret is not None or key_env is not None)
    findings = _checks(probe, seen, wanted, try_=try_)
    change = _change(place, chosen, path, wanted)
    if write and change.differs:
        _refuse(seen, findings)
        change.write(_record(chosen))
    if json:
        screen.print_json(_told(chosen, wanted, change, findings))
    else:
        flags = {"--model": model, "--url": url, "--key-env": key_env, "--config": config}
        _show(change, findings, "" if write else _command(chosen, flags))
    return 0 if all(finding.ok for finding in findings) else 1


def _chosen(name: str) -> Client:
    from homeport.cli.clients.known import CLIENTS

    found = CLIENTS.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), CLIENTS, n=1, cutoff=0.5)
        raise Usage(f'there is no client "{screen.clean(name)}"; ' + (f"did you mean {near[0]}?" if near else f"there are {', '.join(CLIENTS)}"))
    return found


def _command(client: Client, flags: Mapping[str, object]) -> str:
    """The command that writes what was shown."""
    given = [f"{flag} {shlex.quote(str(value))}" for flag, value in flags.items() if value is not None]
    return " ".join(["homeport connect", client.name, *given, "--write"])


def _here() -> Place:
    try:
        return Place.here()
    except RuntimeError:
        raise Failed("there is no home folder, where clients keep their settings; set HOME") from None


@dataclass
class Change:
    """What would become of a client's file; `file` is None for a client without one."""

    place: Place
    client: Client
    wanted: Wanted
    file: files.Text | None
    text: str
    notes: list[str]
    written: bool = False
    backup: Path | None = None

    @property
    def differs(self) -> bool:
        """Whether there is anything to write."""
        return self.file is not None and self.text != self.file.text

    @property
    def name(self) -> str:
        """The file as people write it."""
        return self.place.shown(self.file.path) if self.file is not None else ""

    @property
    def rows(self) -> list[str]:
        """The difference, a line each, without secrets."""
        return diff(self.file.text, self.text, self.name) if self.file is not None else []

    def write(self, record: Path) -> None:
        """Write it. Raises Failed or OSError."""
        assert self.file is not None
        self.backup = files.write(self.file, self.text, record)
        self.written = True

    def exports(self) -> dict[str, str]:
        """The variables that the client reads and this shell does not have, as a shell writes them."""
        found = {self.wanted.key: "(your key)"} if self.wanted.key else {}
        found |= self.client.environment(self.wanted)
        return {name: value for name, value in found.items() if not os.environ.get(name) or (name != self.wanted.key and not self._set(name, value))}

    @staticmethod
    def _set(name: str, value: str) -> bool:
        """Whether this shell has the variable with that value."""
        return os.environ.get(name) == (os.environ.get(value[1:]) if value.startswith("$") else value)


def _change(place: Place, client: Client, path: Path | None, wanted: Wanted) -> Change:
    """What would become of the client's file. Raises Failed, naming file and line, where it cannot be edited."""
    if path is None:
        return Change(place, client, wanted, None, "", client.notes(place, wanted, ""))
    try:
        file = files.Text.read(path)
        text = client.edit(file.text, wanted)
        return Change(place, client, wanted, file, text, client.notes(place, wanted, file.text))
    except Spoilt as error:
        raise Failed(f"{place.shown(path)}:{error.line}: {error.what}. The file stays as it is; mend that line, then run this again") from None


def _wanted(seen: Seen, model: str | None, variable: str, *, given: bool) -> Wanted:
    """What the client shall ask. It gets a key where one is known or named, or the gateway wants one, or is away and on another machine."""
    keyed = given or (seen.state == "locked") or (seen.state == "away" and not is_local(seen.url))
    name = model or seen.default()
    return Wanted(seen.url, name, variable if keyed else None, seen.context(name))


def _checks(probe: Probe, seen: Seen, wanted: Wanted, *, try_: bool) -> list[Finding]:
    """Everything that was tried, in order; what cannot be well after a failure is not tried."""
    findings = [seen.finding]
    if not seen.finding.ok:
        return findings
    findings += [probe.model(seen, wanted.model), probe.dialect(seen.url)]
    if try_ and all(finding.ok for finding in findings):
        findings.append(probe.ask(seen.url, wanted.model))
    return findings


def _refuse(seen: Seen, findings: list[Finding]) -> None:
    """Raises Failed where what would be written could never work; a gateway that is away, or a missing key, can still come."""
    wrong = next((finding for finding in findings if not finding.ok), None)
    if wrong is not None and (seen.state == "stranger" or (wrong.check == "model" and wrong.said.startswith("there is no model"))):
        raise Failed(f"{wrong.said}, so nothing was written; {wrong.fix}")


def _show(change: Change, findings: list[Finding], ahead: str) -> None:
    """All of it for a person; `ahead` is the command that writes it, where this was not it."""
    client, place, wanted = change.client, change.place, change.wanted
    if change.file is None:
        say(f"{screen.paint(client.title, 'bold')}: {client.nowhere}, so nothing is written.", "", *map(screen.clean, client.form(place, wanted)))
    elif change.differs:
        new = "" if change.file.raw is not None else ", a new file"
        say(f"{screen.paint(client.title, 'bold')}: {change.name}{new}", *painted(change.rows))
    else:
        say(f"{screen.paint(client.title, 'bold')}: nothing to change, {change.name} is as it should be.")
    exports = change.exports()
    if exports and (change.file is not None or not client.form(place, wanted)):
        say("", f"{client.title} also reads from its environment; in your shell's profile, so that it stays:")
        say(*(f"  {_export(place, name, value)}" for name, value in exports.items()))
    if change.notes:
        say("", *(f"Note: {screen.clean(note)}" for note in change.notes))
    say("", "The connection:")
    for finding in findings:
        say(f"  {screen.paint('ok ', 'good') if finding.ok else screen.paint('bad', 'bad')}  {finding.said}")
        if finding.fix:
            say(f"       {finding.fix}")
    if change.written:
        kept = f" What it was is in {place.shown(change.backup)}." if change.backup else ""
        yet = "" if all(finding.ok for finding in findings) else " The connection does not work yet, see above."
        say("", screen.paint(f"Written: {change.name}.", "good") + f"{kept}{yet} To undo it: homeport connect {client.name} --undo")
    elif change.differs:
        say("", f"Nothing is written yet. To write it: {ahead}")


def _told(client: Client, wanted: Wanted, change: Change, findings: list[Finding]) -> dict[str, Any]:
    """All of it for programs."""
    return {
        "client": client.name,
        "file": str(change.file.path) if change.file is not None else None,
        "url": wanted.url,
        "model": wanted.model,
        "key_env": wanted.key,
        "changes": change.differs,
        "diff": change.rows,
        "form": client.form(change.place, wanted) if change.file is None else [],
        "environment": change.exports(),
        "notes": change.notes,
        "written": change.written,
        "backup": str(change.backup) if change.backup else None,
        "checks": [msgspec.structs.asdict(finding) for finding in findings],
        "ok": all(finding.ok for finding in findings),
    }


def _listed(place: Place, *, json: bool) -> int:
    from homeport.cli.clients.known import CLIENTS

    rows = []
    for client in CLIENTS.values():
        path = client.file(place)
        state = "connected" if _record(client).exists() else "found" if client.found(place) else "-"
        rows.append({"client": client.name, "state": state, "about": client.about, "file": str(path) if path else None})
    if json:
        screen.print_json(rows)
        return 0
    say(*screen.table(("CLIENT", "HERE", "WHAT IS CHANGED"), ((row["client"], row["state"], row["about"]) for row in rows)))
    say("", "To see the change for one of them, and try the connection: homeport connect CLIENT")
    return 0


def _undone(place: Place, client: Client, *, json: bool) -> int:
    done = files.undo(_record(client))
    if json:
        screen.print_json({"client": client.name, "undone": done is not None, "file": str(done[0]) if done else None})
    elif done is None:
        say(f"There is nothing to undo: homeport connect {client.name} --write has written nothing here, or it is undone.")
    else:
        path, back = done
        say(f"{place.shown(path)} is as it was before." if back else f"{place.shown(path)} is gone again, as there was none before.")
    return 0


def _record(client: Client) -> Path:
    """Where it is noted what was written for a client: in this user's data folder, whatever homeport.toml says."""
    told = os.environ.get("HOMEPORT_DATA")
    folder = Path(told).expanduser().absolute() if told else places.data_folder(os.environ)
    return folder / "connect" / f"{client.name}.json"


def _export(place: Place, name: str, value: str) -> str:
    if place.platform == "win32":
        return f'setx {name} "{f"%{value[1:]}%" if value.startswith("$") else value}"'
    return f'export {name}="{value}"' if value.startswith("$") else f"export {name}={value}"


def _variable(name: str | None) -> str:
    """The variable's name. Raises Usage where it is none; a key, given in its place, is not repeated."""
    if name is None:
        return VARIABLE
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith("hp_"):
        raise Usage("--key-env takes the name of an environment variable, such as HOMEPORT_KEY, not the key itself")
    return name


def _base(url: str) -> str:
    """The address without a trailing slash or /v1. Raises Usage where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable()
        good = good and not parts.query and not parts.fragment and parts.username is None and not set(url) & set(" \"'`$\\{}")
    except ValueError:
        good = False
    if not good:
        raise Usage("--url takes an address such as http://127.0.0.1:8461")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")
