"""Is somebody told when something breaks, and is home reached by a tunnel?"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from homeport.doctor.diagnosis import Diagnosis, unsure, well
from homeport.settings import Settings

NOTIFY, DEAD_MAN, TUNNEL = "notify.targets", "notify.dead_man", "tunnel.section"


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
    if has_tunnel(settings):
        yield well(TUNNEL, "There is a [tunnel] section")


def has_tunnel(settings: Settings) -> bool:
    """Whether the file has a [tunnel]."""
    try:
        return settings.path is not None and "tunnel" in tomllib.loads(settings.path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
