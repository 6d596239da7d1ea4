"""Places at backends that all workers of a gateway share: counts in memory that all of them map, changed under a lock.

Each worker has a seat: its own row in every count. A cell holds the counts of one backend, a column a word:

    held      places its asks have
    granted   places put aside for those who wait there
    waiting   how many wait there
    limit     up to how many places in use they take one
    since     when the oldest of them came

A place that is given back goes, in the same breath, to the seat whose oldest waiter came first, and its worker's bell is
rung: so nobody overtakes, and nobody has to look again and again. The row of a worker that died is cleared by its parent.

The lock is the kernel's, on one byte of the shared memory for each cell. It ends with its process, so it is never left
behind. A worker that was stopped while it held one, which is a matter of microseconds, delays the others by `PATIENCE_S` a
call and no more: what they may not change then, they look at again a little later.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator

from homeport.errors import HomeportError
from homeport.fleet.view import View

CELLS = 4096  # backends, pulled models included, and limited keys that one run of a gateway may have had
PATIENCE_S = 0.005  # for a lock
AGAIN_S = 0.01  # when what could not be done for want of the lock is tried again
_WORD = 8
_MARK = 0x484F4D45504F5254  # "HOMEPORT"
_HEAD = 4  # words: mark, seats, cells used, nothing
_COLUMNS = 5

Later = Callable[[float, Callable[[], None]], object]


def create(seats: int) -> int:
    """Shared memory with room for so many workers; its descriptor, to be inherited by them. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("homeport-places", 0)
    else:
        fd, path = tempfile.mkstemp(prefix="homeport-places-")
        os.unlink(path)
    os.ftruncate(fd, _size(seats))
    words = memoryview(mmap.mmap(fd, _size(seats))).cast("B").cast("q")
    words[0], words[1] = _MARK, seats
    return fd


def _size(seats: int) -> int:
    return _WORD * (_HEAD + 2 * CELLS + CELLS * _COLUMNS * seats)


