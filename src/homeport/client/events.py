"""Streams as callers take them: events one by one, and an exception where the last one is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

import httpx2

from homeport.client.answer import Answer, read
from homeport.client.failure import Cut, broken_off

MAX_LINE = 64 * 1024 * 1024  # bytes of one unfinished line
LAST = {"message_stop", "response.completed", "response.incomplete", "response.failed"}  # `type` of Anthropic's and Responses' last event
NAMED_LAST = {"result"}  # `event:` of a task's last


class Reader:
    """Bytes as they come → events. Knows server-sent events (WHATWG HTML) and lines of JSON, and the last event of each dialect.

    What comes as one JSON document although a stream was asked is one event, and the last.
    """

    def __init__(self, content_type: str) -> None:
        self.over = False  # the last event was seen
        kind = content_type.partition(";")[0].strip()
        self._lines_of_json = kind.endswith("ndjson")
        self._document = kind == "application/json"
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Answer]:
        """The events that are whole now; what stands before an error is given before it is raised. Raises Cut for an error, and for what is no JSON."""
        if self._document:
            self._rest += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = self._json(line) if self._lines_of_json else self._line(line.removesuffix(b"\r"))
            if event is not None and not self.over:
                self.over = self._is_last(event)
                yield event
            if not line.strip():
                self._name = ""
        if len(self._rest) > MAX_LINE:
            raise Cut("an event without an end; the answer is not complete")

    def end(self) -> Iterator[Answer]:
        """What is whole only now that no more comes. Raises Cut where the last event is missing."""
        if self._document:
            event = self._json(self._rest)
            if event is not None:
                self.over = True
                yield event
        if not self.over:
            raise cut()

    def _line(self, line: bytes) -> Answer | None:
        """One line of server-sent events; the event that it ends, if any."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            if data != b"[DONE]":
                return self._json(data)
            self.over = True
        return None

    def _json(self, data: bytes) -> Answer | None:
        if not data.strip():
            return None
        try:
            event = read(data)
        except ValueError:
            event = None
        if not isinstance(event, Answer):
            raise Cut("the stream holds what is no JSON object; the answer is not complete")
        if event.get("error") or event.get("type") == "error" or self._name == "error":
            raise broken_off(event)
        return event

    def _is_last(self, event: Answer) -> bool:
        return event.get("type") in LAST or event.get("done") is True or self._name in NAMED_LAST


class Stream:
    """The events of one answer. Iterate over it, or over `texts()`; leave it early with `close()` or a `with` block, which stops the model.

    Raises Cut where the answer ends before its end: with an error, without its last event, or with the connection.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.headers = response.headers
        self._response = response
        self._events = _events(response)

    def __iter__(self) -> Iterator[Answer]:
        return self._events

    def __next__(self) -> Answer:
        return next(self._events)

    def texts(self) -> Iterator[str]:
        """The text alone, as it comes."""
        return (event.text for event in self._events if event.text)

    def close(self) -> None:
        """End it."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncStream:
    """What `Stream` is, for asyncio: `async for`, `async with`, `aclose()`."""

    def __init__(self, response: httpx2.Response) -> None:
        self.headers = response.headers
        self._response = response
        self._events = _events_async(response)

    def __aiter__(self) -> AsyncIterator[Answer]:
        return self._events

    async def __anext__(self) -> Answer:
        return await anext(self._events)

    async def texts(self) -> AsyncIterator[str]:
        """The text alone, as it comes."""
        async for event in self._events:
            if event.text:
                yield event.text

    async def aclose(self) -> None:
        """End it."""
        await self._response.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


def _events(response: httpx2.Response) -> Iterator[Answer]:
    """The events of a response. Holds no Stream, so that one that is dropped ends at once."""
    reader = Reader(response.headers.get("content-type", ""))
    try:
        for data in response.iter_bytes():  # on to its end, which keeps the connection for the next request
            yield from reader.feed(data)
        yield from reader.end()
    except httpx2.TransportError as error:
        if not reader.over:
            raise cut(error) from error
    finally:
        response.close()


async def _events_async(response: httpx2.Response) -> AsyncIterator[Answer]:
    reader = Reader(response.headers.get("content-type", ""))
    try:
        async for data in response.aiter_bytes():
            for event in reader.feed(data):
                yield event
        for event in reader.end():
            yield event
    except httpx2.TransportError as error:
        if not reader.over:
            raise cut(error) from error
    finally:
        await response.aclose()


def cut(error: Any = None) -> Cut:
    """The exception for a stream that ended before its end."""
    return Cut(f"the answer broke off ({error}); it is not complete" if error else "the answer ended without its last event; it is not complete")
