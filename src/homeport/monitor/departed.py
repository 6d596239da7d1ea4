"""What workers had counted when they ended, so that the sums over all workers do not go backwards.

A counter that falls looks to Prometheus like a restart: it would count the whole sum anew. So whatever a page has shown of a worker is on file before
the page is sent, a file a worker in the folder that the workers of one run share, and the pages after it add what the file of a worker holds that does not
answer any more. A worker that ends in order leaves its last counts there; of one that is killed, what it counted since the last page is lost, as it is
for a gateway of one process. When all of the gateway starts anew, so do the counters: the folder is empty then.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from homeport.monitor.measures import Snapshot

PREFIX = "metrics-"


class Departed:
    """The snapshots kept in `folder`; None where there is one process, which keeps none. For threads, not for the event loop.

    A file that cannot be written or read is passed over: a page with less is better than none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, tuple[int, Snapshot]] = {}  # by file: when it was written, and what it says; theirs do not change any more

    def keep(self, snapshots: Collection[Snapshot]) -> None:
        """Put these on file, each in the place of its worker's last one."""
        if self._folder is None:
            return
        for snapshot in snapshots:
            path = self._folder / f"{PREFIX}{snapshot.id}"
            part = path.with_name(f".{path.name}-{os.getpid()}-{id(snapshot):x}")  # two pages at once have two
            try:
                part.write_bytes(snapshot.encode())
                part.replace(path)
            except OSError:
                continue

    def others(self, living: Collection[str]) -> list[Snapshot]:
        """Those on file whose worker is not among the living, by id."""
        if self._folder is None:
            return []
        read: dict[str, tuple[int, Snapshot]] = {}
        for path in sorted(self._folder.glob(f"{PREFIX}*")):
            if path.name.removeprefix(PREFIX) not in living:
                try:
                    written = path.stat().st_mtime_ns
                    known = self._read.get(path.name)
                    read[path.name] = known if known is not None and known[0] == written else (written, Snapshot.decode(path.read_bytes()))
                except (OSError, msgspec.MsgspecError):
                    continue
        self._read = read
        return [snapshot for _, snapshot in read.values()]
