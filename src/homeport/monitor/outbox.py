"""The outbox: `outbox.sqlite`, what the owner was told about each backend, and what is still to be delivered.

The new state of a backend, its event and the deliveries it needs are one transaction. So an event is there once whenever
the process dies, and an event that is there is delivered until the receiver has taken it, under the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from homeport.monitor.database import Database
from homeport.vocabulary import Event, Incident

FILE = "outbox.sqlite"
VERSION = 1
KEPT_S = 90 * 86400.0  # events, delivered or not
SHOWN = 50  # incidents
_EVENT = "id, kind, backend, since, reason, downtime_s, traffic"
_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS backends (name TEXT PRIMARY KEY, state TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, backend TEXT,
    since REAL NOT NULL, reason TEXT NOT NULL, downtime_s REAL, traffic TEXT
);
CREATE TABLE IF NOT EXISTS deliveries (
    event INTEGER NOT NULL, target TEXT NOT NULL, PRIMARY KEY (target, event)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""


class Outbox(Database):
    """One connection to the outbox in `folder`, for one thread. Every method raises HomeportError where the file cannot be used.

    A target is named by a text that holds no secret. A spoilt file is put aside, and a new one begun.
    """

    FILE, VERSION, TABLES, SYNCHRONOUS = FILE, VERSION, _TABLES, "FULL"  # what was acknowledged must not be lost, nor repeated
    ANEW = "open outages are told anew"

    # what the owner was told

    def states(self) -> dict[str, tuple[str, float]]:
        """Of each backend, what its owner was told, up or down, and since when (seconds since the epoch)."""
        with self._explained():
            return {name: (state, since) for name, state, since in self._connection.execute("SELECT name, state, since FROM backends")}

    def settle(self, backend: str, state: str, since: float) -> None:
        """Note a state that is worth no event: that a backend nobody knew of is up."""
        with self._explained(), self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO backends VALUES (?, ?, ?)", (backend, state, since))

    def record(self, event: Event, targets: Iterable[str], at: float) -> bool:
        """Keep an event and what is to be delivered; False where the backend is known to be in that state already."""
        with self._explained(), self._transaction():
            if event.backend is not None and event.kind in ("up", "down"):
                changed = self._connection.execute(
                    "INSERT INTO backends VALUES (:name, :state, :since) ON CONFLICT (name) DO UPDATE SET state = :state, since = :since WHERE state <> :state",
                    {"name": event.backend, "state": event.kind, "since": event.since},
                ).rowcount
                if not changed:
                    return False
            self._insert(event, targets, at)
        return True

    def once(self, event: Event, targets: Iterable[str], at: float) -> bool:
        """Keep an event that is no change of a backend, unless there is one of its id; whether it is new."""
        with self._explained(), self._transaction():
            if self._connection.execute("SELECT 1 FROM events WHERE id = ?", (event.id,)).fetchone() is not None:
                return False
            self._insert(event, targets, at)
        return True

    def keep(self, backends: Iterable[str], at: float) -> None:
        """Forget every other backend: it is in no configuration any more. Its outage, if any, ends now, without a word."""
        with self._explained(), self._transaction():
            for name, state in self._connection.execute("SELECT name, state FROM backends").fetchall():
                if name not in backends:
                    self._connection.execute("DELETE FROM backends WHERE name = ?", (name,))
                    if state == "down":
                        self._insert(Event(f"removed-{name}-{at:.3f}", "removed", name, at, "it is configured no more", None, None), (), at)

    def _insert(self, event: Event, targets: Iterable[str], at: float) -> None:
        row = (at, event.id, event.kind, event.backend, event.since, event.reason, event.downtime_s, event.traffic)
        number = self._connection.execute(f"INSERT INTO events (at, {_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid  # noqa: S608 - our own names
        self._connection.executemany("INSERT INTO deliveries VALUES (?, ?)", [(number, target) for target in targets])

    # what is to be delivered

    def waiting(self, target: str) -> list[Event]:
        """What a target has not taken yet, oldest first."""
        with self._explained():
            asked = f"SELECT {_EVENT} FROM events JOIN deliveries ON event = number WHERE target = ? ORDER BY number"  # noqa: S608 - our own names
            return [Event(*row) for row in self._connection.execute(asked, (target,))]

    def acknowledge(self, id: str, target: str) -> None:
        """The target has taken the event; it is not delivered there again."""
        with self._explained(), self._transaction():
            self._connection.execute("DELETE FROM deliveries WHERE target = ? AND event = (SELECT number FROM events WHERE id = ?)", (target, id))

    def prune(self, at: float, targets: Sequence[str]) -> None:
        """Drop what is older than 90 days, but for outages that last; and what waits for targets that are gone."""
        with self._explained(), self._transaction():
            self._connection.execute(
                "DELETE FROM events WHERE at < ? AND ifnull(backend, '') NOT IN (SELECT name FROM backends WHERE state = 'down')", (at - KEPT_S,)
            )
            marks = ", ".join("?" * len(targets))
            gone = f"DELETE FROM deliveries WHERE event NOT IN (SELECT number FROM events) OR target NOT IN ({marks})"  # noqa: S608 - question marks
            self._connection.execute(gone, tuple(targets))

    # what is shown

    def incidents(self) -> tuple[Incident, ...]:
        """The last outages, newest first."""
        with self._explained():
            rows = self._connection.execute(f"SELECT {_EVENT} FROM events WHERE kind IN ('up', 'down', 'removed') ORDER BY number")  # noqa: S608 - our own names
            return incidents(Event(*row) for row in rows)[:SHOWN]


def incidents(events: Iterable[Event]) -> tuple[Incident, ...]:
    """The outages that a history of events tells of, newest first."""
    found: list[Incident] = []
    open_: dict[str, int] = {}  # backend → where its open outage stands
    for event in events:
        name = event.backend or ""
        if event.kind == "down":
            open_[name] = len(found)
            found.append(Incident(event.id, "down", name, event.since, None, event.reason, None, event.traffic))
        elif name in open_:
            place = open_.pop(name)
            begun = found[place]
            lasted = event.downtime_s if event.downtime_s is not None else max(0.0, event.since - begun.since)
            found[place] = Incident(begun.id, "down", name, begun.since, event.since, begun.reason, lasted, event.traffic or begun.traffic)
    return tuple(reversed(found))
