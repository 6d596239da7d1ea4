"""Do the clocks agree: this machine's, the engines', and the one from before?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from homeport.doctor.diagnosis import Diagnosis, well, wrong
from homeport.doctor.disk import journals
from homeport.rules.wording import duration

SKEW, STEADY, PAST = "clock.skew", "clock.steady", "clock.past"
MOST_S = 5.0
EARLIEST = 1_750_000_000  # seconds since the epoch, in 2025: no Homeport is older
SYNC = "switch on time synchronisation there: timedatectl set-ntp true"


class Watch:
    """Both clocks at one moment, to be held against a later one."""

    def __init__(self, now: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._now, self._steady = now, steady
        self._began, self._started = now(), steady()

    def judge(self, skews: Mapping[str, float | None], data: Path) -> Iterator[Diagnosis]:
        """What follows. `skews`: how far each other clock is ahead of ours, in seconds; None where it did not tell. `data`: where the journal is."""
        now, passed = self._now(), self._steady() - self._started
        jumped = now - self._began - passed
        if now < EARLIEST:
            year = time.gmtime(now).tm_year
            yield wrong(
                PAST, f"This machine's clock is in {year}", "receipts and events get wrong times, and TLS certificates are refused", SYNC.replace(" there", "")
            )
        elif (ahead := _newest(data) - now) > MOST_S:
            what = f"The journal was last written {duration(ahead)} in the future"
            yield wrong(PAST, what, "this machine's clock was set back, or was wrong then", SYNC.replace(" there", ""))
        if passed < 0 or abs(jumped) > 1:
            what = f"This machine's clock jumped by {duration(abs(jumped))} during this examination"
            yield wrong(STEADY, what, "something sets it again and again: two time services, or a virtual machine that was paused", "run one time service only")
        told = {name: skew for name, skew in skews.items() if skew is not None}
        bad = {name: skew for name, skew in told.items() if abs(skew) > MOST_S}
        for name, skew in bad.items():
            way = "ahead of" if skew > 0 else "behind"
            why = "times in logs and receipts do not fit together; with hours between, certificates fail"
            yield wrong(SKEW, f"The clock of {name} is {duration(abs(skew))} {way} this machine's", why, SYNC.replace("there", "on the one that is wrong"))
        if told and not bad:
            yield well(SKEW, f"Clocks agree ({', '.join(told)})")


def _newest(data: Path) -> float:
    """When a file of the journal was written last, seconds since the epoch; 0 where there is none."""
    try:
        return max((path.stat().st_mtime for path in journals(data)), default=0.0)
    except OSError:
        return 0.0
