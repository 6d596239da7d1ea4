"""`homeport up --workers N`: the parent of N gateways that accept at one address and share their places at backends.

The parent serves nobody. It holds the listening socket, the memory for places and the engines, starts a worker anew when
one dies, and gives back what a dead one held.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from homeport import reloading
from homeport.backends.lending import Lender
from homeport.errors import BadSettings, HomeportError
from homeport.fleet import places
from homeport.fleet.bell import Bell
from homeport.fleet.control import Control
from homeport.fleet.line import Line
from homeport.fleet.member import Papers
from homeport.fleet.sockets import SocketFolder
from homeport.foreground import Orders, Ready, Reread, loop_factory, on_signals, refused, taken
from homeport.front import descriptors
from homeport.service.readiness import Readiness
from homeport.settings import Settings, address
from homeport.vocabulary import Standing

log = logging.getLogger("homeport")

START_S = 60.0  # for a worker to accept requests
RELOAD_S = 30.0  # for a worker to take over other settings
PING_S = 2.0  # how often a worker is asked whether it is there
FROZEN_S = 10.0  # one that does not say so for this long is ended: places are put aside for those who wait in it
KILL_S = 10.0  # beyond the drain's deadline
BACK_OFF_S = (0.2, 30.0)  # first and longest wait before a dead worker is started again; it doubles in between
STEADY_S = 60.0  # alive for so long: the back-off begins anew


def run(settings: Settings, count: int, *, ready: Ready, reread: Reread) -> int:
    """Run a gateway of `count` workers until SIGINT or SIGTERM; `ready` is called once all of them accept requests.

    Raises:
        BadSettings: what is configured cannot be run.
        HomeportError: a worker did not start.
        OSError: the address cannot be had.
    """
    descriptors.allow_more()
    readiness = Readiness.found()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_supervise(settings, count, ready, reread, readiness))
    return 0


async def _supervise(settings: Settings, count: int, ready: Ready, reread: Reread, readiness: Readiness) -> None:
    parent = Parent(settings, count, reread)
    ended = asyncio.Event()

    def end() -> None:
        if ended.is_set():
            parent.hurry()
        ended.set()

    orders = Orders(lambda: parent.settings, parent.reload)
    on_signals({"SIGINT": end, "SIGTERM": end, "SIGHUP": orders.reload_soon, "SIGUSR2": parent.roll_soon})
    control = Control(settings.server.data, orders.obey)
    try:
        url, standings = await parent.start()
        await control.start()
        ready(url, standings)
        readiness.ready(url)
        await ended.wait()
    finally:
        readiness.stopping(parent.settings.server.drain_timeout_s)
        await control.stop()
        await parent.stop()
        await readiness.leave()


class Hand:
    """One worker process, as its parent knows it."""

    def __init__(self, seat: int, process: Process, line: Line) -> None:
        self.seat = seat
        self.process = process
        self.line = line
        self.leaving = False
        self.since = time.monotonic()
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._number = 0

    async def tell(self, order: dict[str, Any]) -> None:
        """Nothing where it is gone."""
        with contextlib.suppress(OSError):
            await self.line.say(order)

    def kill(self) -> None:
        """Whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def ask(self, order: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """Its answer; None where it is gone or gives none in time."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self.tell({**order, "id": self._number})
        done, _ = await asyncio.wait([answer], timeout=timeout_s)
        return answer.result() if done else None

    async def listen(self, asked: Callable[[Hand, dict[str, Any]], None]) -> None:
        """Until it is gone; `asked` is called with what it wants of its parent."""
        while (message := await self.line.hear()) is not None:
            if "wake" in message:
                asked(self, message)
                continue
            answer = self._answers.pop(message.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(message)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)


class Parent:
    """Starts the workers, looks after them, and passes on what they are told."""

    def __init__(self, settings: Settings, count: int, reread: Reread) -> None:
        self.settings = settings
        self._count = count
        self._reread = reread
        self._hands: dict[int, Hand] = {}  # by seat
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = self._rolling = False
        self._wait_s = 0.0  # before a dead worker was started again last
        self._turn = asyncio.Lock()  # one change of the workers at a time
        self._seats = 2 * count + 2  # twice as many while a rolling restart goes on
        self._folder: SocketFolder | None = None
        self._lock = -1
        self._socket: socket.socket | None = None
        self._lender: Lender | None = None

    async def start(self) -> tuple[str, list[Standing]]:
        """Where they accept, and how the backends are. Raises as `run`."""
        self._socket = _listening(self.settings.server.listen)
        self._folder = self._own_folder()
        self._bell = Bell(self._folder)
        self._memory = places.create(self._seats)
        self._table = places.Table(self._memory, None, ring=self._bell.ring, later=asyncio.get_running_loop().call_later)
        self._lender = Lender(self.settings, self._table.in_use, self._lent)
        await self._lender.start()
        async with self._turn:
            found = await asyncio.gather(*(self._spawn(seat) for seat in range(self._count)), return_exceptions=True)
        for problem in found:
            if isinstance(problem, BaseException):
                raise problem
        first = next(first for _, first in (pair for pair in found if not isinstance(pair, BaseException)))
        return str(first["ready"]), first["standings"]

    async def stop(self) -> None:
        """All of them drain, and are gone."""
        self._stopping = True
        if self._socket is not None:
            self._socket.close()  # the workers close theirs: nobody waits at a door that nobody opens
        for hand in self._hands.values():
            await hand.tell({"do": "end"})
        ends = [hand.process.wait() for hand in self._hands.values()]
        if ends:
            tasks = [asyncio.ensure_future(end) for end in ends]
            await asyncio.wait(tasks, timeout=self.settings.server.drain_timeout_s + KILL_S)
        for hand in self._hands.values():
            hand.kill()
        if self._lender is not None:
            await self._lender.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._folder is not None:
            self._folder.close()
            shutil.rmtree(self._folder.path, ignore_errors=True)

    def hurry(self) -> None:
        """The drain's deadline is now."""
        for hand in self._hands.values():
            self._keep(hand.tell({"do": "hurry"}))

    # reload

    async def reload(self, _: dict[str, Any]) -> dict[str, Any]:
        """All workers take over what the file says now, or none."""
        async with self._turn:
            try:
                assert self._lender is not None
                before = self.settings
                settings = await asyncio.get_running_loop().run_in_executor(None, self._reread)
                reloading.refuse(before, settings)
                await self._lender.change(settings)
            except HomeportError as error:
                return refused(error)
            change: tuple[list[str], ...] = ([], [], [], [])
            applied = False
            for hand in [hand for hand in self._hands.values() if not hand.leaving]:
                answer = await hand.ask({"do": "reload", "settings": settings}, RELOAD_S)
                if answer is not None and answer["ok"]:
                    applied, change = True, answer["change"]
                elif answer is not None and not applied:
                    await self._lender.change(before)
                    return refused(BadSettings("\n".join(answer["problems"])))
                else:  # it is not as the others are: another one takes its seat
                    hand.kill()
            self.settings = settings
            return taken(settings, change[2], change[1], change[3])

    # a rolling restart

    def roll_soon(self) -> None:
        """Replace every worker by a new one; what they have under way ends in the old ones."""
        if self._rolling or self._stopping:
            log.warning("a rolling restart is under way already")
            return
        self._rolling = True
        self._keep(self._roll())

    async def _roll(self) -> None:
        old = [hand for hand in self._hands.values() if not hand.leaving]
        try:
            for hand in old:
                async with self._turn:
                    if self._hands.get(hand.seat) is not hand:  # it died, and another is in its place
                        continue
                    await self._spawn(self._free_seat())
                    hand.leaving = True
                await hand.tell({"do": "leave"})
            log.info("%d workers were replaced; the old ones end what they have under way", len(old))
            if old:
                await asyncio.wait([asyncio.ensure_future(hand.process.wait()) for hand in old], timeout=self.settings.server.drain_timeout_s + KILL_S)
            for hand in old:
                if hand.process.returncode is None:
                    log.error("a worker (pid %d) that was to end stands still, and is ended", hand.process.pid)
                    hand.kill()
        except (HomeportError, OSError) as error:
            log.error("the rolling restart was given up, and the workers that are left go on: %s", error)
        finally:
            self._rolling = False

    # one worker

    async def _spawn(self, seat: int) -> tuple[Hand, dict[str, Any]]:
        """Start a worker and wait until it accepts requests. Raises as `run`."""
        assert self._socket is not None and self._folder is not None and self._lender is not None
        ours, theirs = socket.socketpair()
        fds = (self._socket.fileno(), self._memory, theirs.fileno())
        papers = Papers(seat, str(self._folder.path), *fds)
        command = (sys.executable, "-P", "-m", "homeport.worker", msgspec.json.encode(papers).decode())
        with theirs:
            process = await asyncio.create_subprocess_exec(*command, pass_fds=fds, start_new_session=True, stdin=DEVNULL)
        line = await Line.over(ours)
        hand = self._hands[seat] = Hand(seat, process, line)
        try:
            async with asyncio.timeout(START_S):
                await line.say({"settings": self.settings, "engines": self._lender.loans(), "key": self._lender.key})
                first = await line.hear()
        except (OSError, TimeoutError):
            first = None
        if first is None or "failed" in first:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._clear(hand)
            if first is None:
                raise HomeportError(f"A worker ended before it accepted requests (exit status {process.returncode}); what it said stands above.")
            raise (BadSettings if first["settings"] else HomeportError)(first["failed"])
        self._keep(self._tend(hand))
        self._keep(hand.listen(self._asked))
        self._keep(self._watch(hand))
        return hand, first

    async def _tend(self, hand: Hand) -> None:
        """Wait for its end, give back what it held, and start another in its place where it was not to end."""
        code = await hand.process.wait()
        self._clear(hand)
        alive_s = time.monotonic() - hand.since
        first, longest = BACK_OFF_S
        self._wait_s = first if alive_s >= STEADY_S else min(max(first, self._wait_s * 2), longest)
        while self._missed(hand):
            log.warning("a worker ended (exit status %d) after %.0f s; another is started in %g s", code, alive_s, self._wait_s)
            await asyncio.sleep(self._wait_s)
            async with self._turn:
                if not self._missed(hand):
                    return
                try:
                    await self._spawn(self._free_seat())
                    return
                except (HomeportError, OSError) as error:
                    log.error("a worker could not be started: %s", error)
            self._wait_s = min(self._wait_s * 2, longest)

    async def _watch(self, hand: Hand) -> None:
        """End it where it stands still."""
        while self._missed(hand) and hand.process.returncode is None:
            await asyncio.sleep(PING_S)
            if await hand.ask({"do": "ping"}, FROZEN_S) is None and self._missed(hand) and hand.process.returncode is None:
                log.error("a worker (pid %d) has not answered for %g s, and is ended", hand.process.pid, FROZEN_S)
                hand.kill()

    def _missed(self, hand: Hand) -> bool:
        """Whether another is to take its place."""
        return not (hand.leaving or self._stopping)

    def _clear(self, hand: Hand) -> None:
        hand.line.close()
        self._table.clear(hand.seat)
        if self._hands.get(hand.seat) is hand:
            del self._hands[hand.seat]

    def _free_seat(self) -> int:
        seat = next((seat for seat in range(self._seats) if seat not in self._hands), None)
        if seat is None:
            raise HomeportError("every seat is taken by workers that have not ended yet")
        return seat

    def _asked(self, hand: Hand, message: dict[str, Any]) -> None:
        """A worker wants a pulled model to be loaded."""

        async def wake() -> None:
            assert self._lender is not None
            problem = await self._lender.wake(message["wake"], message["timeout_s"], message["path"])
            await hand.tell({"do": "woken", "id": message["id"], "problem": problem, "engines": self._lender.loans()})

        self._keep(wake())

    def _lent(self) -> None:
        """An engine is in another state."""
        assert self._lender is not None
        loans = self._lender.loans()
        for hand in self._hands.values():
            self._keep(hand.tell({"do": "engines", "engines": loans}))

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # the folder of this run

    def _own_folder(self) -> SocketFolder:
        data = self.settings.server.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in data.glob("run-*"):
            if not _held(left / "parent"):
                shutil.rmtree(left, ignore_errors=True)
        path = data / f"run-{os.getpid()}"
        path.mkdir(mode=0o700)
        self._lock = os.open(path / "parent", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return SocketFolder(path)


def _held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _listening(listen: str) -> socket.socket:
    """The socket at which all workers accept. Raises OSError."""
    host, port = address(listen)
    if not host and socket.has_dualstack_ipv6():
        made = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048)
    else:
        family, _, _, _, where = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server((str(where[0]), port), family=family, backlog=2048)
    made.setblocking(False)
    return made
