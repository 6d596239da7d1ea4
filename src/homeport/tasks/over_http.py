"""A gateway over HTTP as tasks ask it (port Asker): for asyncio, and for callers that wait."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from homeport.client import AsyncClient, Client
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

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Hear | None = None) -> Said:
        headers = replies.headers(errand)
        if hear is None:
            answer = await self._client.post(path, body, headers=headers)
            return replies.whole(answer, answer.headers)
        gathered = replies.Gathered(hear)
        async with await self._client.post(path, {**body, **replies.STREAMED}, stream=True, headers=headers) as stream:
            async for event in stream:
                gathered.take(event)
        return gathered.said(stream.headers)

    async def places(self, model: str, *, fresh: bool = False) -> Sequence[tuple[str | None, str]]:
        status = None if fresh else _known(self._client)
        if status is None:
            status = _keep(self._client, await self._client.get("/status"))
        return replies.places(status, model)


class OverHttpNow:
    """By a Client: what is awaited here never waits for the loop, so `finished` can run it anywhere."""

    blocking = True

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Hear | None = None) -> Said:
        headers = replies.headers(errand)
        if hear is None:
            answer = self._client.post(path, body, headers=headers)
            return replies.whole(answer, answer.headers)
        gathered = replies.Gathered(hear)
        with self._client.post(path, {**body, **replies.STREAMED}, stream=True, headers=headers) as stream:
            for event in stream:
                gathered.take(event)
        return gathered.said(stream.headers)

    async def places(self, model: str, *, fresh: bool = False) -> Sequence[tuple[str | None, str]]:
        status = None if fresh else _known(self._client)
        if status is None:
            status = _keep(self._client, self._client.get("/status"))
        return replies.places(status, model)


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
