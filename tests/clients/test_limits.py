"""Limits as the official SDKs meet them: their own exception, and their own retry when the gateway said to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from homeport.testing.backend import ScriptedBackend
from tests.gateway import Running
from tests.journeys.test_limits import limited

ASKED: Any = [{"role": "user", "content": "hi"}]
A_MINUTE = 30  # a minute's worth: one more after 2 s


@pytest.fixture
def spent(tmp_path: Path) -> Iterator[tuple[Running, ScriptedBackend]]:
    """A gateway whose minute's worth was just used up."""
    with limited(tmp_path, f"[limits]\nrequests_per_minute = {A_MINUTE}\n") as (gateway, backend):
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            for _ in range(A_MINUTE):
                client.chat.completions.create(model="assistant", messages=ASKED)
            while True:  # what came back meanwhile, on a slow machine
                try:
                    client.chat.completions.create(model="assistant", messages=ASKED)
                except openai.RateLimitError:
                    break
        yield gateway, backend


@pytest.mark.slow
def test_openai(spent: tuple[Running, ScriptedBackend]) -> None:
    gateway, backend = spent
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="assistant", messages=ASKED)
    assert caught.value.code == "rate_limit_exceeded"
    assert "requests_per_minute" in caught.value.message
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 2
    generations, began = backend.generations, time.monotonic()
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=1) as client:  # one retry is enough, for it waits as long as it was told
        answer = client.chat.completions.create(model="assistant", messages=ASKED)
    assert answer.choices[0].message.content == "one two three"
    assert backend.generations == generations + 1
    assert time.monotonic() - began > 0.5


def test_anthropic(spent: tuple[Running, ScriptedBackend]) -> None:
    gateway, _ = spent
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        with pytest.raises(anthropic.RateLimitError) as caught:
            client.messages.create(model="assistant", max_tokens=9, messages=ASKED)
        assert caught.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
