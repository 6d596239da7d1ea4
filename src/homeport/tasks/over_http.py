"""A gateway over HTTP as tasks ask it (port Asker): for asyncio, and for callers that wait."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from homeport.client import AsyncClient, Client
from homeport.errors import HomeportError, NoRouteLeft
from homeport.tasks import replies
from homeport.vocabulary import Errand, Said

Hear = Callable[[str], None]
T = TypeVar("T")
STATUS_S = 30.0  # how long it is believed which engines stand behind a name
_STATUS: weakref.WeakKeyDictionary[object, tuple[float, Any]] = weakref.WeakKeyDictionary()


class OverHttp:
    """By an AsyncClient."""

    blocking = False

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._keeping = client.to(())  # for private asks: the gateways that keep to it, once they were looked at

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Hear | None = None) -> Said:
        headers, client = replies.headers(errand), self._keeping if errand.private else self._client
        if hear is None:
            answer = await client.post(path, body, headers=headers)
            return replies.whole(answer, answer.headers)
        gathered = replies.Gathered(hear)
        async with await client.post(path, {**body, **replies.STREAMED}, stream=True, headers=headers) as stream:
            async for event in stream:
                gathered.take(event)
        return gathered.said(stream.headers)

    async def places(self, model: str, *, private: bool = False) -> Sequence[tuple[str | None, str]]:
        if private:
            looks = Looks(model)
            for url in self._client.urls:
                if looks.enough(url, self._client.aside):
                    continue
                try:
                    looks.took(url, await self._client.to([url]).get("/status"))
                except HomeportError as error:
                    looks.failed(error)
            self._keeping = self._client.to(looks.keeping())
            return looks.places
        status = _known(self._client)
        if status is None:
            status = _keep(self._client, await self._client.get("/status"))
        return replies.places(status, model)


class OverHttpNow:
    """By a Client: what is awaited here never waits for the loop, so `finished` can run it anywhere."""

    blocking = True

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keeping = client.to(())  # for private asks: the gateways that keep to it, once they were looked at

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Hear | None = None) -> Said:
        headers, client = replies.headers(errand), self._keeping if errand.private else self._client
        if hear is None:
            answer = client.post(path, body, headers=headers)
            return replies.whole(answer, answer.headers)
        gathered = replies.Gathered(hear)
        with client.post(path, {**body, **replies.STREAMED}, stream=True, headers=headers) as stream:
            for event in stream:
                gathered.take(event)
        return gathered.said(stream.headers)

    async def places(self, model: str, *, private: bool = False) -> Sequence[tuple[str | None, str]]:
        if private:
            looks = Looks(model)
            for url in self._client.urls:
                if looks.enough(url, self._client.aside):
                    continue
                try:
                    looks.took(url, self._client.to([url]).get("/status"))
                except HomeportError as error:
                    looks.failed(error)
            self._keeping = self._client.to(looks.keeping())
            return looks.places
        status = _known(self._client)
        if status is None:
            status = _keep(self._client, self._client.get("/status"))
        return replies.places(status, model)


class Looks:
    """What the gateways of a client say before a private ask: only those that keep it on local backends, and have one, may get it."""

    def __init__(self, model: str) -> None:
        self.places: list[tuple[str | None, str]] = []
        self._model = model
        self._keeping: list[str] = []
        self._strangers: list[str] = []
        self._error: HomeportError | None = None

    def enough(self, url: str, aside: Sequence[str]) -> bool:
        """Whether this one need not be looked at: it did not answer last, and would be waited for again, while another one may get it."""
        return bool(self._keeping) and url in aside

    def took(self, url: str, status: Mapping[str, Any]) -> None:
        """A gateway's `/status`."""
        found = replies.places(status, self._model)
        if not replies.keeps(status):
            self._strangers.append(url)
        elif any(location == "local" for _, location in found):
            self._keeping.append(url)
            self.places += found

    def failed(self, error: HomeportError) -> None:
        """A gateway did not say."""
        self._error = error

    def keeping(self) -> list[str]:
        """Those that may get it; none where all that answer have no local backend for it. Raises HomeportError where none says that it keeps to it."""
        if not self._keeping and self._strangers:
            error = NoRouteLeft(
                f"What answers at {', '.join(self._strangers)} does not say in /status that it keeps private asks on local backends, so it was not asked. "
                "Update that Homeport, or ask one that does."
            )
            error.should_retry = False
            raise error
        if not self._keeping and self._error is not None:
            raise self._error
        return self._keeping


def _known(client: object) -> Any:
    """What a client's gateway said of itself not long ago, or None."""
    found = _STATUS.get(client)
    return found[1] if found is not None and time.monotonic() - found[0] < STATUS_S else None


def _keep(client: object, status: Any) -> Any:
    _STATUS[client] = (time.monotonic(), status)
    return status


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits for a loop. Raises what it raises."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a task that waits for the loop was called as if it did not: await its .aio()")
