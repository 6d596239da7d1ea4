"""The whole round: every look at the same time, each bounded, and then the judgements in the order people read them."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from homeport.doctor import bundled, certificate, clocks, descriptors, disk, engines, gateway, graphics, permissions, proxies, public, tellers
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.doctor.visit import Visit, visit
from homeport.errors import HomeportError
from homeport.settings import usual_file

LIMIT_S = 13.0  # for all looks together
REMOTE = ("ollama", "openai", "anthropic")
TROUBLE = (OSError, ValueError, HomeportError, http.client.HTTPException, subprocess.SubprocessError)  # what a look may meet


class Round:
    """Looks that are made at the same time; one that takes too long is left behind."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._ends = time.monotonic() + limit_s
        self._threads: dict[str, threading.Thread] = {}
        self._seen: dict[str, Any] = {}
        self.left: dict[str, str] = {}  # looks that saw nothing, and why

    def look(self, name: str, work: Callable[[], Any]) -> None:
        """Begin one look."""

        def do() -> None:
            try:
                self._seen[name] = work()
            except TROUBLE as error:
                self.left[name] = str(error) or type(error).__name__

        # a daemon: a file system or a resolver that hangs keeps nobody from ending
        self._threads[name] = threading.Thread(target=do, name=f"doctor {name}", daemon=True)
        self._threads[name].start()

    def saw(self, name: str) -> Any:
        """What a look saw, once it is done; None where it failed or is not done in time."""
        thread = self._threads[name]
        thread.join(max(self._ends - time.monotonic(), 0))
        if name not in self._seen and name not in self.left:
            self.left[name] = "it took too long"
        return self._seen.get(name)


def examine(case: Case, limit_s: float = LIMIT_S) -> list[Diagnosis]:
    """Every finding, within `limit_s` and a little; it generates some tokens where there is a public URL, and nothing else."""
    watch, around = clocks.Watch(), Round(limit_s)
    settings = case.settings
    visits = _visits(case)
    for name, work in visits.items():
        around.look(name, work)
    around.look("gateway", lambda: gateway.look(case))
    around.look("graphics", graphics.look)
    around.look("disk", lambda: list(disk.look(settings.server.data)))
    around.look("permissions", lambda: list(permissions.look(settings)))
    around.look("bundled", lambda: list(bundled.look()))
    around.look("tellers", lambda: list(tellers.look(settings)))
    if case.public_url is not None:
        url = case.public_url
        around.look("public", lambda: public.look(case, url))
        around.look("certificate", lambda: certificate.look(url))

    seen = [found for name in visits if (found := around.saw(name)) is not None]
    live = around.saw("gateway")
    outside = around.saw("public") if case.public_url else None
    found = [
        *_configuration(case),
        *(gateway.judge(case, live, {one.backend.name for one in seen if one.named and one.fault}) if live else ()),
        *engines.judge(settings, seen),
        *graphics.judge(around.saw("graphics") or graphics.Graphics(), seen, live.speeds if live else {}),
        *(around.saw("disk") or ()),
        *(around.saw("permissions") or ()),
        *(around.saw("bundled") or ()),
        *_files(case, live),
        *watch.judge(_skews(seen, outside), settings.server.data),
        *_outside(case, outside, around),
        *(around.saw("tellers") or ()),
    ]
    return [*found, *(unsure(f"doctor.{name.partition(' ')[0]}", f"{name} could not be looked at: {why}") for name, why in around.left.items())]


def _visits(case: Case) -> dict[str, Callable[[], Visit]]:
    """A visit to each engine of the settings, and to those that may be on this machine besides."""

    def to(backend: Any, named: bool) -> Callable[[], Visit]:
        return lambda: visit(backend, named=named)

    told = [backend for backend in case.settings.backends.values() if backend.kind in REMOTE and backend.url]
    known = {(backend.url or "").replace("//localhost", "//127.0.0.1") for backend in told} | {case.gateway}
    others = [backend for backend in case.usual if backend.url not in known]
    return {f"engine {backend.name}": to(backend, True) for backend in told} | {f"port {backend.url}": to(backend, False) for backend in others}


def _configuration(case: Case) -> Iterator[Diagnosis]:
    settings = case.settings
    if case.fault is not None:
        for line in case.fault.splitlines():
            yield wrong(
                "configuration.valid",
                line,
                "the gateway does not start, and the rest here is judged by the defaults",
                "homeport config check, after each change",
            )
        return
    told = settings.path or f"no file (looked for ./homeport.toml and {usual_file()}): the defaults hold"
    yield well("configuration.valid", f"Configuration: {told}")
    for notice in settings.notices:
        yield unsure("configuration.notice", notice)


def _files(case: Case, live: gateway.Gateway | None) -> Iterator[Diagnosis]:
    """The limit of open files: the running gateway's own where it is to be had."""
    running = live is not None and live.runs and case.here
    port = int(case.gateway.rpartition(":")[2]) if running and case.gateway and case.gateway.rpartition(":")[2].isdigit() else 0
    holder = case.holder(port) if port else None
    yield from descriptors.look(case.settings.backends.values() or case.usual, holder[1] if holder else None, Path("/proc"))


def _skews(visits: list[Visit], outside: public.Public | None) -> dict[str, float | None]:
    skews = {one.backend.name: one.skew_s for one in visits if one.good}
    return skews | ({outside.url: outside.skew_s} if outside is not None else {})


def _outside(case: Case, seen: public.Public | None, around: Round) -> Iterator[Diagnosis]:
    if case.public_url is None:
        what = "Streaming through a proxy was not tried"
        yield unsure(
            "public.url",
            what,
            "a proxy that holds streams back is found by looking from outside",
            "homeport doctor --url https://YOUR.HOST (asks for one short answer)",
        )
        return
    if seen is not None:
        yield from proxies.judge(seen, keyed=case.key is not None)
    encryption = around.saw("certificate")
    if encryption is not None:
        yield from certificate.judge(encryption)
