"""One worker of a gateway of several: what `homeport up --workers N` starts N times (`python -m homeport.worker PAPERS`)."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from homeport.app import App
from homeport.backends.borrowed import Borrower
from homeport.errors import BadSettings, HomeportError
from homeport.fleet.line import Line
from homeport.fleet.member import Member, Papers
from homeport.foreground import loop_factory, on_signals
from homeport.front import descriptors
from homeport.settings import Settings

LINGER_S = 1.0  # open connections may ask once more while others accept in this worker's place


def main() -> None:
    """Serve until the parent says to leave, or is gone."""
    papers = msgspec.json.decode(sys.argv[1], type=Papers)
    descriptors.allow_more()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(papers))


async def _work(papers: Papers) -> None:
    line = await Line.over(socket.socket(fileno=papers.parent))
    first = await line.hear()
    if first is None:
        return
    settings: Settings = first["settings"]
    member = Member(papers)
    wishes = Wishes(line)
    borrower = Borrower(first["key"], wishes.wake)
    borrower.hear(first["engines"])
    try:
        app = App(settings, siblings=member.siblings, crew=member, borrower=borrower)
    except HomeportError as error:
        await line.say({"failed": str(error), "settings": isinstance(error, BadSettings)})
        return
    await app.start()
    gc.freeze()
    worker = Worker(app, line, borrower, wishes)
    on_signals({"SIGTERM": worker.left.set, "SIGHUP": lambda: None, "SIGUSR2": lambda: None})
    await line.say({"ready": app.url, "standings": list(app.standings())})
    await worker.run()
    member.close()


class Wishes:
    """What a worker asks of its parent: to load a pulled model."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._number = 0
        self._open: dict[int, asyncio.Future[str | None]] = {}

    async def wake(self, name: str, path: Path, timeout_s: float) -> str | None:
        """None once it is loaded, or why it was not."""
        self._number += 1
        number = self._number
        wish: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._open[number] = wish
        try:
            async with asyncio.timeout(timeout_s + 1.0):
                await self._line.say({"wake": name, "path": path, "timeout_s": timeout_s, "id": number})
                return await wish
        except (OSError, TimeoutError):
            return "the process that runs the engines does not answer"
        finally:
            self._open.pop(number, None)

    def granted(self, number: int, problem: str | None) -> None:
        """The parent's answer."""
        wish = self._open.get(number)
        if wish is not None and not wish.done():
            wish.set_result(problem)


class Worker:
    """A gateway that does what its parent says."""

    def __init__(self, app: App, line: Line, borrower: Borrower, wishes: Wishes) -> None:
        self._app = app
        self._line = line
        self._borrower = borrower
        self._wishes = wishes
        self.left = asyncio.Event()
        self._linger_s = LINGER_S
        self._reload: asyncio.Task[None] | None = None  # the last

    async def run(self) -> None:
        """Until it is told to leave."""
        listening = asyncio.ensure_future(self._listen())
        await self.left.wait()
        await self._app.stop(linger_s=self._linger_s)
        listening.cancel()

    async def _listen(self) -> None:
        while (order := await self._line.hear()) is not None:
            match order["do"]:
                case "ping":
                    await self._line.say({"id": order["id"]})
                case "reload":
                    self._reload = asyncio.ensure_future(self._reloaded(order["id"], order["settings"]))
                case "engines":
                    self._borrower.hear(order["engines"])
                case "woken":
                    self._borrower.hear(order["engines"])
                    self._wishes.granted(order["id"], order["problem"])
                case "leave":  # others accept in its place
                    self.left.set()
                case "end":
                    self._linger_s = 0.0
                    self.left.set()
                case "hurry":
                    self._app.hurry()
        self._linger_s = 0.0  # the parent is gone
        self.left.set()

    async def _reloaded(self, number: int, settings: Settings) -> None:
        try:
            answer: dict[str, Any] = {"ok": True, "change": tuple(await self._app.reload(settings))}
        except HomeportError as error:
            answer = {"ok": False, "problems": str(error).splitlines()}
        await self._line.say({"id": number, **answer})


if __name__ == "__main__":
    main()
