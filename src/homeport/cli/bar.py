"""A progress bar for bytes, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from homeport.cli import screen
from homeport.cli.console import aside

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """`with Bar("talker", total) as bar: bar.came(65536)`. Lines said meanwhile stand above it. Without a terminal there are the lines only."""

    def __init__(self, name: str, total: int, *, silent: bool = False) -> None:
        self._progress: Progress | None = None
        self._silent = silent
        if not silent and screen.is_terminal(sys.stderr):
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(file=sys.stderr))
            self._task = self._progress.add_task(name, total=total)

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def came(self, count: int) -> None:
        """So many bytes more; fewer where something begins anew."""
        if self._progress is not None:
            self._progress.advance(self._task, count)

    def say(self, line: str) -> None:
        """A line beside the bar."""
        if self._progress is not None:
            self._progress.console.out(screen.clean(line), highlight=False)
        elif not self._silent:
            aside(screen.clean(line))
