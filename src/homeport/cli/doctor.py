"""`homeport doctor`: what is wrong, why, and how to put it right."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from homeport import __version__
from homeport.backends import discovery
from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Usage
from homeport.cli.gateway import Gateway
from homeport.cli.holder import holder
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.examination import examine
from homeport.errors import BadSettings
from homeport.settings import Settings, load
from homeport.settings.address import url_problem
from homeport.settings.places import data_folder
from homeport.settings.tree import Server

INDENT = "    "


def doctor(*, url: str | None = None, json: bool = False, config: Path | None = None) -> int:
    """What is wrong, why, and how to put it right. Works while no gateway runs, too. Exit code 1 where something is wrong.

    Args:
        url: the gateway's public address: one short answer is asked through it, to see whether a proxy holds streams back. It costs some tokens.
        json: print JSON.
        config: the homeport.toml to examine; else the one that `homeport up` would read.
    """
    logging.getLogger("homeport").addHandler(logging.NullHandler())  # what a look meets is told as a finding
    case = _case(config, _public(url))
    if not json:
        aside("Looking at the configuration, the engines, the disk and the clocks …" if url is None else "Looking, and asking for one short answer …")
    found = examine(case)
    well = not any(one.ok is False for one in found)
    if json:
        screen.print_json({"ok": well, "findings": msgspec.to_builtins(found)})
    else:
        say(*lines(found))
    return 0 if well else 1


def lines(found: Sequence[Diagnosis]) -> list[str]:
    """The screen: what is wrong, each with its fix, then what is worth knowing, then what is well."""
    wrong, unsure, well = ([one for one in found if one.ok is ok] for ok in (False, None, True))
    out: list[str] = []
    for mark, style, some in (("✗", "bad", wrong), ("!", "warn", unsure)):
        for one in some:
            out += [screen.paint(f"{mark} {screen.clean(one.what)}", style)]
            out += [f"{INDENT}{_opened(screen.clean(one.why))}"] if one.why else []
            out += [f"{INDENT}{screen.paint('Fix:', 'bold')} {screen.clean(one.fix)}"] if one.fix else []
        out += [""] if some else []
    out += [screen.paint(f"✓ {screen.clean(one.what)}", "good") for one in well]
    told = screen.counted(len(wrong), "thing") + (" is wrong" if len(wrong) == 1 else " are wrong") if wrong else "Nothing is wrong"
    more = f", {screen.counted(len(unsure), 'thing')} to know" if unsure else ""
    return [*out, "", screen.paint(f"{told}{more}, {len(well)} well.", "bad" if wrong else "good")]


def _opened(text: str) -> str:
    return text[:1].upper() + text[1:]


def _case(config: Path | None, url: str | None) -> Case:
    """What is examined; where the configuration cannot be used, the defaults stand in for it."""
    fault = None
    try:
        settings = load(config=config)
    except BadSettings as error:
        fault = str(error)
        settings = Settings(server=Server(data=Path(os.environ.get("HOMEPORT_DATA") or data_folder(os.environ)).absolute()), discover=True)
    gateway: str | None = None
    key = os.environ.get("HOMEPORT_KEY", "").strip() or None
    here = config is not None or not os.environ.get("HOMEPORT_URL", "").strip()
    if not here:
        gateway = _bare(Gateway.configured().urls[0])
    elif fault is None:
        with contextlib.suppress(Usage):  # it listens at a port that the system chooses
            gateway = Gateway.configured(config).urls[0]
    return Case(
        version=__version__,
        settings=settings,
        fault=fault,
        gateway=gateway,
        here=here,
        key=key,
        public_url=url,
        usual=tuple(discovery.candidates()),
        holder=holder,
    )


def _bare(url: str) -> str:
    """The address without a user name or password, which may not be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _public(url: str | None) -> str | None:
    """The address before `/v1`. Raises Usage where it is none; what it is, is not shown: it may hold a password."""
    if url is None:
        return None
    problem = url_problem(url.strip())
    if problem:
        raise Usage(f"--url {problem}")
    return url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
