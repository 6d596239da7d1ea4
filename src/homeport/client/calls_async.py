"""The same calls for asyncio."""

from __future__ import annotations

import copy
import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx2

from homeport.client.addresses import Key, Urls
from homeport.client.answer import Answer
from homeport.client.attempts import ONLY, Timeouts
from homeport.client.calls import APP, RETRIES, Headers, Messages, among, chat_body, embed_body, failed, order, post_request, request, whole
from homeport.client.events import AsyncStream
from homeport.client.transport_async import AsyncTransport


class AsyncClient:
    """What `Client` is, for asyncio: each call is awaited; `aclose()` it, or use it in an `async with` block."""

    def __init__(
        self,
        urls: Urls = None,
        key: Key = None,
        *,
        app: str = APP,
        timeouts: Timeouts | None = None,
        retries: int = RETRIES,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._app = app
        self._only: frozenset[str] | None = None
        self._transport = AsyncTransport(urls, key, timeouts=timeouts, retries=retries, context=context)

    @property
    def urls(self) -> list[str]:
        """The gateways in the order in which the next call asks them."""
        return order(self._transport.roster, self._only)

    @property
    def aside(self) -> list[str]:
        """Those of `urls` that did not answer when they were asked last; the others go before them."""
        return [endpoint.url for endpoint in self._transport.roster.order() if not endpoint.trusted and endpoint.url in self.urls]

    def to(self, urls: Iterable[str]) -> AsyncClient:
        """The same client, asking only these of its `urls`. Its connections are this one's: it need not be closed. Raises ValueError for others."""
        other = copy.copy(self)
        other._only = among(urls, self.urls)
        return other

    @overload
    async def chat(self, messages: Messages, model: str = ..., *, stream: Literal[False] = ..., **fields: Any) -> Answer: ...
    @overload
    async def chat(self, messages: Messages, model: str = ..., *, stream: Literal[True], **fields: Any) -> AsyncStream: ...
    @overload
    async def chat(self, messages: Messages, model: str = ..., *, stream: bool, **fields: Any) -> Answer | AsyncStream: ...
    async def chat(self, messages: Messages, model: str = "default", *, stream: bool = False, **fields: Any) -> Answer | AsyncStream:
        """`/v1/chat/completions`. A text is one message of the user's."""
        return await self.post("/v1/chat/completions", chat_body(messages, model, fields), stream=stream)

    @overload
    async def complete(self, prompt: str, model: str = ..., *, stream: Literal[False] = ..., **fields: Any) -> Answer: ...
    @overload
    async def complete(self, prompt: str, model: str = ..., *, stream: Literal[True], **fields: Any) -> AsyncStream: ...
    @overload
    async def complete(self, prompt: str, model: str = ..., *, stream: bool, **fields: Any) -> Answer | AsyncStream: ...
    async def complete(self, prompt: str, model: str = "default", *, stream: bool = False, **fields: Any) -> Answer | AsyncStream:
        """`/v1/completions`."""
        return await self.post("/v1/completions", {"model": model, "prompt": prompt, **fields}, stream=stream)

    async def embed(self, texts: str | Sequence[str], model: str = "default", **fields: Any) -> Answer:
        """`/v1/embeddings`; `.vectors` has the vectors alone."""
        return await self.post("/v1/embeddings", embed_body(texts, model, fields))

    async def models(self) -> Answer:
        """`/v1/models`; `.data` is the list."""
        return await self.get("/v1/models")

    @overload
    async def post(self, path: str, json: Mapping[str, Any], *, stream: Literal[False] = ..., headers: Headers = ...) -> Answer: ...
    @overload
    async def post(self, path: str, json: Mapping[str, Any], *, stream: Literal[True], headers: Headers = ...) -> AsyncStream: ...
    @overload
    async def post(self, path: str, json: Mapping[str, Any], *, stream: bool, headers: Headers = ...) -> Answer | AsyncStream: ...
    async def post(self, path: str, json: Mapping[str, Any], *, stream: bool = False, headers: Headers = None) -> Answer | AsyncStream:
        """Any path of the gateway. With `stream` the body gets `"stream": true`; `headers` are sent besides the client's own."""
        response = await self._send(post_request(path, json, stream, self._app, headers))
        return AsyncStream(response) if stream and response.status_code == 200 else whole(response, await self._body(response))

    async def get(self, path: str) -> Answer:
        """Any page of the gateway that is JSON."""
        response = await self._send(request("GET", path, None, self._app))
        return whole(response, await self._body(response))

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        if self._only is not None:
            request.extensions = {**request.extensions, ONLY: self._only}
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.TransportError as error:
            raise failed(error) from None
        response.request = request
        return response

    async def _body(self, response: httpx2.Response) -> bytes:
        try:
            return await response.aread()
        except httpx2.TransportError as error:
            raise failed(error) from None
        finally:
            await response.aclose()
