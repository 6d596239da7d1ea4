"""A backend in its own process can be stopped, continued, killed and started again on its port."""

from __future__ import annotations

import asyncio

import pytest

from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer
from tests.caller import ask, asked, chat


def test_stopped_continued_killed_and_back() -> None:
    with BackendProcess(Setup(style="vllm", answer=Answer(text="from afar"))) as backend:
        assert asked(backend.url, chat(stream=True)).text == "from afar"
        backend.stop()
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(ask(backend.url, chat()), 0.1))
        backend.go_on()
        assert backend.counters()["generations"] >= 1
        backend.kill()
        with pytest.raises(ConnectionRefusedError):
            asked(backend.url, chat())
        backend.restart()
        assert asked(backend.url, chat()).text == "from afar"
