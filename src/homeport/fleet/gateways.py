"""A gateway that shares its places, its limits and what it finds out with others, over a Redis: fulfils apart.Fleet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from homeport.fleet.alone import Crew
from homeport.fleet.apart import Hinted, nobody
from homeport.fleet.exchange import CONNECTED_S, Exchange
from homeport.fleet.rows import Level, Row
from homeport.fleet.store import Store
from homeport.fleet.view import View
from homeport.ports import Pair, Places
from homeport.settings import FleetSettings
from homeport.settings.fleet import shown_url
from homeport.vocabulary import FleetStanding

UNKNOWN = 2  # gateways there are taken to be, where none was ever seen: [fleet] says that there are others
SEEN = "fleet-gateways"  # a file of the data folder: how many were seen last


class Gateways:
    """One process of one gateway of a fleet. `crew` counts the places of this gateway, for when the store is away."""

    def __init__(self, crew: Crew, settings: FleetSettings, *, data: Path, gateway: str) -> None:
        assert settings.url is not None
        self.hinted: Hinted = nobody
        self._crew = crew
        self._data = data
        self._url = settings.url
        member = f"{gateway}:{secrets.token_hex(6)}"
        self.exchange = Exchange(Store(settings.url), member, settings.lease_ttl_s, self._seen(), hinted=self._hinted_at, counted=self._counted)

    @property
    def standing(self) -> FleetStanding:
        found = self.exchange
        return FleetStanding(
            "together" if found.together else "away",
            found.reason,
            found.since,
            found.gateways,
            found.members,
            shown_url(self._url),
            round(found.round_trip_s * 1000, 3) if found.round_trip_s is not None else None,
        )

    def at(self, name: str) -> Places:
        return self._view(name, prompt=False)

    def key(self, name: str) -> Places:
        return self._view(f"key\0{name}", prompt=True)  # no backend has such a name

    def level(self, name: str, own: Pair) -> Pair:
        level = Level(name, own, self.exchange, self.exchange.spend)
        self.exchange.level(level)
        return level

    def hint(self, backend: str, models: Iterable[str]) -> None:
        self.exchange.hint(backend, sorted(models))

    async def once(self, name: str, for_s: float) -> bool:
        return await self.exchange.once(name, for_s)

    async def start(self) -> None:
        self.exchange.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECTED_S):
                await self.exchange.first.wait()

    async def stop(self) -> None:
        await self.exchange.stop()

    def _view(self, name: str, *, prompt: bool) -> View:
        row = self.exchange.rows.get(name)
        if row is None:
            row = Row(name, self.exchange, self._crew.at(name), prompt=prompt)
            self.exchange.add(row)
        return View(row)

    def _hinted_at(self, backend: str, models: list[str]) -> None:
        self.hinted(backend, models)

    def _counted(self, gateways: int) -> None:
        """Keep it for a start at which the store is away."""
        with contextlib.suppress(RuntimeError):  # the loop's executor is closed: this process ends
            asyncio.get_running_loop().run_in_executor(None, self._keep, gateways)

    def _keep(self, gateways: int) -> None:
        path = self._data / SEEN
        with contextlib.suppress(OSError):
            part = path.with_name(f"{SEEN}.{os.getpid()}")
            part.write_text(f"{gateways}\n", encoding="ascii")
            part.replace(path)

    def _seen(self) -> int:
        try:
            return max(1, min(1000, int((self._data / SEEN).read_text(encoding="ascii"))))
        except (OSError, ValueError):
            return UNKNOWN
