"""What a task costs beside a bare chat call, and what a grammar of quotes costs: `python -m bench.tasks`."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import homeport
from homeport.tasks import gbnf
from homeport.tasks.shapes import Shape
from homeport.tasks.shipped import classify as classify_task
from homeport.tasks.shipped.prompts import classify
from homeport.tasks.shipped.reading import Answer
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer as Scripted

ROUNDS = 1500
TEXT = "Where is my parcel? It was to be here on Monday, and nobody answers the phone."

LABELS = ["complaint", "other", "question", "request"]
SHAPE = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"enum": LABELS}, "strict": True}}


class Line:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def post(self, path: str, body: bytes) -> float:
        """Milliseconds of one request."""
        began = time.perf_counter()
        self._connection.request("POST", path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        told = answer.read()
        spent = (time.perf_counter() - began) * 1000
        assert answer.status == 200, told
        return spent


def overhead(url: str) -> tuple[float, float]:
    """p50 of a chat, and of the task that asks the same, milliseconds."""
    message = [{"role": "user", "content": classify(TEXT)}]
    chat = json.dumps({"model": "default", "messages": message, "temperature": 0, "max_tokens": 1024, "response_format": SHAPE}).encode()
    task = json.dumps({"input": {"text": TEXT}}).encode()
    lines = Line(url), Line(url)
    return in_turns(lambda: lines[0].post("/v1/chat/completions", chat), lambda: lines[1].post("/tasks/classify", task))


def called(client: homeport.Client) -> tuple[float, float]:
    """The same from Python: p50 of `client.chat` and of the task, milliseconds."""
    task = classify_task.over(client)
    body = {"temperature": 0, "max_tokens": 1024, "response_format": SHAPE}

    def clocked(call: Callable[[], object]) -> float:
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) * 1000

    return in_turns(lambda: clocked(lambda: client.chat(classify(TEXT), **body).text), lambda: clocked(lambda: task(TEXT)))


def in_turns(*ways: Callable[[], float]) -> tuple[float, float]:
    """p50 of two ways, each asked once a round; which goes first is drawn, for what comes second meets what the first left to do."""
    rng = random.Random(8)
    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS + 50):
        for place in rng.sample(range(len(ways)), len(ways)):
            spent[place].append(ways[place]())
    first, second = (statistics.median(found[50:]) for found in spent)
    return first, second


@contextlib.contextmanager
def gateway(config: Path) -> Iterator[str]:
    """A gateway in a process of its own: in this one it would share its interpreter with who asks."""
    command = [sys.executable, "-m", "homeport", "up", "--config", str(config), "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        try:
            yield str(json.loads(child.stdout.readline())["url"])
        finally:
            child.terminate()


def timed(work: Callable[[], object], times: int = 5) -> float:
    """The least of some runs, milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return min(found)


def decoding(client: homeport.Client, words: int) -> str:
    """A quote on the pilot, with and without a grammar: milliseconds a token."""
    text = " ".join(f"word{number}" for number in range(words))
    grammar = gbnf.grammar(Shape(Answer).schema, [text])
    assert grammar is not None
    build = timed(lambda: gbnf.grammar(Shape(Answer).schema, [text]))
    speeds = []
    for more in ({}, {"grammar": grammar}):
        rates = [float(client.chat("Which word?", "small", temperature=1, seed=seed, max_tokens=60, **more).headers["x-tok-per-s"]) for seed in range(8)]
        speeds.append(1000 / max(0.001, statistics.median(rates)))
    return f"| {words:,} | {len(grammar) / 1024:.0f} KB | {build:.1f} ms | {speeds[0]:.2f} ms | {speeds[1]:.2f} ms |"


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder, BackendProcess(Setup(answer=Scripted(text='"question"'))) as backend:
        path = Path(folder) / "homeport.toml"
        scripted = f'[backends.scripted]\nkind = "openai"\nurl = "{backend.url}"\n[backends.pilot]\nkind = "pilot"\n'
        models = '[models.default]\nroutes = [{ backend = "scripted", model = "m" }]\n[models.small]\nroutes = [{ backend = "pilot" }]\n'
        path.write_text(f'[server]\ndata = "{folder}/data"\n{scripted}{models}', encoding="utf-8")
        with gateway(path) as url, homeport.Client(urls=[url]) as client:
            for way, (bare, task) in (("POST /tasks/classify", overhead(url)), ("from Python", called(client))):
                sys.stdout.write(f"{way}: a chat {bare:.2f} ms, the task {task:.2f} ms, {task - bare:.2f} ms more (p50 of {ROUNDS:,}, one client)\n")
            while client.get("/status").backends[1].state != "healthy":
                time.sleep(0.1)
            sys.stdout.write("\n| words | grammar | built in | a token without | with |\n|---|---|---|---|---|\n")
            rows = [decoding(client, words) for words in (10, 50, 150, 400, 1000)]
            sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
