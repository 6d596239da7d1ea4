"""The official SDKs of OpenAI and Anthropic over several gateways, by `homeport.client.Transport`, with httpx2 and with the older httpx."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

import homeport
from homeport.client import AsyncTransport, Transport
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Bytes, Fault, Point, Refuse
from tests.clients.pair import QUICK, TEXT, Pair, beside, gateways
from tests.gateway import soon

ASKED: Any = [{"role": "user", "content": "hi"}]
libraries = pytest.mark.parametrize("library", [httpx2, httpx], ids=["httpx2", "httpx"])
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
MESSAGE: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": TEXT}]}
MESSAGE |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 8}}


def openai_says(urls: list[str], library: ModuleType, stream: bool, seen: list[str] | None = None, **more: Any) -> str:
    """One chat by the OpenAI SDK."""
    pieces = seen if seen is not None else []
    http = library.Client(transport=Transport(urls, timeouts=QUICK))
    with openai.OpenAI(base_url="http://homeport/v1", api_key="none", http_client=http, **{"max_retries": 0, **more}) as client:
        if not stream:
            return str(client.chat.completions.create(model="assistant", messages=ASKED).choices[0].message.content)
        with client.chat.completions.create(model="assistant", messages=ASKED, stream=True) as events:
            for event in events:
                pieces.append(event.choices[0].delta.content or "" if event.choices else "")
    return "".join(pieces)


def openai_says_async(urls: list[str], library: ModuleType, stream: bool, seen: list[str] | None = None, **more: Any) -> str:
    """The same by its async client."""
    pieces = seen if seen is not None else []

    async def go() -> str:
        http = library.AsyncClient(transport=AsyncTransport(urls, timeouts=QUICK))
        async with openai.AsyncOpenAI(base_url="http://homeport/v1", api_key="none", http_client=http, **{"max_retries": 0, **more}) as client:
            if not stream:
                return str((await client.chat.completions.create(model="assistant", messages=ASKED)).choices[0].message.content)
            async with await client.chat.completions.create(model="assistant", messages=ASKED, stream=True) as events:
                async for event in events:
                    pieces.append(event.choices[0].delta.content or "" if event.choices else "")
        return "".join(pieces)

    return asyncio.run(asyncio.wait_for(go(), 30))


both = pytest.mark.parametrize("says", [openai_says, openai_says_async], ids=["sync", "async"])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with gateways(tmp_path) as found:
        yield found


@pytest.fixture
def servers() -> Iterator[tuple[ScriptedBackend, ScriptedBackend]]:
    with ScriptedBackend() as first, ScriptedBackend(TEXT) as second:
        yield first, second


@both
@libraries
def test_openai_while_a_gateway_dies(pair: Pair, says: Any, library: ModuleType) -> None:
    assert says(pair.urls, library, False) == says(pair.urls, library, True) == TEXT
    pair.backend.script.append(Answer(text="wrong words", prefill_s=30))
    with beside(lambda: says(pair.urls, library, False)) as call:
        assert pair.backend.until(lambda: pair.backend.generations == 3)
        pair.first.end(signal.SIGKILL)
        assert call.result(10) == TEXT
    assert says(pair.urls, library, True) == TEXT
    pair.backend.default = Answer(text=TEXT, delay_s=0.1)
    seen: list[str] = []
    with beside(lambda: says(pair.urls, library, True, seen)) as call:
        assert soon(lambda: len(seen) > 3)
        pair.second.end(signal.SIGKILL)
        with pytest.raises(openai.APIConnectionError):
            call.result(10)
    assert TEXT.startswith("".join(seen)) and "".join(seen) != TEXT
    with pytest.raises(openai.APIConnectionError) as caught:
        says(pair.urls, library, False)
    assert "Start one: homeport up" in str(caught.value.__cause__)


@both
@libraries
@streamed
def test_openai_while_a_gateway_stands_still(pair: Pair, says: Any, library: ModuleType, stream: bool) -> None:
    pair.backend.script.append(Answer(text="wrong words", prefill_s=30))
    with beside(lambda: says(pair.urls, library, stream)) as call:
        assert pair.backend.until(lambda: pair.backend.generations == 1)
        pair.stop(pair.first)
        assert call.result(10) == TEXT


@both
@libraries
def test_openai_sees_the_refusal_of_the_last(servers: tuple[ScriptedBackend, ScriptedBackend], says: Any, library: ModuleType) -> None:
    servers[0].default = Refuse(status=503, headers=(("retry-after", "7"),))
    servers[1].default = Refuse(status=503, headers=(("retry-after", "4"),))
    urls = [server.url for server in servers]
    with pytest.raises(openai.InternalServerError, match="refused by script") as caught:
        says(urls, library, False)
    assert caught.value.response.headers["retry-after"] == "4"
    servers[1].default = Refuse(status=400)
    with pytest.raises(openai.BadRequestError):
        says(urls, library, True)


@both
@libraries
def test_the_sdks_own_timeout_is_obeyed_and_asks_nobody_else(servers: tuple[ScriptedBackend, ScriptedBackend], says: Any, library: ModuleType) -> None:
    servers[0].default = Answer(prefill_s=30)
    with pytest.raises(openai.APITimeoutError):
        says([server.url for server in servers], library, False, timeout=0.6)
    assert [server.generations for server in servers] == [1, 0]
    assert servers[0].until(lambda: servers[0].in_flight == 0, 1.0)


@libraries
def test_the_key_of_the_transport_replaces_the_sdks(servers: tuple[ScriptedBackend, ScriptedBackend], library: ModuleType) -> None:
    _, server = servers
    for key in (None, "hp_1"):
        http = library.Client(transport=Transport(server.url, key), headers={"x-api-key": "older"})  # where Anthropic's SDK had it before
        with openai.OpenAI(base_url="http://homeport/v1", api_key="sdk", http_client=http) as client:
            client.chat.completions.create(model="m", messages=ASKED)
    sent = [(ask.headers["authorization"], ask.headers.get("x-api-key")) for ask in server.asks]
    assert sent == [("Bearer sdk", "older"), ("Bearer hp_1", None)]
    assert server.asks[0].headers["host"] == server.address


def messages(stream: bool, upto: int | None = None) -> Bytes:
    """`/v1/messages` as a gateway answers it: whole, or as events of which only so many bytes come."""
    if not stream:
        body = json.dumps(MESSAGE).encode()
        return Bytes(data=f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body[:upto])
    usage = {"input_tokens": 1, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": usage}}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    events += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}} for word in TEXT.split()]
    events.append({"type": "content_block_stop", "index": 0})
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 8}})
    events.append({"type": "message_stop"})
    body = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)
    return Bytes(
        data=f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body[:upto], cut_into=700, pause_s=0.01
    )


def anthropic_says(urls: list[str], stream: bool, seen: list[str] | None = None) -> str:
    """One message by the Anthropic SDK."""
    pieces = seen if seen is not None else []
    http = httpx2.Client(transport=Transport(urls, "hp_1", timeouts=QUICK))
    with anthropic.Anthropic(base_url="http://homeport", api_key="none", http_client=http, max_retries=0) as client:
        if not stream:
            return str(getattr(client.messages.create(model="m", max_tokens=9, messages=ASKED).content[0], "text", None))
        with client.messages.stream(model="m", max_tokens=9, messages=ASKED) as events:
            pieces.extend(events.text_stream)
    return "".join(pieces).strip()


def anthropic_says_async(urls: list[str], stream: bool, seen: list[str] | None = None) -> str:
    """The same by its async client."""
    pieces = seen if seen is not None else []

    async def go() -> str:
        http = httpx2.AsyncClient(transport=AsyncTransport(urls, "hp_1", timeouts=QUICK))
        async with anthropic.AsyncAnthropic(base_url="http://homeport", api_key="none", http_client=http, max_retries=0) as client:
            if not stream:
                return str(getattr((await client.messages.create(model="m", max_tokens=9, messages=ASKED)).content[0], "text", None))
            async with client.messages.stream(model="m", max_tokens=9, messages=ASKED) as events:
                pieces.extend([text async for text in events.text_stream])
        return "".join(pieces).strip()

    return asyncio.run(asyncio.wait_for(go(), 30))


both_anthropic = pytest.mark.parametrize("says", [anthropic_says, anthropic_says_async], ids=["sync", "async"])


@both_anthropic
@streamed
def test_anthropic_over_two_gateways(servers: tuple[ScriptedBackend, ScriptedBackend], says: Any, stream: bool) -> None:
    first, second = servers
    second.pages["/v1/messages"] = messages(stream)
    urls = [server.url for server in servers]
    refusal = {"type": "error", "error": {"type": "api_error", "message": "later"}}
    for failure in (Refuse(status=503, body=json.dumps(refusal).encode()), Bytes(data=b""), messages(stream, 0)):
        first.pages["/v1/messages"] = failure
        assert says(urls, stream) == TEXT
    assert second.requests[0].headers["authorization"] == "Bearer hp_1"
    refusal["error"]["type"] = "not_found_error"  # type: ignore[index]
    first.pages["/v1/messages"] = Refuse(status=404, body=json.dumps(refusal).encode())
    with pytest.raises(anthropic.NotFoundError):
        says(urls, stream)


@both_anthropic
def test_anthropic_in_the_middle_of_a_stream(servers: tuple[ScriptedBackend, ScriptedBackend], says: Any) -> None:
    first, second = servers
    first.pages["/v1/messages"] = messages(True, 1500)
    second.pages["/v1/messages"] = messages(True)
    seen: list[str] = []
    with pytest.raises((anthropic.APIError, httpx2.TransportError)):
        says([first.url, second.url], True, seen)
    assert second.requests == []


def test_plain_httpx_clients(servers: tuple[ScriptedBackend, ScriptedBackend]) -> None:
    first, second = servers
    first.default = Answer(fault=Fault(Point.REQUEST, "reset"))
    for library in (httpx2, httpx):
        transport = homeport.client.Transport([first.url, second.url + "/v1"], timeouts=QUICK)
        with library.Client(transport=transport, base_url="http://any", timeout=None) as client:
            answer = client.post("/v1/chat/completions", content=iter([b'{"messages":', b"[]}"]))  # a body that can be read once only
            assert answer.json()["choices"][0]["message"]["content"] == TEXT
            assert answer.extensions["homeport_gateway"] == second.url
            assert isinstance(answer, library.Response)
    with pytest.raises(TypeError, match="a request of httpx2 or httpx is needed"):
        transport.handle_request(object())  # type: ignore[arg-type]
