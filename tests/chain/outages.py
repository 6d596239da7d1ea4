"""The five ways in which home goes away, each done to a running chain, and what its visitor saw of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests import figures
from tests.chain.chain import Chain
from tests.chain.visitor import Asked
from tests.chain.vps import BOUND

RECOVERY_S = 120.0  # beyond this it counts as not recovered


@dataclass(frozen=True)
class Outage:
    """One of them; perf_counter seconds."""

    at: float  # home is away
    possible: float  # nothing stands in its way any more
    recovered: float  # the first answer from home was there

    @property
    def took_s(self) -> float:
        return self.recovered - self.possible


def power_loss(chain: Chain, away_s: float) -> tuple[float, float]:
    """Its line is dead and all its processes are killed, at once; after a while it boots."""
    chain.power_off()
    at = time.perf_counter()
    chain.visitor.until("spare", at)
    time.sleep(max(0.0, at + away_s - time.perf_counter()))
    possible = time.perf_counter()
    chain.boot()
    return at, possible


def address_change(chain: Chain, _: float) -> tuple[float, float]:
    """Home has another address from one moment to the next, as after a forced reconnection."""
    chain.change_address()
    at = time.perf_counter()
    return at, at


def sshd_restart(chain: Chain, _: float) -> tuple[float, float]:
    """The SSH server and its sessions end, and a new one starts."""
    chain.vps.kill_sshd()
    at = time.perf_counter()
    chain.visitor.until("spare", at)
    chain.vps.start_sshd()
    return at, time.perf_counter()


def dead_line(chain: Chain, away_s: float) -> tuple[float, float]:
    """The line is dead for a while: neither end is told."""
    return _silence(chain, away_s, chain.street.cut, chain.street.mend)


def half_open(chain: Chain, away_s: float) -> tuple[float, float]:
    """What is sent to home is swallowed for a while, what home sends arrives: no end is told."""
    return _silence(chain, away_s, chain.street.swallow, chain.street.spit_out)


def stale_port(chain: Chain, _: float) -> tuple[float, float]:
    """Home loses its power and boots at once, at another address: sshd still holds its port, or its socket, for the connection that is gone."""
    chain.power_off()
    at = time.perf_counter()
    assert not chain.vps.remote.endswith(f":{BOUND}") or chain.vps.listens(BOUND)
    chain.boot(elsewhere=True)
    return at, at


def _silence(chain: Chain, away_s: float, begin: Callable[..., None], end: Callable[..., None]) -> tuple[float, float]:
    begin(chain.box)
    at = time.perf_counter()
    chain.visitor.until("spare", at)
    time.sleep(max(0.0, at + away_s - time.perf_counter()))
    end(chain.box)
    return at, time.perf_counter()


FAULTS: dict[str, tuple[Callable[[Chain, float], tuple[float, float]], tuple[float, float]]] = {  # how, and for how long, seconds
    "power loss": (power_loss, (3.0, 20.0)),
    "address change": (address_change, (0.0, 0.0)),
    "sshd restart": (sshd_restart, (0.0, 0.0)),
    "dead line": (dead_line, (8.0, 12.0)),
    "half-open line": (half_open, (8.0, 12.0)),
    "stale port": (stale_port, (0.0, 0.0)),
    "address change, Unix socket": (address_change, (0.0, 0.0)),
    "stale Unix socket": (stale_port, (0.0, 0.0)),
}


@dataclass
class Trial:
    """A fault done again and again to a chain whose visitor asks all the time."""

    chain: Chain
    fault: str
    seed: int
    outages: list[Outage] = field(default_factory=list)

    def run(self, times: int) -> None:
        """Do it; each time wait until home answers again, streams too."""
        how, (least, most) = FAULTS[self.fault]
        chance, visitor = random.Random(self.seed), self.chain.visitor
        visitor.work()
        self._steady(time.perf_counter())
        for number in range(times):
            at, possible = how(self.chain, least if number == 0 else chance.uniform(least, most))
            recovered = visitor.until("home", at, RECOVERY_S)
            self.outages.append(Outage(at, possible, recovered))
            self._steady(recovered)
        visitor.rest()

    def _steady(self, since: float) -> None:
        """A stream that began after `since` came whole from home."""
        self.chain.visitor.first(lambda one: one.streamed and one.backend == "home" and one.outcome == "answered" and one.began > since, RECOVERY_S)

    # what came of it

    @property
    def whole(self) -> list[Asked]:
        return [one for one in self.chain.visitor.asks if not one.streamed]

    @property
    def streams(self) -> list[Asked]:
        return [one for one in self.chain.visitor.asks if one.streamed]

    def amid(self, asks: Iterable[Asked]) -> list[Asked]:
        """Those that began while home was away."""
        return [one for one in asks if any(outage.at <= one.began <= outage.possible for outage in self.outages)]

    @property
    def recovery_s(self) -> list[float]:
        return [outage.took_s for outage in self.outages]

    def note(self, clock_s: float) -> None:
        """Write it down."""
        name, took = f"chain.{self.fault.lower().replace(',', '').replace(' ', '_')}", self.recovery_s
        away = [outage.possible - outage.at for outage in self.outages]
        figures.note(f"{name}.times", len(took), seed=self.seed, note=f"away for {min(away):.0f} to {max(away):.0f} s" if max(away) > 1 else "")
        figures.note(f"{name}.median", round(statistics.median(took), 1), "s")
        figures.note(f"{name}.worst", round(max(took), 1), "s")
        figures.note(f"{name}.asks", len(self.whole))
        figures.note(f"{name}.errors", sum(one.outcome != "answered" for one in self.whole))
        figures.note(f"{name}.slowest", round(max(one.took_s for one in self.whole), 1), "s", note=f"first_token_timeout_s is {clock_s:g}")
        figures.note(f"{name}.streams", len(self.streams))
        figures.note(f"{name}.begun_amid", len(self.amid(self.streams)))
        figures.note(f"{name}.failed_amid", sum(one.outcome != "answered" for one in self.amid(self.streams)))
        figures.note(f"{name}.told", sum(one.outcome == "told" for one in self.streams))
        figures.note(f"{name}.silently_cut", sum(one.outcome in ("untold", "silent") for one in self.streams))
