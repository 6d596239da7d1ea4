"""With whom a gateway shares: with nobody, or with the gateways of its fleet."""

from __future__ import annotations

from pathlib import Path

from homeport.fleet.alone import Crew
from homeport.fleet.apart import Apart, Fleet
from homeport.settings import FleetSettings


def together_with(crew: Crew, settings: FleetSettings, *, data: Path, gateway: str, workers: bool) -> Fleet:
    """With whom this process shares; `gateway` is the id of its run, the same for all of its workers."""
    if settings.url is None:
        return Apart(crew, workers=workers)
    from homeport.fleet.gateways import Gateways  # loaded only where there are others

    return Gateways(crew, settings, data=data, gateway=gateway)
