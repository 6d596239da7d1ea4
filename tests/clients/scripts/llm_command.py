"""The `llm` command, with the models of a gateway in its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from told import CUTS, FAULTS, PERSON, SCHEMA, TALE, Absent, Failed, Target, main, raised

FUNCTION = 'def weather(city: str) -> str:\n    "Weather of a city."\n    assert city == "Oslo"\n    return "rain"\n'
HOME = Path.cwd() / "llm"


def start(target: Target, *words: str, model: str = "") -> subprocess.Popen[str]:
    """The command under way, in a folder of the target's own."""
    folder = HOME / target.name.replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    shared = f"  api_base: {target.v1}\n  supports_tools: true\n  supports_schema: true\n  api_key_name: homeport\n"
    rows = [f"- model_id: home-{name}\n  model_name: {name}\n{shared}" for name in (target.model, "absent")]
    (folder / "extra-openai-models.yaml").write_text("".join(rows), encoding="utf-8")
    environ = {**os.environ, "LLM_USER_PATH": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "llm", "prompt", "--model", f"home-{model or target.model}", "--key", target.key, "--no-log", *words]
    return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(target: Target, *words: str, model: str = "") -> str:
    """What the command printed. Raises Failed."""
    with start(target, *words, model=model) as child:
        told, failed = child.communicate(timeout=120)
    if child.returncode != 0:
        raise Failed(f"exit code {child.returncode}", failed)
    return told.strip()


def chat(target: Target) -> None:
    assert run(target, "--no-stream", "--system", "Be brief.", "hello") == TALE


def stream(target: Target) -> None:
    pieces = []
    with start(target, "hello") as child:
        assert child.stdout is not None
        while piece := os.read(child.stdout.fileno(), 1000):
            pieces.append(piece.decode())
    assert pieces.pop() == "\n" or pieces
    target.flowed([piece.rstrip("\n") for piece in pieces])


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
    with start(target, "[slow]") as child:
        assert child.stdout is not None and os.read(child.stdout.fileno(), 1)
        assert target.in_flight >= 1
        child.send_signal(signal.SIGINT)
        target.gone()
    with start(target, "--no-stream", "[slow]") as child:
        target.asked()
        child.send_signal(signal.SIGINT)
        target.gone()


if __name__ == "__main__":
    cells = {"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel}
    main(cells, at_once=True, cell_s=300)
