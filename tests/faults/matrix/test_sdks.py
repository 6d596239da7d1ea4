"""Each official SDK under the faults of the matrix: what it returns is the whole answer, and everything else it raises."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest

from tests import figures
from tests.faults.matrix.house import AGAIN, APART, NEXT, WORKERS, House
from tests.faults.matrix.upstream import prompt
from tests.faults.matrix.wires import FIRST, Plan, plans, sampled, wire

SEED = 7
QUICK = 24  # faults of each SDK, streamed and not
RAISED = (openai.OpenAIError, anthropic.AnthropicError, ollama.ResponseError, ollama.RequestError, httpx.HTTPError, httpx2.HTTPError, OSError, ValueError)
Says = Callable[[str, str], Awaitable[str]]  # model and prompt → the text


def asked(text: str) -> Any:
    return [{"role": "user", "content": text}]


def openai_sdk(client: openai.AsyncOpenAI, stream: bool) -> Says:
    async def says(model: str, text: str) -> str:
        if not stream:
            return str((await client.chat.completions.create(model=model, messages=asked(text))).choices[0].message.content)
        events = await client.chat.completions.create(model=model, messages=asked(text), stream=True)
        return "".join([event.choices[0].delta.content or "" async for event in events if event.choices])

    return says


def anthropic_sdk(client: anthropic.AsyncAnthropic, stream: bool) -> Says:
    async def says(model: str, text: str) -> str:
        if not stream:
            return str(getattr((await client.messages.create(model=model, messages=asked(text), max_tokens=99)).content[0], "text", None))
        events = await client.messages.create(model=model, messages=asked(text), max_tokens=99, stream=True)
        return "".join([getattr(event.delta, "text", "") async for event in events if event.type == "content_block_delta"])

    return says


def ollama_sdk(client: ollama.AsyncClient, stream: bool) -> Says:
    async def says(model: str, text: str) -> str:
        if not stream:
            return str((await client.chat(model=model, messages=asked(text))).message.content)
        return "".join([part.message.content or "" async for part in await client.chat(model=model, messages=asked(text), stream=True)])

    return says


async def sdk(name: str, url: str, stream: bool, stack: AsyncExitStack) -> Says:
    if name == "openai":
        return openai_sdk(await stack.enter_async_context(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30)), stream)
    if name == "anthropic":
        return anthropic_sdk(await stack.enter_async_context(anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=30)), stream)
    client = ollama.AsyncClient(host=url, timeout=30)
    stack.push_async_callback(client._client.aclose)
    return ollama_sdk(client, stream)


async def under(house: House, name: str, stream: bool, faults: list[Plan]) -> dict[Plan, str]:
    """What the SDK made of each: "raised", "right", or the text it took for an answer."""
    found: dict[Plan, str] = {}
    met: set[int] = set()
    waiting = iter(enumerate(faults))

    async def work(worker: int, says: Says) -> None:
        for number, plan in waiting:
            for again in range(AGAIN):
                sent = number + again * APART
                house.faulty.plans[sent] = plan
                house.renew(f"faulty{worker}")
                try:
                    text = await says(f"alone{worker}", prompt(sent))
                    found[plan] = "right" if text == FIRST else repr(text)
                except RAISED:
                    found[plan] = "raised"
                if house.faulty.met[sent]:
                    met.add(number)
                    break

    async with AsyncExitStack() as stack:
        says = await sdk(name, house.gateway.url, stream, stack)
        await asyncio.gather(*(work(worker, says) for worker in range(WORKERS)))
    assert len(met) == len(faults), "the rest was never met"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", NEXT)
def test_an_sdk_raises_on_every_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, stream: bool) -> None:
    """The backend speaks the SDK's own dialect, so that its bytes pass through, and nobody else can answer."""
    caplog.set_level(logging.ERROR, logger="homeport")
    one = wire(name, streamed=True)
    faults = plans(one) if figures.THOROUGH else sampled(one, QUICK, SEED)
    with House(tmp_path, name, assemble=True) as house:
        found = asyncio.run(asyncio.wait_for(under(house, name, stream, faults), 550))
    seen = Counter(word if word in ("raised", "right") else "silent" for word in found.values())
    row = f"sdks.{name}.{'stream' if stream else 'whole'}"
    for word in ("raised", "right", "silent"):
        figures.note(f"{row}.{word}", seen[word], seed=SEED)
    assert seen["silent"] == 0, {plan: text for plan, text in found.items() if text not in ("raised", "right")}
    assert seen["raised"] > len(faults) * 0.9
