"""A gateway in a process of its own that is short of something: started by a command before its own, looked at through /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.gateway import Spawned

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Short(Spawned):
    """`homeport up` behind the command `prefix`, after the lines of Python in `before`."""

    def __init__(self, path: Path, *, prefix: tuple[str, ...] = (), before: str = "") -> None:
        super().__init__(path)
        self._prefix = prefix
        self._before = before

    def __enter__(self) -> Self:
        program = ["-c", f"import sys\n{self._before}\nfrom homeport.cli import main\nsys.exit(main())"] if self._before else ["-m", "homeport"]
        command = [*self._prefix, sys.executable, *program, "up", "--config", str(self.path), "--json"]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.path.parent)
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, self.said
        told = json.loads(line)
        self.url, self.pid = told["url"], told["pid"]
        return self

    @property
    def _log(self) -> Path:
        return self.path.parent / "gateway.log"

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]

    @property
    def cpu_s(self) -> float:
        """Seconds of a core it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory_mb(self, field: str = "VmRSS") -> float:
        """A size out of /proc/PID/status, MiB: VmRSS now, VmHWM at most, VmSize of addresses."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(field)
