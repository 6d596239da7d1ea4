"""What the clients of the matrix talk to: one gateway before scripted backends of each client's own and a real one, and the same backends bare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from homeport.testing.backend import ScriptedBackend
from homeport.testing.exchange import Seen
from homeport.testing.script import Answer, Behaviour, Fault, How, Refuse, ToolCall
from homeport.testing.shapes import StyleName
from tests.clients.conftest import ADA, TALE
from tests.clients.table import Client
from tests.gateway import Spawned, config

CELLS = ("chat", "stream", "tools", "schema", "embeddings", "error", "cut", "cancel")
STYLES: dict[str, StyleName] = {"openai": "vllm", "anthropic": "anthropic", "ollama": "ollama"}
TALKS = CELLS[:5]  # what a real engine that cannot be told to fail is asked for
FAILS = ("error", "cut")  # each has a model of its own: one that failed five times in a row is left out for a while
PACE_S = 0.05  # between the words of a stream: two dozen processes on two cores must not read them all at once
CUT_S = 0.5  # between the last words and the end: read together they were never said, and another backend may be asked
SLOW = Answer(text=TALE, endless=True, delay_s=0.05)
EDIT = "greeting.txt\n```\nHello from home\n```\n"  # as aider's whole format has it
CUTS: tuple[How, ...] = ("close", "end", "error")
PLAY: dict[bytes, Behaviour] = {
    b"[slow]": SLOW,
    b"[refuse]": Refuse(status=400, message="top_p must be at most 1"),
    b"[fail]": Refuse(status=500),
    **{f"[edit][cut:{how}]".encode(): Answer(text=EDIT, fault=Fault(4, how, after_s=0.05)) for how in CUTS},
    **{f"[cut:{how}]".encode(): Answer(text=TALE, fault=Fault(4, how, after_s=0.05)) for how in CUTS},
    b"[edit]": Answer(text=EDIT, delay_s=0.01),
}


class Place(Struct, kw_only=True):
    """One target of a script; the fields are those of `scripts/told.py`."""

    name: str
    url: str
    model: str
    key: str = "none"
    watch: str | None = None
    cells: tuple[str, ...] = CELLS


def play(seen: Seen) -> Behaviour:
    """What a scripted backend does: as the marks in the prompt say."""
    if seen.fields.get("model") == "absent":
        return Refuse(status=404, message="model `absent` not found")
    for mark, behaviour in PLAY.items():
        if mark in seen.body:
            return behaviour
    if b"[json]" in seen.body:
        return Answer(text=ADA) if b'"age"' in seen.body else Refuse(status=400, message="no schema came with it")
    if b"[tool]" in seen.body and b"rain" not in seen.body:
        return Answer(tool_calls=(ToolCall("weather", '{"city": "Oslo"}'),))
    return Answer(text=TALE, delay_s=PACE_S)


class Stage:
    """The gateway's URL, and where the backends of each client stand."""

    def __init__(self, gateway: Spawned, scripted: dict[str, dict[str, ScriptedBackend]], engine: tuple[str, str]) -> None:
        self.gateway = gateway
        self.scripted = scripted  # client → kind → backend
        self.engine = engine

    def places(self, client: Client) -> list[Place]:
        """Where it is tried: through Homeport on the kinds of backend it names, and bare on those that speak its dialect."""
        scripted, found = self.scripted[client.name], []
        for kind, backend in scripted.items():
            for model, cells in _shares(_named(kind, list(self.scripted).index(client.name))).items():
                found.append(Place(name=f"homeport:{kind}", url=self.gateway.url, model=model, watch=backend.url, cells=cells))
        if "engine" in client.kinds:
            found.append(Place(name="homeport:engine", url=self.gateway.url, model="engine", cells=TALKS))
        if client.dialect in scripted:
            bare = scripted[client.dialect]
            found.append(Place(name="bare:scripted", url=bare.url, model="talker", watch=bare.url))
        if client.dialect != "ollama":
            url, key = self.engine
            found.append(Place(name="bare:engine", url=url, model="talker", key=key, cells=TALKS))
        return found


def _named(kind: str, number: int) -> str:
    """A client's backend of a kind; not kind-number, for LiteLLM looks for a tokenizer in the network where `llama-2` stands in a name."""
    return f"client{number}-{kind}"


def _shares(model: str) -> dict[str, tuple[str, ...]]:
    """The cells by the model they ask."""
    return {model: tuple(cell for cell in CELLS if cell not in FAILS), **{f"{model}-{cell}": (cell,) for cell in FAILS}}


@contextmanager
def stage(folder: Path, talker: Path, engine: tuple[str, str], clients: Iterable[Client]) -> Iterator[Stage]:
    """All of it up: each client has a scripted backend of each kind for itself, the model `engine` is a real one for all."""
    with ExitStack() as stack:
        scripted: dict[str, dict[str, ScriptedBackend]] = {}
        real = {"kind": "engine", "model": str(talker), "slots": 2, "max_in_flight": 2, "context": 1024, "first_token_timeout_s": 30}
        backends: dict[str, Any] = {"engine": real}
        models: dict[str, Any] = {"engine": {"routes": [{"backend": "engine"}]}}
        for number, client in enumerate(clients):
            scripted[client.name] = {}
            for kind in (kind for kind in client.kinds if kind in STYLES):
                backend = scripted[client.name][kind] = stack.enter_context(ScriptedBackend(play, style=STYLES[kind], models=_shares("talker")))
                name = _named(kind, number)
                backends[name] = {"kind": kind, "url": backend.url}
                for model, behind in zip(_shares(name), _shares("talker"), strict=True):
                    models[model] = {"routes": [{"backend": name, "model": behind}]}
        gateway = stack.enter_context(Spawned(config(folder, backends, models=models)))
        yield Stage(gateway, scripted, engine)