class Table:
    """The shared counts, as the worker at `seat` uses them, or its parent (seat None). For one thread.

    `ring` wakes the worker at another seat, which then calls `heard`. `later` calls something after some seconds, in the same thread.
    """

    def __init__(self, fd: int, seat: int | None, *, ring: Callable[[int], None], later: Later) -> None:
        self.fd = fd
        self.seat = seat
        self.later = later
        self._ring = ring
        self._cells: dict[str, Cell] = {}
        with mmap.mmap(fd, _WORD * _HEAD) as head:
            words = memoryview(head).cast("B").cast("q")
            mark, self.seats = words[0], words[1]
            words.release()
        if mark != _MARK:
            raise HomeportError("What was handed on as the memory for places is something else. Start the gateway with: homeport up --workers N.")
        self.words = memoryview(mmap.mmap(fd, _size(self.seats))).cast("B").cast("q")

    def at(self, name: str) -> View:
        """A new view on the places at a backend. Raises HomeportError where there were too many backends."""
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = Cell(self, self._index(name))
        return View(cell)

    def in_use(self, name: str) -> int:
        """Places taken at a backend."""
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = Cell(self, self._index(name))
        return cell.in_use

    def heard(self) -> None:
        """The bell was rung: somebody here may have been given a place."""
        for cell in self._cells.values():
            cell.look()

    def clear(self, seat: int) -> None:
        """The worker of this seat is gone: what it had is free. For its parent; waits for locks."""
        for index in range(self.words[2]):
            cell = Cell(self, index)
            with self.locked(index, patience_s=1.0):
                cell.clear(seat)
                rung = cell.hand_out()
            self.ring({*rung, *cell.granted_to()})

    def ring(self, seats: set[int]) -> None:
        """Wake these."""
        for seat in seats:
            if seat != self.seat:
                self._ring(seat)

    @contextlib.contextmanager
    def locked(self, index: int, *, patience_s: float = PATIENCE_S) -> Iterator[bool]:
        """Alone at a cell; gives False where its lock could not be had in time."""
        got = self.lock(index, patience_s)
        try:
            yield got
        finally:
            if got:
                self.unlock(index)

    def lock(self, index: int, patience_s: float = PATIENCE_S) -> bool:
        """Take the lock of a cell; False where it could not be had in time."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
            return True
        except OSError:
            pass
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            time.sleep(0)
            with contextlib.suppress(OSError):
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
                return True
        return False

    def unlock(self, index: int) -> None:
        """Give it back."""
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, index)

    def _index(self, name: str) -> int:
        """The cell of a backend; a new one where there is none yet."""
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        first, second = (int.from_bytes(part, "little", signed=True) for part in (digest[:8], digest[8:]))
        words = self.words
        with self.locked(CELLS, patience_s=5.0) as alone:
            if not alone:
                raise HomeportError("The memory for places is locked by another process for seconds. Restart the gateway.")
            used = words[2]
            for index in range(used):
                at = _HEAD + 2 * index
                if words[at] == first and words[at + 1] == second:
                    return index
            if used == CELLS:
                raise HomeportError(f"This gateway has had {CELLS} backends since its start, and cannot count places at more. Restart it.")
            words[_HEAD + 2 * used], words[_HEAD + 2 * used + 1] = first, second
            words[2] = used + 1
            return used


class Cell:
    """The counts of one backend, and the views on them in this process."""

    __slots__ = ("_granted", "_held", "_limit", "_seats", "_since", "_table", "_waiting", "_words", "again", "index", "views")

    def __init__(self, table: Table, index: int) -> None:
        self._table = table
        self._words = table.words
        self._seats = seats = table.seats
        self.index = index
        self.views: list[View] = []
        self.again = False  # to be looked at again: the lock could not be had
        self._held = _HEAD + 2 * CELLS + index * _COLUMNS * seats
        self._granted, self._waiting, self._limit, self._since = (self._held + column * seats for column in range(1, _COLUMNS))

    @property
    def in_use(self) -> int:
        return sum(self._words[self._held : self._held + 2 * self._seats])

    @property
    def waiting(self) -> int:
        return sum(self._words[self._waiting : self._waiting + self._seats])

    def take(self, limit: int, *, wanted: bool) -> bool:
        """Take a place; `wanted`: for one who waits, and whom a granted place is for."""
        if not wanted and self.in_use >= limit:
            return False
        words, seat, table = self._words, self._table.seat, self._table
        assert seat is not None
        if not table.lock(self.index):
            if wanted:
                self._look_again()
            return False
        try:
            if wanted and words[self._granted + seat] > 0:
                words[self._granted + seat] -= 1
                words[self._held + seat] += 1
                return True
            others = self.waiting - words[self._waiting + seat] if wanted else self.waiting
            if others or self.in_use >= limit:
                return False
            words[self._held + seat] += 1
            return True
        finally:
            table.unlock(self.index)

    def give_back(self) -> None:
        seat = self._table.seat
        assert seat is not None
        got = self._table.lock(self.index)
        self._words[self._held + seat] -= 1  # this worker's own: right without the lock too
        if not got:
            self._look_again()
            return
        rung = self.hand_out() if self.waiting else set()
        self._table.unlock(self.index)
        if rung:
            self._table.ring(rung)
            if seat in rung:
                self.look()

    def changed(self) -> None:
        """Say how many wait in this process, and take what is free for them."""
        words, seat = self._words, self._table.seat
        assert seat is not None
        wanting = [view for view in self.views if view.wants]
        oldest = min(wanting, key=lambda view: view.since, default=None)
        with self._table.locked(self.index) as alone:
            words[self._waiting + seat] = sum(view.wants for view in wanting)
            words[self._limit + seat] = oldest.limit if oldest is not None else 0
            words[self._since + seat] = int(oldest.since * 1e9) if oldest is not None else 0
            if not alone:
                self._look_again()
                return
            spare = words[self._granted + seat] - words[self._waiting + seat]
            if spare > 0:
                words[self._granted + seat] -= spare
            rung = self.hand_out()
        self._table.ring(rung)

    def look(self) -> None:
        """Hand on what was put aside for this worker."""
        for view in sorted((view for view in self.views if view.wants), key=lambda view: view.since):
            if view.free is not None:
                view.free()

    def hand_out(self) -> set[int]:
        """Put what is free aside for those who wait, the oldest first; the seats that got some. Only with the lock."""
        words, seats = self._words, self._seats
        given: set[int] = set()
        while True:
            in_use = self.in_use
            first = -1
            for seat in range(seats):
                wants = words[self._waiting + seat] > words[self._granted + seat] and in_use < words[self._limit + seat]
                if wants and (first < 0 or words[self._since + seat] < words[self._since + first]):
                    first = seat
            if first < 0:
                return given
            words[self._granted + first] += 1
            given.add(first)

    def clear(self, seat: int) -> None:
        """Nothing is held, granted or wanted there."""
        for column in (self._held, self._granted, self._waiting, self._limit, self._since):
            self._words[column + seat] = 0

    def granted_to(self) -> set[int]:
        """The seats for which places are put aside."""
        return {seat for seat in range(self._seats) if self._words[self._granted + seat]}

    def _look_again(self) -> None:
        if not self.again:
            self.again = True
            self._table.later(AGAIN_S, self._once_more)

    def _once_more(self) -> None:
        self.again = False
        self.changed()
        self.look()
