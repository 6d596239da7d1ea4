"""The calls of OpenAI's surface, and any other of a gateway's, over several gateways."""

from __future__ import annotations

import copy
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx2

from homeport.client.addresses import Key, Urls
from homeport.client.answer import Answer, read
from homeport.client.attempts import ONLY, Timeouts
from homeport.client.events import Stream, cut
from homeport.client.failure import STRANGER, NoGateway, TimedOut, told
from homeport.client.roster import Roster
from homeport.client.transport import Transport
from homeport.errors import HomeportError

Messages = str | Sequence[Mapping[str, Any]]
Headers = Mapping[str, str] | None

APP = "homeport-client"
RETRIES = 2


class Client:
    """Asks the first of several gateways that answers. Thread-safe; `close()` it, or use it in a `with` block.

        client = homeport.Client(urls=["http://box:8461", "https://vps.example"], key="hp_…")
        client.chat("Where is my parcel?").text

    `urls` and `key` default to $HOMEPORT_URL (several, separated by commas) and $HOMEPORT_KEY, then to 127.0.0.1:8461 without a key. `app` is
    the name in the receipts. While every gateway that lives is busy, all are asked again `retries` times, when they said to. Other
    fields of a request go into its body as they are. What comes back is the JSON of the endpoint as an `Answer`, or with `stream=True`
    its events as a `Stream`.

    Raises BadSettings for an address that is none. Each call raises NoGateway, TimedOut, Cut, or what the gateway said: see `failure`.
    """

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
        self._transport = Transport(urls, key, timeouts=timeouts, retries=retries, context=context)

    @property
    def urls(self) -> list[str]:
        """The gateways in the order in which the next call asks them."""
        return order(self._transport.roster, self._only)

    @property
    def aside(self) -> list[str]:
        """Those of `urls` that did not answer when they were asked last; the others go before them."""
        return [endpoint.url for endpoint in self._transport.roster.order() if not endpoint.trusted and endpoint.url in self.urls]

    def to(self, urls: Iterable[str]) -> Client:
        """The same client, asking only these of its `urls`. Its connections are this one's: it need not be closed. Raises ValueError for others."""
        other = copy.copy(self)
        other._only = among(urls, self.urls)
        return other

    @overload
    def chat(self, messages: Messages, model: str = ..., *, stream: Literal[False] = ..., **fields: Any) -> Answer: ...
    @overload
    def chat(self, messages: Messages, model: str = ..., *, stream: Literal[True], **fields: Any) -> Stream: ...
    @overload
    def chat(self, messages: Messages, model: str = ..., *, stream: bool, **fields: Any) -> Answer | Stream: ...
    def chat(self, messages: Messages, model: str = "default", *, stream: bool = False, **fields: Any) -> Answer | Stream:
        """`/v1/chat/completions`. A text is one message of the user's."""
        return self.post("/v1/chat/completions", chat_body(messages, model, fields), stream=stream)

    @overload
    def complete(self, prompt: str, model: str = ..., *, stream: Literal[False] = ..., **fields: Any) -> Answer: ...
    @overload
    def complete(self, prompt: str, model: str = ..., *, stream: Literal[True], **fields: Any) -> Stream: ...
    @overload
    def complete(self, prompt: str, model: str = ..., *, stream: bool, **fields: Any) -> Answer | Stream: ...
    def complete(self, prompt: str, model: str = "default", *, stream: bool = False, **fields: Any) -> Answer | Stream:
        """`/v1/completions`."""
        return self.post("/v1/completions", {"model": model, "prompt": prompt, **fields}, stream=stream)

    def embed(self, texts: str | Sequence[str], model: str = "default", **fields: Any) -> Answer:
        """`/v1/embeddings`; `.vectors` has the vectors alone."""
        return self.post("/v1/embeddings", embed_body(texts, model, fields))

    def models(self) -> Answer:
        """`/v1/models`; `.data` is the list."""
        return self.get("/v1/models")

    @overload
    def post(self, path: str, json: Mapping[str, Any], *, stream: Literal[False] = ..., headers: Headers = ...) -> Answer: ...
    @overload
    def post(self, path: str, json: Mapping[str, Any], *, stream: Literal[True], headers: Headers = ...) -> Stream: ...
    @overload
    def post(self, path: str, json: Mapping[str, Any], *, stream: bool, headers: Headers = ...) -> Answer | Stream: ...
    def post(self, path: str, json: Mapping[str, Any], *, stream: bool = False, headers: Headers = None) -> Answer | Stream:
        """Any path of the gateway. With `stream` the body gets `"stream": true`; `headers` are sent besides the client's own."""
        response = self._send(post_request(path, json, stream, self._app, headers))
        return Stream(response) if stream and response.status_code == 200 else whole(response, self._body(response))

    def get(self, path: str) -> Answer:
        """Any page of the gateway that is JSON."""
        response = self._send(request("GET", path, None, self._app))
        return whole(response, self._body(response))

    def close(self) -> None:
        """Close the connections that are kept."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        if self._only is not None:
            request.extensions = {**request.extensions, ONLY: self._only}
        try:
            response = self._transport.handle_request(request)
        except httpx2.TransportError as error:
            raise failed(error) from None
        response.request = request
        return response

    def _body(self, response: httpx2.Response) -> bytes:
        try:
            return response.read()
        except httpx2.TransportError as error:
            raise failed(error) from None
        finally:
            response.close()


def chat_body(messages: Messages, model: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a chat."""
    said = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    return {"model": model, "messages": said, **fields}


