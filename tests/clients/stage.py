"""What the clients of the matrix talk to: one gateway before scripted and real backends, and the same backends bare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from homeport.testing.backend import ScriptedBackend
from homeport.testing.exchange import Seen
from homeport.testing.script import Answer, Behaviour, Fault, How, Refuse, ToolCall
from homeport.testing.shapes import StyleName
from tests.clients.conftest import ADA, TALE
from tests.gateway import Spawned, config

CELLS = ("chat", "stream", "tools", "schema", "embeddings", "error", "cut", "cancel")
STYLES: dict[str, StyleName] = {"openai": "vllm", "anthropic": "anthropic", "ollama": "ollama"}
TALKS = CELLS[:5]  # what a real engine that cannot be told to fail is asked for
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
    return Answer(text=TALE, delay_s=0.01)


class Stage:
    """The gateway's URL, and where each backend stands."""

    def __init__(self, gateway: Spawned, scripted: dict[str, ScriptedBackend], engine: tuple[str, str]) -> None:
        self.gateway = gateway
        self.scripted = scripted
        self.engine = engine

    def places(self, dialect: str, kinds: tuple[str, ...]) -> list[Place]:
        """Where a client of this dialect is tried: through Homeport on these kinds of backend, and bare on those that speak its dialect."""
        found = [Place(name=f"homeport:{kind}", url=self.gateway.url, model=kind, watch=backend.url) for kind, backend in self.scripted.items()]
        found.append(Place(name="homeport:engine", url=self.gateway.url, model="engine", cells=TALKS))
        if dialect in self.scripted:
            bare = self.scripted[dialect]
            found.append(Place(name="bare:scripted", url=bare.url, model="talker", watch=bare.url))
        if dialect != "ollama":
            url, key = self.engine
            found.append(Place(name="bare:engine", url=url, model="talker", key=key, cells=TALKS))
        return [place for place in found if place.name.startswith("bare") or place.model in kinds]


@contextmanager
def stage(folder: Path, talker: Path, engine: tuple[str, str]) -> Iterator[Stage]:
    """All of it up: the models `openai` … are scripted backends of that kind, `engine` is a real one."""
    with ExitStack() as stack:
        scripted = {kind: stack.enter_context(ScriptedBackend(play, style=style)) for kind, style in STYLES.items()}
        backends: dict[str, Any] = {kind: {"kind": kind, "url": backend.url} for kind, backend in scripted.items()}
        backends["engine"] = {"kind": "engine", "model": str(talker), "slots": 2, "max_in_flight": 2, "context": 1024, "first_token_timeout_s": 30}
        models: dict[str, Any] = {kind: {"routes": [{"backend": kind, "model": "talker"}]} for kind in scripted}
        models["engine"] = {"routes": [{"backend": "engine"}]}
        gateway = stack.enter_context(Spawned(config(folder, backends, models=models)))
        yield Stage(gateway, scripted, engine)
