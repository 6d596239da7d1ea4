"""Real gateways for the official SDK: one process on real engines, and the same engine bare, to compare with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import OpenAI

from homeport.backends.engine import Engine
from homeport.testing.talker import babble, write_talker
from tests.gateway import Spawned, config

TALE = "The quick brown fox jumps over the lazy dog, and nobody minds."
ADA = '{"name": "Ada", "age": 36}'
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
LONG = babble(40)

Dial = Callable[..., OpenAI]


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF that says TALE, or ADA, CALL or LONG where the last message holds [json], [tool] or [long]."""
    return write_talker(tmp_path_factory.mktemp("talker") / "tale.gguf", TALE, prompts={"json": ADA, "tool": CALL, "long": LONG})


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, talker: Path) -> Iterator[Spawned]:
    """`homeport up` on two real engines: `talker` and `pilot`."""
    backends = {
        "home": {"kind": "engine", "model": str(talker), "slots": 2, "max_in_flight": 2, "context": 1024, "first_token_timeout_s": 30},
        "pilot": {"kind": "pilot", "max_in_flight": 4, "first_token_timeout_s": 30},
    }
    models = {"talker": {"routes": [{"backend": "home"}]}, "pilot": {"routes": [{"backend": "pilot"}]}}
    with Spawned(config(tmp_path_factory.mktemp("gateway"), backends, models=models)) as running:
        yield running


@pytest.fixture
def client(gateway: Spawned) -> Iterator[OpenAI]:
    """The SDK, pointed at the gateway; it retries nothing, so that what is seen is what happened."""
    with dial(gateway.url) as found:
        yield found


def dial(url: str, key: str = "none") -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)


@pytest.fixture(scope="session")
def bare(talker: Path) -> Iterator[tuple[str, str]]:
    """URL and key of the same engine without a gateway before it."""
    engine = Engine(model=talker, slots=2, context=1024, name="talker")
    with _standing(engine):
        assert engine.key is not None
        yield engine.url, engine.key


@pytest.fixture
def bare_client(bare: tuple[str, str]) -> Iterator[OpenAI]:
    """The SDK, pointed at the engine itself."""
    with dial(*bare) as found:
        yield found


@contextmanager
def _standing(engine: Engine) -> Iterator[None]:
    """The engine's supervision needs a loop that runs: one in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="bare engine", daemon=True)
    thread.start()

    async def begin() -> None:
        await engine.start()
        await engine.ready(30)

    try:
        asyncio.run_coroutine_threadsafe(begin(), loop).result(40)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(engine.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
