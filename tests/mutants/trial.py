"""One mutant on trial: a child process that imports it in place of the module, and runs the module's tests until one fails.

The child is a fork of a process that holds pytest and Hypothesis already, so a trial costs what the tests cost. Nothing is
written into the working tree. A mutant that never ends counts as noticed: it is stopped once it has used up its processor time,
or has slept for long.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

ASLEEP_S = 5.0  # without work for so long: it waits for what never comes
MEMORY = 2 << 30
LARGEST_FILE = 64 << 20
# No test that takes long, and none that mounts a disk: it would stay mounted where its mutant has to be stopped.
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", "not disk_that_is_full", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class _InPlace(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module's tree to whoever imports that module."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self.module, self.path, self.tree = module, path, tree

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


class _Quick:
    """A plugin of pytest: state machines run the same few examples each time, without shrinking; the first that fails is told."""

    def __init__(self, examples: int, tell: int) -> None:
        self.examples = examples
        self.tell = tell
        self.write = os.write  # tests of full disks put another one there

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for machine in {item.cls for item in items if isinstance(getattr(getattr(item, "cls", None), "settings", None), settings)}:  # type: ignore[attr-defined]
            machine.settings = settings(
                machine.settings,
                max_examples=min(self.examples, machine.settings.max_examples),
                derandomize=True,
                database=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                deadline=None,
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.write(self.tell, f"{report.nodeid}\n".encode())

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(self.tell, b"import\n")


def noticed(module: str, path: Path, tree: ast.Module, tests: Sequence[str], *, examples: int, cpu_s: float) -> str | None:
    """By what the fault was noticed: a test, "import", "never ended", or how the process died. None where every test passed.

    `cpu_s` is the processor time it may use. Raises RuntimeError where no test was found.
    """
    hear, tell = os.pipe()
    folder = tempfile.mkdtemp(prefix="mutant-")
    pid = os.fork()
    if pid == 0:
        code = 3  # whatever happens, it was noticed
        try:
            os.close(hear)
            code = _tried(_InPlace(module, path, tree), tests, examples, folder, tell)
        finally:
            os._exit(code)
    os.close(tell)
    try:
        status = _ended(pid, cpu_s)
        with os.fdopen(hear) as lines:
            said = lines.read().splitlines()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if status is None:
        return "never ended"
    code = os.waitstatus_to_exitcode(status)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f"no test in {' '.join(tests)}")
    return None if code == 0 else (said[0] if said else f"exit {code}")


def _tried(finder: _InPlace, tests: Sequence[str], examples: int, folder: str, tell: int) -> int:
    """In the child: the tests' exit status."""
    import resource

    os.setsid()
    os.set_inheritable(tell, False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # quicker
    sys.meta_path.insert(0, finder)
    code = 0
    for test in tests:  # one by one: the next is not even imported where this one fails
        code = code or int(pytest.main([test, *OPTIONS, f"--basetemp={folder}/pytest"], plugins=[_Quick(examples, tell)]))
    return code


def _ended(pid: int, cpu_s: float) -> int | None:
    """The child's wait status; None where it had to be stopped."""
    used, woken, last = 0.0, time.monotonic(), time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        asleep, spent = _state(pid)
        now = time.monotonic()
        if not asleep or spent != used:
            woken = now
        used, last = spent, now
        if used > cpu_s or last - woken > ASLEEP_S:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.02)


def _state(pid: int) -> tuple[bool, float]:
    """Whether it sleeps, and the seconds of processor time that it used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "S", (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
