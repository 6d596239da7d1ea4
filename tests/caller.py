"""A caller on a raw socket: sends exactly the bytes it is given and tells exactly what came back, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

CHAT = "/v1/chat/completions"


def chat(text: str = "hi", *, model: str = "assistant", **fields: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@dataclass
class Heard:
    """One response, byte for byte."""

    status: int = 0  # 0: the connection ended before a status line
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""  # without the chunked framing
    end: str = "aborted"  # complete: as its framing says; aborted: FIN before that; reset: RST
    pieces: list[tuple[float, bytes]] = field(default_factory=list)  # perf_counter seconds, a read's worth of body
    began: float = 0.0
    done: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal."""
        error: dict[str, Any] = self.json["error"]
        return error

    @property
    def data(self) -> list[str]:
        """The data of each server-sent event; an event that was cut short is left out."""
        whole = self.body.decode("utf-8", "replace").rpartition("\n\n")[0]
        return [row[5:].removeprefix(" ") for event in whole.split("\n\n") for row in event.split("\n") if row.startswith("data:")]

    @property
    def events(self) -> list[Any]:
        """The events that are JSON objects; what is no JSON is passed over."""
        found = []
        for data in self.data:
            with contextlib.suppress(json.JSONDecodeError):
                found += [event] if isinstance(event := json.loads(data), dict) else []
        return found

    @property
    def text(self) -> str:
        """All text that was said, streamed or whole, chat or completion, of the first choice."""
        documents = self.events if "event-stream" in self.headers.get("content-type", "") else [self.json]
        choices = [choice for document in documents for choice in document.get("choices", []) if choice["index"] == 0]
        return "".join((choice.get("delta") or choice.get("message") or choice).get("content") or choice.get("text") or "" for choice in choices)

    @property
    def finish(self) -> str | None:
        """The finish_reason, or None where none came."""
        documents = self.events if "event-stream" in self.headers.get("content-type", "") else [self.json]
        reasons = [choice["finish_reason"] for document in documents for choice in document.get("choices", []) if choice.get("finish_reason")]
        return reasons[-1] if reasons else None

    @property
    def errors(self) -> list[Any]:
        """The error objects in a stream."""
        return [event["error"] for event in self.events if "error" in event]

    @property
    def finished(self) -> bool:
        """A client that trusts this stream would take it for a complete answer."""
        return self.end == "complete" and not self.errors and "[DONE]" in self.data


def request_bytes(body: Any = None, *, method: str = "POST", path: str = CHAT, host: str = "127.0.0.1", headers: dict[str, str] | None = None) -> bytes:
    """A request; `body` is JSON unless it is bytes."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    rows = {"host": host, **({"content-type": "application/json", "content-length": str(len(data))} if body is not None else {}), **(headers or {})}
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in rows.items()) + "\r\n").encode("latin-1") + data


class Caller:
    """One connection: `async with Caller(url) as caller: heard = await caller.ask(chat())`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24)
        self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def leave(self, *, reset: bool = False) -> None:
        """Hang up: FIN, or RST."""
        if reset and not self.writer.transport.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def ask(self, body: Any = None, **options: Any) -> Heard:
        """Send one request and hear its response to the end."""
        await self.send(request_bytes(body, **options))
        return await self.hear()

    async def hear(self) -> Heard:
        """One response, to its end."""
        heard = Heard(began=time.perf_counter())
        try:
            await self._hear(heard)
        except (asyncio.IncompleteReadError, EOFError):
            heard.end = "aborted"
        except ConnectionError:
            heard.end = "reset"
        heard.done = time.perf_counter()
        return heard

    async def head(self, heard: Heard) -> None:
        """Read a status line and headers into `heard`."""
        block = await self.reader.readuntil(b"\r\n\r\n")
        line, *rows = block.decode("latin-1").split("\r\n")
        heard.status = int(line.split(" ")[1])
        heard.headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows if row)}

    async def _hear(self, heard: Heard) -> None:
        await self.head(heard)
        while heard.status == 100:
            await self.head(heard)
        if "chunked" in heard.headers.get("transfer-encoding", ""):
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._take(heard, size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
        elif "content-length" in heard.headers:
            await self._take(heard, int(heard.headers["content-length"]))
        elif heard.status not in (204, 304):
            while data := await self.reader.read(65536):
                self._keep(heard, data)
        heard.end = "complete"

    async def _take(self, heard: Heard, size: int) -> None:
        while size:
            data = await self.reader.read(min(size, 65536))
            if not data:
                raise EOFError
            self._keep(heard, data)
            size -= len(data)

    def _keep(self, heard: Heard, data: bytes) -> None:
        heard.pieces.append((time.perf_counter(), data))
        heard.body += data


async def ask(url: str, body: Any = None, **options: Any) -> Heard:
    """One request on a connection of its own."""
    async with Caller(url) as caller:
        return await caller.ask(body, **options)


def asked(url: str, body: Any = None, **options: Any) -> Heard:
    """`ask` for tests that are not coroutines; 30 s at most."""
    return asyncio.run(asyncio.wait_for(ask(url, body, **options), 30))
