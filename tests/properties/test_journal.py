"""Whatever is started, settled, killed, cut short or torn, in whatever order it is read: one row an Ask, and a rebuild gives the same."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homeport.errors import HomeportError
from homeport.storage import journal
from homeport.storage.journal import Journal
from homeport.storage.ledger import Ledger
from tests.unit.storage.samples import TS, ask, lines, receipt

write = os.write


class Journals(RuleBasedStateMachine):
    """Several gateways write into one folder while ledgers read it; the model is a plain reading of all whole lines."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journals-"))
        self.books: dict[int, Journal] = {}
        self.going_on: dict[str, int] = {}  # id of an Ask that is started and not settled → its gateway
        self.told: set[str] = set()  # ids whose started line is in the kernel: none of these may ever be missing
        self.room: int | None = None  # bytes that the disk still takes; None: any number
        self.count = 0
        self.ledger = Ledger(self.folder)

    # the disk

    def scarce(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return write(fd, data)
        if self.room == 0:
            raise OSError(28, "No space left on device")
        taken = write(fd, data[: self.room])
        self.room -= taken
        return taken

    def on_disk(self) -> Any:
        return mock.patch.object(journal.os, "write", self.scarce)

    @rule(room=st.one_of(st.none(), st.integers(0, 400)))
    def disk_space(self, room: int | None) -> None:
        self.room = room

    # the gateways

    @precondition(lambda self: len(self.books) < 3)
    @rule(max_bytes=st.sampled_from([1, 700, 5000]), hold=st.booleans())
    def up(self, max_bytes: int, hold: bool) -> None:
        self.count += 1
        self.books[self.count] = Journal(self.folder, max_bytes=max_bytes)
        self.books[self.count].hold = hold

    @precondition(lambda self: self.books)
    @rule(data=st.data(), ts=st.integers(0, 5))
    def start(self, data: st.DataObject, ts: int) -> None:
        gateway = data.draw(st.sampled_from(sorted(self.books)))
        self.count += 1
        id = f"ask{self.count:04}"
        with self.on_disk():
            self.books[gateway].started(ask(id), TS + ts)
        self.going_on[f"{id}@{ts}"] = gateway
        self.note(gateway)

    @precondition(lambda self: self.going_on)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.going_on)))
        gateway, (id, ts) = self.going_on.pop(name), name.split("@")
        with self.on_disk():
            self.books[gateway].settled(receipt(id, TS + int(ts)))
        self.note(gateway)

    @precondition(lambda self: self.books)
    @rule(data=st.data(), ts=st.integers(0, 5))
    def refuse(self, data: st.DataObject, ts: int) -> None:
        """An Ask that is never dispatched has a settled line only."""
        gateway = data.draw(st.sampled_from(sorted(self.books)))
        self.count += 1
        with self.on_disk():
            self.books[gateway].settled(receipt(f"ask{self.count:04}", TS + ts, outcome="refused", attempts=[]))
        self.note(gateway)

    @precondition(lambda self: self.books)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        gateway = data.draw(st.sampled_from(sorted(self.books)))
        with self.on_disk():
            assert self.books[gateway].flush() is (self.books[gateway].waiting == 0)
        self.note(gateway)

    @precondition(lambda self: self.books)
    @rule(data=st.data(), torn=st.booleans())
    def kill(self, data: st.DataObject, torn: bool) -> None:
        """What the kernel does with the files of a killed process; a power loss may leave half a line besides."""
        gateway = data.draw(st.sampled_from(sorted(self.books)))
        book = self.books.pop(gateway)
        if torn and book.path is not None:
            with book.path.open("ab") as file:
                file.write(b'{"settled":{"id":"half')
        for fd in (book._fd, book._previous):
            if fd >= 0:
                os.close(fd)
        self.forget(gateway)

    @precondition(lambda self: self.books)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        gateway = data.draw(st.sampled_from(sorted(self.books)))
        with self.on_disk():
            self.books.pop(gateway).close()
        self.forget(gateway)

    def forget(self, gateway: int) -> None:
        self.going_on = {name: at for name, at in self.going_on.items() if at != gateway}

    def note(self, gateway: int) -> None:
        """Once nothing waits, whatever was recorded is in the file."""
        if self.books[gateway].waiting == 0:
            written = {line["started"]["id"] for line in lines(self.folder) if "started" in line}
            self.told |= {name.split("@")[0] for name, at in self.going_on.items() if at == gateway}
            assert self.told <= written

    # the readers

    @rule(limit=st.one_of(st.none(), st.integers(1, 3)), whole=st.booleans())
    def catch_up(self, limit: int | None, whole: bool) -> None:
        while (made := self.ledger.catch_up(limit)) == limit and whole:
            pass
        assert limit is None or made <= limit
        if limit is None or whole:
            self.same_as_the_journal()

    @rule()
    def rebuild(self) -> None:
        with closing(Ledger(self.folder)) as other:
            other.rebuild()
        self.same_as_the_journal()

    @invariant()
    def no_ask_twice(self) -> None:
        ids = [row["id"] for row in self.ledger.last(10_000)]
        assert len(ids) == len(set(ids))

    def same_as_the_journal(self) -> None:
        """The rows are what a plain reading of the lines says."""
        expected: dict[str, str] = {}
        for line in lines(self.folder):
            if "started" in line:
                expected.setdefault(line["started"]["id"], "unsettled")
        for line in lines(self.folder):
            if "settled" in line:
                expected[line["settled"]["id"]] = line["settled"]["outcome"]
        runs = {book._run for book in self.books.values()}
        alive = {line["started"]["id"] for line in lines(self.folder, runs) if "started" in line and expected[line["started"]["id"]] == "unsettled"}
        found = {row["id"]: row["outcome"] for row in self.ledger.last(10_000)}
        assert found == {id: outcome for id, outcome in expected.items() if id not in alive}

    def table(self) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "ledger.sqlite")) as connection:
            return connection.execute("SELECT * FROM receipts").fetchall()

    def teardown(self) -> None:
        try:
            for gateway in list(self.books):
                book = self.books.pop(gateway)
                for fd in (book._fd, book._previous):
                    if fd >= 0:
                        os.close(fd)
            self.going_on = {}
            while self.ledger.catch_up(3) == 3:
                pass
            self.same_as_the_journal()
            assert self.told <= {row["id"] for row in self.ledger.last(10_000)}
            incremental = self.table()
            self.ledger.rebuild()
            assert self.table() == incremental
        finally:
            self.ledger.close()
            shutil.rmtree(self.folder)


