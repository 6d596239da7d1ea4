"""A backend of any dialect on a real socket, that answers well or goes wrong at a given token in the way its dialect has for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from msgspec import Struct

from homeport.testing.backend import head
from homeport.testing.exchange import Exchange, HttpLoopback, Seen

How = Literal[
    "close",  # FIN, without what the body's framing promised
    "reset",  # RST
    "half",  # the beginning of the next event, then FIN
    "end",  # the body ends properly, as if all were said
    "error",  # an error in the dialect's form, then the body ends properly
    "error and done",  # the same, and then the dialect's terminal event
    "garbage",  # an event that is not JSON, then the terminal event
    "stall",  # silence until the peer leaves
]
ERRORS: dict[str, bytes] = {
    "openai": b'data: {"error":{"message":"EngineCore encountered an issue","type":"InternalServerError","param":null,"code":500}}\n\n',
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    "ollama": b'{"error":"an error was encountered while running the model: unexpected EOF"}\n',
}
GARBAGE: dict[str, bytes] = {"openai": b"data: {not json\n\n", "anthropic": b"event: ping\ndata: {not json\n\n", "ollama": b"{not json\n"}
KINDS = {"openai": "text/event-stream", "anthropic": "text/event-stream; charset=utf-8", "ollama": "application/x-ndjson"}


class Goes(Struct, frozen=True, kw_only=True):
    """How one answer goes. `at` is so many tokens in; -1 is before the head, and there `status` may stand in for it."""

    text: str = "all is well"
    at: int | None = None
    how: How = "close"
    status: int = 200
    body: bytes | None = None  # with a status: instead of the dialect's own error
    pause_s: float = 0.02  # before the fault, so that what stands before it has been read
    usage: tuple[int, int] = (3, 4)
    stream: bytes | None = None  # exactly this stream, whatever was asked
    document: bytes | None = None  # exactly this document

    @property
    def tokens(self) -> list[str]:
        """The text in pieces."""
        first, *rest = self.text.split(" ")
        return [first, *(f" {word}" for word in rest)]


class Engine(HttpLoopback):
    """Answers every POST as `goes` says, in its dialect; embeddings and counts of tokens always well."""

    def __init__(self, dialect: str, goes: Goes | None = None, port: int = 0) -> None:
        super().__init__(port)
        self.dialect = dialect
        self.goes = goes or Goes()
        self.asks: list[Seen] = []

    async def answer(self, exchange: Exchange) -> None:
        seen, goes = exchange.seen, self.goes
        if seen.method != "POST":
            listed = {"models": [{"name": "m", "model": "m"}], "data": [{"id": "m", "type": "model"}]}
            await self._document(exchange, 200, json.dumps(listed).encode())
            return
        self.asks.append(seen)
        if not isinstance(seen.fields, dict):
            await self._document(exchange, 400, refusal(self.dialect, 400))
            return
        asked = seen.fields.get("prompt" if seen.path == "/api/generate" else "messages")
        if self.dialect == "ollama" and "embed" not in seen.path and not asked:  # no question: it only loads its model
            await self._document(exchange, 200, ollama(seen.path, "", done_reason="load"))
        elif "embed" in seen.path or "count" in seen.path:
            await self._document(exchange, 200, counted(seen))
        elif goes.status != 200:
            await self._document(exchange, goes.status, goes.body if goes.body is not None else refusal(self.dialect, goes.status))
        elif goes.stream is not None:
            start = head(seen, 200, [("content-type", KINDS[self.dialect])], None, True)
            await exchange.send(start + chunk(goes.stream) + b"0\r\n\r\n")
        elif goes.document is not None:
            await self._document(exchange, 200, goes.document)
        elif goes.at == -1:
            await self._fail(exchange, goes, b"", b"")
        elif streams(self.dialect, seen.fields):
            await self._stream(exchange, goes)
        else:
            await self._whole(exchange, goes)

    async def _stream(self, exchange: Exchange, goes: Goes) -> None:
        opening, tokens, closing = events(self.dialect, exchange.seen.path, goes)
        await exchange.send(head(exchange.seen, 200, [("content-type", KINDS[self.dialect])], None, True))
        await exchange.send(chunk(opening))
        for number, token in enumerate([*tokens, closing]):
            if number == goes.at:
                await self._fail(exchange, goes, token, closing)
                return
            await exchange.send(chunk(token))
        await exchange.send(b"0\r\n\r\n")

    async def _whole(self, exchange: Exchange, goes: Goes) -> None:
        body = whole(self.dialect, exchange.seen.path, goes)
        if goes.at is None:
            await self._document(exchange, 200, body)
        elif goes.how in ("error", "error and done", "end"):
            await self._document(exchange, 200 if goes.how == "end" else 500, b"[]" if goes.how == "end" else refusal(self.dialect, 500))
        elif goes.how == "garbage":
            await self._document(exchange, 200, GARBAGE[self.dialect])
        else:
            await exchange.send(head(exchange.seen, 200, [("content-type", "application/json")], len(body)) + body[: len(body) // 2])
            await self._fail(exchange, goes, b"", b"")

    async def _fail(self, exchange: Exchange, goes: Goes, token: bytes, closing: bytes) -> None:
        await asyncio.sleep(goes.pause_s if goes.at is not None and goes.at > 0 else 0)
        if goes.how == "reset":
            exchange.reset()
            return
        if goes.how == "stall":
            await exchange.silence()
        if goes.how in ("close", "half"):
            if goes.how == "half":
                await exchange.send(chunk(token[: len(token) // 2]))
            exchange.close()
            return
        last = {"error": ERRORS[self.dialect], "error and done": ERRORS[self.dialect] + closing, "garbage": GARBAGE[self.dialect] + closing}.get(goes.how, b"")
        await exchange.send(chunk(last) + b"0\r\n\r\n")

    async def _document(self, exchange: Exchange, status: int, body: bytes) -> None:
        await exchange.send(head(exchange.seen, status, [("content-type", "application/json")], len(body)) + body)


def streams(dialect: str, fields: Any) -> bool:
    """Whether a request of this dialect asks for a stream."""
    return bool(fields.get("stream", dialect == "ollama"))


def chunk(data: bytes) -> bytes:
    """Bytes as one chunk of HTTP; an empty one would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def events(dialect: str, path: str, goes: Goes) -> tuple[bytes, list[bytes], bytes]:
    """The stream of an answer: what comes before its first token, each token, and all that comes after them."""
    prompt, made = goes.usage
    if dialect == "ollama":
        text, done = [ollama(path, token) for token in goes.tokens], ollama(path, "", done_reason="stop", prompt_eval_count=prompt, eval_count=made)
        return b"", text, done
    if dialect == "openai":
        counts = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
        end = openai(path, None, finish="stop") + data({"id": "c", "object": "x", "created": 1, "model": "m", "choices": [], "usage": counts})
        return openai(path, ""), [openai(path, token) for token in goes.tokens], end + b"data: [DONE]\n\n"
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": prompt, "output_tokens": 0}}
    opening = named("message_start", message=message) + named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    said = [named("content_block_delta", index=0, delta={"type": "text_delta", "text": token}) for token in goes.tokens]
    stop = named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": made})
    return opening, said, named("content_block_stop", index=0) + stop + named("message_stop")


