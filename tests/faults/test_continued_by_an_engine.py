"""A cut answer gone on with by a real engine: llama.cpp's server with the pilot, behind a network that breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.backends import engine_child
from homeport.pilot import PATH
from homeport.testing.proxy import FaultProxy, Faults
from homeport.vocabulary import CHAT, COMPLETIONS, MESSAGES, OLLAMA_CHAT, RESPONSES, Surface
from tests.caller import asked
from tests.dialects import Told, body, told
from tests.gateway import Running, config, soon

KEY = "sk-engine"
# Prompts whose likeliest words are no near ties: a text that is read in one go and one that was written word by word differ in the last bits of their sums.
PROMPTS = ("Once upon a time", "What is spring?", "Write to a client whose invoice is late.")


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The address of llama.cpp's server with the pilot, in a process of its own."""
    order = {"parent": os.getpid(), "model": str(PATH), "name": "pilot", "slots": 2, "context": 2048, "key": KEY}
    order |= {"threads": 1, "prompt_cache_mib": 0, "embeddings": False}
    with subprocess.Popen([sys.executable, engine_child.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()
        yield json.loads(child.stdout.readline())["url"]
        child.stdin.close()


def ask(gateway: Running, surface: Surface, prompt: str) -> tuple[Told, bool]:
    """What an answer of at most forty tokens says, and whether it was gone on with."""
    limits = {OLLAMA_CHAT: {"options": {"num_predict": 40, "temperature": 0}}, RESPONSES: {"max_output_tokens": 40, "temperature": 0}}
    heard = asked(gateway.url, body(surface, prompt, stream=True, **limits.get(surface, {"max_tokens": 40, "temperature": 0})), path=surface.value)
    assert heard.status == 200, heard.body
    return told(surface, heard.body, stream=True), b'"continued":1' in heard.body


@pytest.mark.parametrize("surface", [CHAT, COMPLETIONS, MESSAGES, OLLAMA_CHAT, RESPONSES])
def test_the_text_is_that_of_an_answer_that_was_not_cut(tmp_path: Path, engine: str, surface: Surface) -> None:
    (tmp_path / "key").write_text(KEY)
    with FaultProxy(engine) as proxy:
        backends = {name: {"url": url, "api_key": {"file": "key"}} for name, url in (("first", proxy.url), ("second", engine))}
        model = {"routes": [{"backend": name, "model": "pilot"} for name in backends], "on_break": "continue"}
        with Running(config(tmp_path, backends, models={"assistant": model})) as gateway:
            assert soon(lambda: all(route.engine for route in gateway.app._catalogue.find("assistant").routes))  # type: ignore[union-attr]
            gone_on_with = 0
            for prompt in PROMPTS:
                proxy.faults = Faults()
                proxy.drop()
                before = proxy.down
                whole, _ = ask(gateway, surface, prompt)
                assert whole.whole
                size = proxy.down - before
                for at in range(400, size - 1200, 331):
                    proxy.drop()
                    proxy.faults = Faults(cut_down_after=at)
                    said, continued = ask(gateway, surface, prompt)
                    assert (said.text, said.finish, said.errors) == (whole.text, whole.finish, []), at
                    gone_on_with += continued
                    gateway.app._backends["first"].health.reset()  # type: ignore[attr-defined]
            assert gone_on_with > 10