TestJournals = Journals.TestCase
TestJournals.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

WRITER = """
import os, sys
from pathlib import Path
from homeport.storage.journal import Journal
from tests.unit.storage.samples import TS, ask, receipt
book = Journal(Path(sys.argv[1]), max_bytes=20_000)
for number in range(1_000_000):
    id = f"{os.getpid()}-{number}"
    book.started(ask(id), TS + number)
    os.write(1, f"started {id}\\n".encode())
    if number % 7:
        book.settled(receipt(id, TS + number))
        os.write(1, f"settled {id}\\n".encode())
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.slow
def test_kill_9_loses_no_line(data_dir: Path) -> None:
    started: list[str] = []
    settled: set[str] = set()
    with closing(Ledger(data_dir)) as ledger:
        for turn in range(10):
            with subprocess.Popen([sys.executable, "-c", WRITER, str(data_dir)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout is not None
                said = [writer.stdout.readline() for _ in range(100 + 37 * turn)]
                ledger.catch_up(50)
                writer.kill()
                said += writer.stdout.read().splitlines()
            for line in said:
                kind, id = line.split()
                if kind == "started":
                    started.append(id)
                else:
                    settled.add(id)
        ledger.catch_up()
        rows = ledger.last(1_000_000)
        outcomes = {row["id"]: row["outcome"] for row in rows}
        assert len(outcomes) == len(rows)
        assert [id for id in started if id not in outcomes] == []
        assert {outcomes[id] for id in settled} == {"ok"}
        silent = [id for id in started if outcomes[id] == "unsettled"]
        assert 0 < len(silent) < len(started) / 4
        assert len(rows) - len(started) <= 10, "at most the line that each was killed after"
        ledger.rebuild()
        assert ledger.last(1_000_000) == rows


def test_what_cannot_be_recorded_is_never_accepted(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the disk full, every Ask that was accepted is recorded once there is room, and every other one was refused."""
    monkeypatch.setattr(journal, "MAX_WAITING_LINES", 50)
    book = Journal(data_dir)
    accepted, refused = [], []
    with mock.patch.object(journal.os, "write", side_effect=OSError(28, "No space left on device")):
        for number in range(200):
            try:
                book.started(ask(f"a{number:03}"), TS)
                accepted.append(f"a{number:03}")
            except HomeportError:
                refused.append(f"a{number:03}")
    book.close()
    assert [line["started"]["id"] for line in lines(data_dir)] == accepted
    assert (len(accepted), len(refused)) == (50, 150)
