"""The `aider` command: it answers a question, and edits a file as a script of the backend says."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from told import CUTS, FAULTS, TALE, Absent, Failed, Target, main, raised

QUIET = ["--yes-always", "--no-git", "--no-check-update", "--no-show-release-notes", "--no-show-model-warnings", "--no-analytics", "--no-pretty"]
QUIET += ["--map-tokens", "0", "--edit-format", "whole", "--no-suggest-shell-commands"]
BEFORE, AFTER = "nothing yet\n", "Hello from home\n"
RUN_S = 90.0


def load() -> None:
    """Import aider, once for all runs, and with the prices of models at hand that it would ask the network for."""
    prices = Path.home() / ".aider" / "caches" / "model_prices_and_context_window.json"
    prices.parent.mkdir(parents=True, exist_ok=True)
    prices.write_text(json.dumps({"none": {}}), encoding="utf-8")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import aider.main

    aider.main.load_slow_imports(swallow=False)


class Running:
    """The command under way in a folder of its own, beside `greeting.txt`; forked, for its imports alone take seconds."""

    def __init__(self, target: Target, *words: str, model: str = "") -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name, "greeting.txt")
        self.file.write_text(BEFORE, encoding="utf-8")
        words = (*QUIET, "--openai-api-base", target.v1, "--openai-api-key", target.key, "--model", f"openai/{model or target.model}", *words)
        told, tells = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(tells, [*words, "greeting.txt"])
        os.close(tells)
        self.told = open(told, encoding="utf-8", errors="replace")  # noqa: SIM115  # closed with the rest
        self._late = threading.Timer(RUN_S, self.signal, [signal.SIGKILL])

    def _be(self, tells: int, words: list[str]) -> None:
        """The command itself; never returns."""
        try:
            os.chdir(self.folder.name)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(tells, 1)
            os.dup2(tells, 2)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            from aider.main import main as aider

            aider(words)
        finally:
            sys.stdout.flush()
            os._exit(0)

    def __enter__(self) -> Running:
        self._late.start()
        return self

    def __exit__(self, *_: object) -> None:
        in_time = self._late.is_alive()
        self._late.cancel()
        self.signal(signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.told.close()
        self.folder.cleanup()
        if not in_time:
            raise TimeoutError(f"aider was not done in {RUN_S:g} s")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)  # it is there until it was waited for


def run(target: Target, *words: str, model: str = "") -> tuple[str, str]:
    """What was printed, and what is in the file then; stopped where it begins to try again. Raises Failed where it tells an error."""
    with Running(target, *words, model=model) as command:
        told = ""
        for line in command.told:
            told += line
            if line.startswith("Retrying in"):
                command.signal(signal.SIGKILL)
        file = command.file.read_text(encoding="utf-8")
    names = re.findall(r"litellm\.(\w+):", told)
    if names:
        again = ", tries again" if "Retrying in" in told else ""
        assert file == BEFORE, f"prints `{names[0]}`, and the file was changed"
        raise Failed(f"prints `{names[0]}`{again}", told)
    return told, file


def chat(target: Target) -> None:
    told, _ = run(target, "--no-stream", "--chat-mode", "ask", "--message", "hello")
    assert TALE in " ".join(told.split()), told[-300:]


def stream(target: Target) -> str | None:
    if target.watch is None:
        raise Absent("as chat: this model writes no edits")
    _, file = run(target, "--stream", "--message", "[edit]")
    assert file == AFTER, f"the file has {file!r}"
    return "edits a file"


def tools(target: Target) -> None:
    raise Absent("its edits are text, not calls")


def schema(target: Target) -> None:
    raise Absent("it asks for none")


def embeddings(target: Target) -> None:
    raise Absent("it asks for none")


def error(target: Target) -> str:
    def ask(kind: str) -> None:
        model, text = target.fault(kind)
        run(target, "--message", text, model=model)

    return raised({kind: partial(ask, kind) for kind in FAULTS})


def cut(target: Target) -> str:
    def ask(how: str) -> None:
        run(target, "--stream", "--message", f"[edit][cut:{how}]")

    return raised({how: partial(ask, how) for how in CUTS})


def cancel(target: Target) -> None:
    with Running(target, "--stream", "--message", "[slow]") as command:
        target.asked()
        time.sleep(0.3)
        command.signal(signal.SIGINT)
        target.gone()


if __name__ == "__main__":
    load()
    cells = {"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel}
    main(cells, cell_s=300)
