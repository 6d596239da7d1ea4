"""The `llm` command, with the models of a gateway in its extra-openai-models.yaml."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from told import CUTS, FAULTS, PERSON, SCHEMA, TALE, Absent, Failed, Target, main, raised

FUNCTION = 'def weather(city: str) -> str:\n    "Weather of a city."\n    assert city == "Oslo"\n    return "rain"\n'
HOME = Path.cwd() / "llm"
RUN_S = 120.0
FORKS = multiprocessing.get_context("forkserver")


class Running:
    """The command under way, in a folder of the target's own; forked from a process that has its imports, which take longer than the rest."""

    def __init__(self, target: Target, *words: str, model: str = "") -> None:
        folder = HOME / target.name.replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        shared = f"  api_base: {target.v1}\n  supports_tools: true\n  supports_schema: true\n  api_key_name: homeport\n"
        rows = [f"- model_id: home-{name}\n  model_name: {name}\n{shared}" for name in (target.model, "absent")]
        (folder / "extra-openai-models.yaml").write_text("".join(rows), encoding="utf-8")
        asked = ["prompt", "--model", f"home-{model or target.model}", "--key", target.key, "--no-log", *words]
        self.said = folder / "stderr"
        self._told, tells = FORKS.Pipe(duplex=False)
        self._child = FORKS.Process(target=be, args=(asked, folder, self.said, tells))
        self._child.start()
        tells.close()

    def read(self, size: int = 1000) -> bytes:
        """What it printed meanwhile; nothing at its end."""
        return os.read(self._told.fileno(), size)

    def end(self) -> int | None:
        """Wait for its end: the exit code."""
        self._child.join(RUN_S)
        return self._child.exitcode

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        assert self._child.pid is not None
        os.kill(self._child.pid, signal.SIGINT)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None:
            self._child.kill()
        if self.end() is None:
            self._child.kill()
            self._child.join()
            raise TimeoutError(f"llm was not done in {RUN_S:g} s")
        self._told.close()


def be(words: list[str], folder: Path, said: Path, tells: Connection) -> None:
    """The command itself, in a process of its own."""
    os.environ["LLM_USER_PATH"] = str(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(tells.fileno(), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    tells.close()
    from llm.cli import cli

    cli(words)


def run(target: Target, *words: str, model: str = "") -> str:
    """What the command printed. Raises Failed."""
    told = b""
    with Running(target, *words, model=model) as command:
        while piece := command.read():
            told += piece
        code = command.end()
    if code != 0:
        raise Failed(f"exit code {code}", command.said.read_text(encoding="utf-8"))
    return told.decode().strip()


def chat(target: Target) -> None:
    assert run(target, "--no-stream", "--system", "Be brief.", "hello") == TALE


def stream(target: Target) -> None:
    pieces = []
    with Running(target, "hello") as command:
        while piece := command.read():
            pieces.append(piece.decode())
    target.flowed([piece.rstrip("\n") for piece in pieces])  # the line's end may come with the last words or after them


def tools(target: Target) -> None:
    call = partial(run, target, "--functions", FUNCTION, "[tool]")
    if target.watch is None:  # the talker goes on to call, so the command stops it after five
        assert raised({"": call}) == "exit code 1"
    else:
        assert call().endswith(TALE)


def schema(target: Target) -> None:
    assert json.loads(run(target, "--no-stream", "--schema", json.dumps(SCHEMA), "[json]")) == PERSON


def embeddings(target: Target) -> None:
    raise Absent("it embeds with OpenAI's own models only")


def error(target: Target) -> str:
    def ask(kind: str) -> None:
        model, text = target.fault(kind)
        run(target, text, model=model)

    return raised({kind: partial(ask, kind) for kind in FAULTS})


def cut(target: Target) -> str:
    return raised({how: partial(run, target, f"[cut:{how}]") for how in CUTS})


def cancel(target: Target) -> None:
    with Running(target, "[slow]") as command:
        assert command.read(1)
        assert target.in_flight >= 1
        command.interrupt()
        target.gone()
    with Running(target, "--no-stream", "[slow]") as command:
        target.asked()
        command.interrupt()
        target.gone()


if __name__ == "__main__":
    cells = {"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel}
    os.environ["PYTHONUNBUFFERED"] = "1"
    FORKS.set_forkserver_preload(["llm.cli", "llm.default_plugins.openai_models", "openai.resources.chat.completions"])
    main(cells, at_once=True, cell_s=300)
