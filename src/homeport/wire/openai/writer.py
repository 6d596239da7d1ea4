"""Answers of any backend as OpenAI's replies: streams, wholes, embeddings."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import CHAT, NOTHING, Ask, Usage
from homeport.wire.normal import Answer, CallPiece, Piece, Vectors
from homeport.wire.openai.stream import DONE

_encode = msgspec.json.Encoder().encode


class Writer:
    """Writes Pieces as OpenAI's chunks: `chat.completion.chunk`, or `text_completion` where a completion was asked."""

    __slots__ = ("_after", "_ask", "_before", "_begun", "_calls", "_chat", "_finish", "_head", "_stopped_by")

    def __init__(self, ask: Ask, created: int) -> None:
        self._ask = ask
        self._chat = ask.surface is CHAT
        self._head = head = _head(ask, created, "chat.completion.chunk" if self._chat else "text_completion")
        told = '"delta":{"content":%s},"logprobs":null' if self._chat else '"text":%s,"logprobs":null'
        before, _, after = told.partition("%s")
        opening = _encode(head)[:-1] + b',"choices":[{"index":0,'
        self._before = b"data: " + opening + before.encode()  # all but the text is the same in every chunk
        self._after = after.encode() + b',"finish_reason":null}]}\n\n'
        self._begun = False
        self._calls: set[int] = set()  # those whose first piece was written
        self._finish: str | None = None
        self._stopped_by: str | None = None

    def write(self, pieces: list[Piece]) -> bytes:
        """The pieces as events; b"" where they show nothing yet."""
        out: list[bytes] = []
        for piece in pieces:
            if piece.reasoning:
                said: dict[str, Any] = {"reasoning_content": piece.reasoning}
                out.append(self._event({"delta": said} if self._chat else {"text": "", **said}))
            if piece.text:
                out.append(self._before + _encode(piece.text) + self._after)
            if piece.calls:
                out.append(self._event({"delta": {"tool_calls": [self._call(call) for call in piece.calls]}}))
            self._finish = piece.finish or self._finish
            self._stopped_by = piece.stopped_by or self._stopped_by
        if not out:
            return b""
        if not self._begun:
            self._begin(out)
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self, usage: Usage, figures: dict[str, Any]) -> bytes:
        """The finish, the usage with Homeport's figures where asked for, `[DONE]`. Raises BrokeMidStream without a finish."""
        if self._finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        out: list[bytes] = []
        if not self._begun:
            self._begin(out)
        last: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        if self._stopped_by:
            last["stop_reason"] = self._stopped_by
        out.append(self._event(last, self._finish))
        if self._ask.wants_usage:
            record = self._head | {"choices": [], "usage": counts(usage), "homeport": figures}
            out.append(b"data: " + _encode(record) + b"\n\n")
        out.append(DONE)
        return b"".join(out)

    def _begin(self, out: list[bytes]) -> None:
        self._begun = True
        if self._chat:
            out.insert(0, self._event({"delta": {"role": "assistant", "content": ""}}))

    def _event(self, said: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish}
        return b"data: " + _encode(self._head | {"choices": [choice]}) + b"\n\n"

    def _call(self, call: CallPiece) -> dict[str, Any]:
        if call.index in self._calls:
            return {"index": call.index, "function": {"arguments": call.arguments}}
        self._calls.add(call.index)
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": call.index, "id": call.id or call_id(self._ask, call.index), "type": "function", "function": function}


def whole(ask: Ask, answer: Answer, created: int = 0) -> bytes:
    """An answer as the whole reply. `created` is seconds since the epoch. Raises BrokeMidStream without a finish."""
    if answer.finish is None:
        raise BrokeMidStream("the answer has no finish reason")
    chat = ask.surface is CHAT
    choice: dict[str, Any] = {"index": 0}
    if chat:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text if answer.text or not answer.calls else None}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [
                {"id": call.id or call_id(ask, index), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for index, call in enumerate(answer.calls)
            ]
        choice["message"] = message
    else:
        choice["text"] = answer.text
        if answer.reasoning:
            choice["reasoning_content"] = answer.reasoning
    choice |= {"logprobs": None, "finish_reason": answer.finish}
    if answer.stopped_by:
        choice["stop_reason"] = answer.stopped_by
    head = _head(ask, created, "chat.completion" if chat else "text_completion")
    return _encode(head | {"choices": [choice], "usage": counts(answer.usage or NOTHING)})


def counts(usage: Usage) -> dict[str, Any]:
    """Token counts as OpenAI's `usage` of a chat or a completion."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def embeddings(ask: Ask, vectors: Vectors) -> bytes:
    """Vectors as the reply to `/v1/embeddings`, in the encoding that was asked for."""
    packed = bytes(ask.fields.get("encoding_format", b"")) == b'"base64"'
    data = [{"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector} for index, vector in enumerate(vectors.vectors)]
    tokens = vectors.usage.prompt
    return _encode({"object": "list", "data": data, "model": ask.model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


def call_id(ask: Ask, index: int) -> str:
    """An id for a tool call whose backend gave none."""
    return f"call_{ask.id.removeprefix('req-')}_{index}"


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _head(ask: Ask, created: int, kind: str) -> dict[str, Any]:
    prefix = "chatcmpl-" if ask.surface is CHAT else "cmpl-"
    return {"id": prefix + ask.id.removeprefix("req-"), "object": kind, "created": created, "model": ask.model}