def whole(dialect: str, path: str, goes: Goes) -> bytes:
    """The same answer as one document."""
    prompt, made = goes.usage
    if dialect == "ollama":
        return ollama(path, goes.text, done_reason="stop", prompt_eval_count=prompt, eval_count=made)
    said: dict[str, Any] = {"id": "c", "model": "m"}
    if dialect == "openai":
        choice = {"text": goes.text} if path == "/v1/completions" else {"message": {"role": "assistant", "content": goes.text}}
        said |= {"object": "x", "created": 1, "choices": [{"index": 0, **choice, "finish_reason": "stop"}]}
        said["usage"] = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
    else:
        said |= {"type": "message", "role": "assistant", "content": [{"type": "text", "text": goes.text}], "stop_reason": "end_turn", "stop_sequence": None}
        said["usage"] = {"input_tokens": prompt, "output_tokens": made}
    return json.dumps(said).encode()


def counted(seen: Seen) -> bytes:
    """Embeddings, of as many texts as were sent, or a count of tokens."""
    given = seen.fields.get("input")
    vectors = [[0.5, -0.25] for _ in (given if isinstance(given, list) else [given])]
    if seen.path == "/v1/embeddings":
        rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        return json.dumps({"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()
    if seen.path == "/api/embed":
        return json.dumps({"model": "m", "embeddings": vectors, "prompt_eval_count": 2}).encode()
    return json.dumps({"embedding": vectors[0]} if seen.path == "/api/embeddings" else {"input_tokens": 7}).encode()


def refusal(dialect: str, status: int) -> bytes:
    """A refusal in the dialect's envelope."""
    if dialect == "ollama":
        return json.dumps({"error": "it went wrong"}).encode()
    if dialect == "openai":
        return json.dumps({"error": {"message": "it went wrong", "type": "server_error", "param": None, "code": status}}).encode()
    kind = {529: "overloaded_error", 429: "rate_limit_error", 500: "api_error"}.get(status, "api_error")
    return json.dumps({"type": "error", "error": {"type": kind, "message": "it went wrong"}, "request_id": "r"}).encode()


def data(document: dict[str, Any]) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def named(kind: str, **fields: Any) -> bytes:
    """An event of Anthropic's."""
    return f"event: {kind}\n".encode() + data({"type": kind, **fields})


def openai(path: str, token: str | None, *, finish: str | None = None) -> bytes:
    """A chunk of a chat or of a completion."""
    said: dict[str, Any] = {"text": token or ""} if path == "/v1/completions" else {"delta": {} if token is None else {"content": token}}
    kind = "text_completion" if path == "/v1/completions" else "chat.completion.chunk"
    return data({"id": "c", "object": kind, "created": 1, "model": "m", "choices": [{"index": 0, **said, "finish_reason": finish}]})


def ollama(path: str, token: str, **last: Any) -> bytes:
    """A record of a chat or of a generated text."""
    said: dict[str, Any] = {"response": token} if path == "/api/generate" else {"message": {"role": "assistant", "content": token}}
    return json.dumps({"model": "m", "created_at": "2026-11-20T17:29:53Z", **said, "done": bool(last), **last}).encode() + b"\n"
