"""Is somebody told when something breaks, and is home reached by a tunnel?"""

from __future__ import annotations

from collections.abc import Iterator

from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.settings import Settings, TunnelSettings
from homeport.storage import locks
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState

NOTIFY, DEAD_MAN, TUNNEL, HOST_KEY = "notify.targets", "notify.dead_man", "tunnel.state", "tunnel.host_key"
FIXES = {
    "connecting": "see that the gateway on the VPS runs, with a backend whose url is this tunnel's end there",
    "refused": "do what it says; it is tried again by itself",
    "down": "homeport tunnel up, or at boot: homeport service install tunnel",
}


def look(settings: Settings) -> Iterator[Diagnosis]:
    """What [monitor] and [tunnel] say."""
    monitor = settings.monitor
    if not monitor.notify:
        fix = '[monitor] notify = ["ntfys://ntfy.sh/a-name-of-your-own"], then: homeport notify test'
        yield unsure(NOTIFY, "Nobody is told when a backend goes down", "you find out when an app fails", fix)
    else:
        count = len(monitor.notify)
        yield well(NOTIFY, f"{count} {'address is' if count == 1 else 'addresses are'} told of outages (try: homeport notify test)")
    if monitor.notify and not monitor.dead_man_url:
        fix = "[monitor] dead_man_url, of a service that calls you when pings cease; or watch, on another Homeport"
        yield unsure(DEAD_MAN, "Nobody is told when this gateway itself dies", "a dead gateway cannot report itself", fix)
    if settings.tunnel is not None:
        yield from _tunnel(settings.tunnel, states.read(states.folder_of(settings.server.data), locks.held))


def _tunnel(told: TunnelSettings, found: TunnelState) -> Iterator[Diagnosis]:
    """How the tunnel stands."""
    if told.kind == "ssh" and told.host_key is None:
        fix = "[tunnel] host_key; homeport tunnel up shows the line, and what to compare it with"
        yield wrong(HOST_KEY, "No host key is pinned for the tunnel", "whoever answers in the VPS's place would be believed, so it does not start", fix)
    name = f"The tunnel to {told.to}" if told.to else "The tunnel"
    if found.state == "up":
        trip = f", round trip {found.round_trip_ms:.0f} ms" if found.round_trip_ms is not None else ""
        yield well(TUNNEL, f"{name} is up{trip}")
    elif found.state == "connecting":
        yield unsure(TUNNEL, f"{name} is connecting", found.reason or "", FIXES["connecting"])
    else:
        fix = FIXES["down"] if found.reason is None or states.START in found.reason else FIXES["refused"]
        yield wrong(TUNNEL, f"{name} is {found.state}", found.reason or "", fix)
