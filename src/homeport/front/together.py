"""What the status page shows of a gateway of several workers: what each of them sees, as one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from homeport.front.gateway import Gateway
from homeport.front.pages import Days, Name
from homeport.vocabulary import STATES, FleetStanding, Incident, Standing

TOPIC = "overview"
FRESH_S = 0.1  # how old what is known of siblings may be


class Seen(Struct, frozen=True):
    """How things stand for one worker."""

    started_at: float  # seconds since the epoch
    trouble: str | None
    standings: list[Standing]
    incidents: list[Incident]
    fleet_standing: FleetStanding | None = None


class Together:
    """Fulfils pages.Overview for all workers, as of the last `look`; for a gateway of one process it is that gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.version = ""
        self.started_at = 0.0
        self.counts: Mapping[str, int] = {}
        self._gateway = gateway
        self._all: list[Seen] = []
        self._looked_at = float("-inf")

    @staticmethod
    def answers(gateway: Gateway) -> None:
        """Let siblings know how things stand here."""
        gateway.siblings.answer(TOPIC, lambda: msgspec.msgpack.encode(_seen(gateway)))

    async def look(self) -> None:
        """See how things stand now; with siblings to ask, at most once in FRESH_S."""
        gateway = self._gateway
        if gateway.siblings.folder is not None and time.monotonic() - self._looked_at < FRESH_S:
            return
        others = []
        for answer in await gateway.siblings.gather(TOPIC):
            try:
                others.append(msgspec.msgpack.decode(answer, type=Seen))
            except msgspec.MsgspecError:  # of another version, amid an update
                continue
        self._all = [_seen(gateway), *others]
        self.version = gateway.version
        self.counts = await gateway.totals()
        self.started_at = min(seen.started_at for seen in self._all)
        self._looked_at = time.monotonic()

    @property
    def id(self) -> str:
        return self._gateway.id

    @property
    def history(self) -> Days:
        return self._gateway.history

    @property
    def trouble(self) -> str | None:
        return next((seen.trouble for seen in self._all if seen.trouble), None)

    @property
    def fleet_standing(self) -> FleetStanding | None:
        """One worker's that is away, where there is one."""
        known = [seen.fleet_standing for seen in self._all if seen.fleet_standing is not None]
        return next((standing for standing in known if standing.state != "together"), known[0] if known else None)

    @property
    def incidents(self) -> Sequence[Incident]:
        """Those of the one that keeps them."""
        return next((seen.incidents for seen in self._all if seen.incidents), [])

    def standings(self) -> Sequence[Standing]:
        named: dict[str, list[Standing]] = {}
        for seen in self._all:
            for standing in seen.standings:
                named.setdefault(standing.name, []).append(standing)
        return [merged(standings) for standings in named.values()]

    def models(self) -> Iterable[Name]:
        return self._gateway.models()


def merged(standings: Sequence[Standing]) -> Standing:
    """One backend as all workers see it, the first of them ours: the worst state, and what waits added up. Places in flight are counted for all already."""
    if len(standings) == 1:
        return standings[0]
    worst = max(standings, key=lambda standing: STATES.index(standing.state) if standing.state in STATES else 0)
    return msgspec.structs.replace(
        worst,
        in_flight=max(standing.in_flight for standing in standings),
        queued=sum(standing.queued for standing in standings),
        zombies=sum(standing.zombies for standing in standings),
        models=max((standing.models for standing in standings), key=len),
        ttft_ms=_mean([standing.ttft_ms for standing in standings]),
        tok_per_s=_mean([standing.tok_per_s for standing in standings]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 3) if known else None


def _seen(gateway: Gateway) -> Seen:
    return Seen(gateway.started_at, gateway.trouble, list(gateway.standings()), list(gateway.incidents), gateway.fleet_standing)