def embed_body(texts: str | Sequence[str], model: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request for embeddings."""
    return {"model": model, "input": texts if isinstance(texts, str) else list(texts), **fields}


def post_request(path: str, fields: Mapping[str, Any], stream: bool, app: str, also: Headers = None) -> httpx2.Request:
    """A POST; `stream` is put into the body where it is asked for. `also`: headers besides the client's own."""
    return request("POST", path, {**fields, "stream": True} if stream else fields, app, also)


def request(method: str, path: str, fields: Mapping[str, Any] | None, app: str, also: Headers = None) -> httpx2.Request:
    """A request to whatever gateway. Raises TypeError for what JSON cannot hold."""
    headers = {**(also or {}), "accept": "*/*", "user-agent": app}
    if fields is None:
        return httpx2.Request(method, f"http://homeport/{path.lstrip('/')}", headers=headers)
    headers["content-type"] = "application/json"
    return httpx2.Request(method, f"http://homeport/{path.lstrip('/')}", headers=headers, content=json.dumps(fields).encode())


def whole(response: httpx2.Response, body: bytes) -> Answer:
    """The JSON object of an answer. Raises what the gateway said."""
    url = str(response.extensions["homeport_gateway"])
    if response.status_code != 200:
        raise told(response.status_code, body, response.headers, url)
    try:
        value = read(body)
    except ValueError:
        value = None
    if isinstance(value, list):
        value = Answer(data=value)
    if not isinstance(value, Answer):
        raise HomeportError(f"what answers at {url} {STRANGER}")
    return value.with_headers(response.headers)


def failed(error: httpx2.TransportError) -> HomeportError:
    """The transport's exception as one of the client's."""
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(str(error))
    if isinstance(error, httpx2.ConnectError):
        return NoGateway(str(error))
    if isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
        return cut(error)
    return HomeportError(str(error))


def among(urls: Iterable[str], own: Sequence[str]) -> frozenset[str]:
    """Those of a client's addresses. Raises ValueError where one is not."""
    chosen = frozenset([urls] if isinstance(urls, str) else urls)
    if strange := sorted(chosen - set(own)):
        raise ValueError(f"this client asks {', '.join(own) or 'nobody'}, and not {', '.join(strange)}")
    return chosen


def order(roster: Roster, only: frozenset[str] | None = None) -> list[str]:
    """The addresses as they are asked next; of `only` these, where there are any."""
    return [endpoint.url for endpoint in roster.order() if only is None or endpoint.url in only]
