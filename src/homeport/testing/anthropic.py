"""Anthropic's Messages API: its streams, answers, errors and model list, as its documentation tells them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator

import msgspec

from homeport.testing.dialects import ERROR_STATUS, Dialect, max_tokens
from homeport.testing.script import Answer, Model, ToolCall
from homeport.testing.shapes import Json, Told, encode
from homeport.testing.telling import Event, EventKind, finish_reason

ERROR_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
SIGNATURE = "c2ln"
REQUEST_ID = "req_011CScripted"


class Anthropic(Dialect):
    """`/v1/messages` and `/v1/messages/count_tokens`."""

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        kind = "text/event-stream; charset=utf-8" if streamed else "application/json"
        return [("Date", stamp), ("Content-Type", kind), *([("Cache-Control", "no-cache")] if streamed else []), ("request-id", REQUEST_ID)]

    def refusal(self, fields: Json, headers: dict[str, str]) -> tuple[int, str] | None:
        if "anthropic-version" not in headers:
            return 400, "anthropic-version: header is required"
        if "model" not in fields:
            return 400, "model: Field required"
        return None

    def stream(self, told: Told, answer: Answer, fields: Json, role_only: bool) -> Iterator[Event]:
        blocks = self._blocks(answer)
        limit = max_tokens(fields)
        cut = limit is not None and limit < sum(len(pieces) for _, pieces in blocks)
        yield event("role", "message_start", message=self._message(told, [], None))
        number = 0
        for number, (opening, pieces) in enumerate(blocks):
            if limit is not None and told.completion_tokens >= limit:
                break
            yield event("opening", "content_block_start", index=number, content_block=opening)
            if number == 0:
                yield event("opening", "ping")
            last = answer.endless and number == len(blocks) - 1
            for piece in itertools.cycle(pieces) if last else pieces:
                if limit is not None and told.completion_tokens >= limit:
                    break
                told.completion_tokens += 1
                yield event("token", "content_block_delta", index=number, delta=piece)
            if opening["type"] == "thinking":
                yield event("opening", "content_block_delta", index=number, delta={"type": "signature_delta", "signature": SIGNATURE})
            yield event("opening", "content_block_stop", index=number)
        stop = STOPS.get(ending := finish_reason(answer, cut), ending)
        yield event("finish", "message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=self._usage(told))
        yield event("done", "message_stop")

    def whole(self, told: Told, answer: Answer, fields: Json) -> Json:
        limit = max_tokens(fields)
        content: list[Json] = []
        cut = False
        for opening, pieces in self._blocks(answer):
            kept = pieces if limit is None else pieces[: max(0, limit - told.completion_tokens)]
            cut = cut or len(kept) < len(pieces)
            told.completion_tokens += len(kept)
            if kept:
                content.append(self._block(opening, kept))
        stop = STOPS.get(ending := finish_reason(answer, cut), ending)
        return self._message(told, content, stop)

    def computed(self, told: Told, fields: Json) -> Json:
        return {"input_tokens": told.prompt_tokens}

    def error(self, status: int, message: str) -> Json:
        return {"type": "error", "error": {"type": ERROR_KINDS.get(status, "api_error"), "message": message}, "request_id": REQUEST_ID}

    def error_event(self, message: str, done: bool) -> list[bytes]:
        error = Event("done", encode(self.error(ERROR_STATUS, message)), name=b"error").wire
        return [error, event("done", "message_stop").wire] if done else [error]

    def garbage(self) -> bytes:
        return b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": \n\n'

    def _blocks(self, answer: Answer) -> list[tuple[Json, list[Json]]]:
        """Each block as its opening and its deltas."""
        blocks: list[tuple[Json, list[Json]]] = []
        if answer.reasoning:
            thoughts: list[Json] = [{"type": "thinking_delta", "thinking": piece} for piece in answer.reasoning]
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, thoughts))
        text = answer.pieces() if not answer.tool_calls or answer.tokens is not None else ()
        if text:
            blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in text]))
        return [*blocks, *((_opening(call), _parts(call)) for call in answer.tool_calls)]

    def _block(self, opening: Json, pieces: list[Json]) -> Json:
        if opening["type"] == "tool_use":
            text = "".join(piece["partial_json"] for piece in pieces)
            try:
                return opening | {"input": msgspec.json.decode(text or "{}")}
            except msgspec.DecodeError:  # cut, or scripted so
                return opening
        kind = opening["type"]
        block = opening | {kind: "".join(piece[kind] for piece in pieces)}
        return block | {"signature": SIGNATURE} if kind == "thinking" else block

    def _message(self, told: Told, content: list[Json], stop: str | None) -> Json:
        said = {"id": f"msg_{told.number:024d}", "type": "message", "role": "assistant", "model": told.model, "content": content}
        return said | {"stop_reason": stop, "stop_sequence": None, "usage": self._usage(told)}

    def _usage(self, told: Told) -> Json:
        cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return {"input_tokens": told.prompt_tokens, **cached, "output_tokens": told.completion_tokens, "service_tier": "standard"}


def event(kind: EventKind, name: str, **fields: object) -> Event:
    """One named event; its data says its type too."""
    return Event(kind, encode({"type": name, **fields}), name=name.encode())


def models(listed: Iterable[Model]) -> Json:
    """The page `/v1/models`."""
    rows = [{"type": "model", "id": model.name, "display_name": model.name, "created_at": "2026-02-19T00:00:00Z"} for model in listed]
    first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
    return {"data": rows, "has_more": False, "first_id": first, "last_id": last}


def _opening(call: ToolCall) -> Json:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def _parts(call: ToolCall) -> list[Json]:
    step = max(1, -(-len(call.arguments) // call.pieces))
    parts = [call.arguments[at : at + step] for at in range(0, len(call.arguments), step)]
    return [{"type": "input_json_delta", "partial_json": part} for part in ("", *parts)]
