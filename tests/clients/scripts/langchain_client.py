"""LangChain's chat models: ChatOpenAI, ChatAnthropic and ChatOllama, as the second argument says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from told import CUTS, FAULTS, PERSON, TALE, TEXTS, Absent, Target, main, raised

PROVIDER = sys.argv[2]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def weather(city: str) -> str:
    """Weather of a city."""
    return "rain"


def dial(target: Target, model: str = "") -> Any:
    name = model or target.model
    if PROVIDER == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=name, base_url=target.v1, api_key=target.key, max_retries=0, timeout=20)  # type: ignore[arg-type]
    if PROVIDER == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model=name, base_url=target.url, api_key=target.key, max_retries=0, timeout=20, max_tokens=200)  # type: ignore[arg-type,call-arg]
    from langchain_ollama import ChatOllama

    return ChatOllama(model=name, base_url=target.url)


def text(message: Any) -> str:
    """What a message says: a text, or the text of its blocks."""
    return message.content if isinstance(message.content, str) else "".join(block.get("text", "") for block in message.content)


def chat(target: Target) -> None:
    reply = dial(target).invoke("hello")
    assert text(reply) == TALE
    assert reply.usage_metadata["output_tokens"] > 5


def stream(target: Target) -> None:
    target.flowed([text(chunk) for chunk in dial(target).stream("hello")])


def tools(target: Target) -> None:
    model = dial(target).bind_tools([weather])
    whole = model.invoke("[tool]")
    streamed = AIMessageChunk("")
    for chunk in model.stream("[tool]"):
        streamed += chunk
    for reply in (whole, streamed):
        assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("weather", {"city": "Oslo"})]
    result = ToolMessage(weather.invoke(whole.tool_calls[0]["args"]), tool_call_id=whole.tool_calls[0]["id"])
    assert text(model.invoke([HumanMessage("[tool]"), whole, result, HumanMessage("and now?")])) == TALE


def schema(target: Target) -> None:
    model = dial(target).with_structured_output(Person, method="json_schema")
    assert model.invoke("[json]") == Person(**PERSON)


def embeddings(target: Target) -> None:
    if PROVIDER == "anthropic":
        raise Absent("Anthropic has none")
    if PROVIDER == "openai":
        from langchain_openai import OpenAIEmbeddings

        model: Any = OpenAIEmbeddings(model=target.model, base_url=target.v1, api_key=target.key, max_retries=0, check_embedding_ctx_length=False)  # type: ignore[arg-type]
    else:
        from langchain_ollama import OllamaEmbeddings

        model = OllamaEmbeddings(model=target.model, base_url=target.url)
    first, second = model.embed_documents(TEXTS)
    assert len(first) == len(second) > 8 and first != second


def error(target: Target) -> str:
    def ask(kind: str, streamed: bool) -> None:
        name, said = target.fault(kind)
        model = dial(target, name)
        list(model.stream(said)) if streamed else model.invoke(said)

    return raised({f"{kind}{' streamed' * streamed}": partial(ask, kind, streamed) for kind in FAULTS for streamed in (False, True)})


def cut(target: Target) -> str:
    return raised({how: partial(lambda how: list(dial(target).stream(f"[cut:{how}]")), how) for how in CUTS})


def cancel(target: Target) -> None:
    pieces = dial(target).stream("[slow]")
    next(piece for piece in pieces if text(piece))
    assert target.in_flight >= 1
    pieces.close()
    target.gone()
    for streamed in (False, True):
        asyncio.run(cancelled(target, streamed))


async def cancelled(target: Target, streamed: bool) -> None:
    """A task that asks is cancelled while the answer comes."""
    model = dial(target)

    async def ask(came: Callable[[], None]) -> None:
        if not streamed:
            await model.ainvoke("[slow]")
            return
        async for _ in model.astream("[slow]"):
            came()

    await target.cancelled(ask, streamed)


if __name__ == "__main__":
    main({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings, "error": error, "cut": cut, "cancel": cancel})
