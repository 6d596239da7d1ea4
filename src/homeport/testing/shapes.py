"""The JSON of three engines' OpenAI surfaces as recorded: llama.cpp's server, vLLM and Ollama."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from typing import Any, Literal

import msgspec
from msgspec import Struct

from homeport.testing.script import ToolCall

StyleName = Literal["llama.cpp", "vllm", "ollama", "anthropic"]
Json = dict[str, Any]
ERROR_KINDS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
FINGERPRINT = "vllm-0.32.0-67fc0f45"


class Told(Struct, kw_only=True):
    """What an answer's chunks share, and what was counted on the way."""

    number: int
    model: str
    chat: bool
    wants_usage: bool
    choices: int
    prompt_tokens: int
    created: int
    completion_tokens: int = 0  # of all choices


def encode(value: Any) -> bytes:
    """Compact JSON, text beyond ASCII as it is."""
    return msgspec.json.encode(value)


def vector(text: str, size: int = 16) -> list[float]:
    """A fixed embedding of a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return [round(byte / 127.5 - 1, 6) for byte in digest[:size]]


class Style:
    """vLLM's shapes; the other two say where they differ."""

    name: StyleName = "vllm"
    role_in_first = False  # the role comes in the first delta, with the first token; else in an event of its own
    joins_first = False  # … which shares its HTTP chunk with the first token
    joins_last: Literal["", "usage", "done"] = ""  # what shares an HTTP chunk with the finish
    finish_on_token = True  # ended by length, the finish is on the last token's event
    reasoning_field = "reasoning"

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        """Response headers besides those of the framing."""
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        kind = "text/event-stream; charset=utf-8" if streamed else "application/json"
        return [("date", stamp), ("server", "uvicorn"), ("content-type", kind), ("vary", "Origin")]

    def identity(self, told: Told) -> str:
        prefix = "chatcmpl" if told.chat else "cmpl"
        return f"{prefix}-{told.number:016x}"

    # streams

    def role(self, told: Told, index: int) -> Json:
        """The event of the role alone."""
        return self.delta(told, index, {"role": "assistant", "content": ""}, None) | {"prompt_token_ids": None, "prompt_text": None}

    def thought(self, text: str) -> Json:
        """The delta of a piece of reasoning."""
        return {self.reasoning_field: text}

    def call(self, index: int, call: ToolCall) -> list[Json]:
        """The deltas of one tool call."""
        step = max(1, -(-len(call.arguments) // call.pieces))
        parts = [call.arguments[i : i + step] for i in range(0, len(call.arguments), step)]
        opening = {"content": None, "tool_calls": [{"id": call.id, "type": "function", "index": index, "function": {"name": call.name}}]}
        return [opening, *({"content": None, "tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in parts)]

    def delta(self, told: Told, index: int, delta: Json, finish: str | None) -> Json:
        choice: Json = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        if finish is not None:
            choice["stop_reason"] = None
        if "role" not in delta:
            choice["token_ids"] = None
        return {"id": self.identity(told), "object": "chat.completion.chunk", "created": told.created, "model": told.model, "choices": [choice]}

    def text(self, told: Told, index: int, text: str, finish: str | None) -> Json:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish, "stop_reason": None, "prompt_token_ids": None, "token_ids": None}
        return {"id": self.identity(told), "object": "text_completion", "created": told.created, "model": told.model, "choices": [choice]}

    def closing(self, told: Told, index: int, finish: str, last: bool) -> list[Json]:
        """The finish event of one choice, and what usage comes with it; `last` for the last choice to end."""
        end = self.delta(told, index, {}, finish) if told.chat else self.text(told, index, "", finish)
        usage = self.usage_events(told, last)
        return [end, *usage] if usage or not last else [end | {"system_fingerprint": FINGERPRINT}]

    def usage_events(self, told: Told, last: bool) -> list[Json]:
        if not (told.wants_usage and last):
            return []
        shared = self.text(told, 0, "", None) if not told.chat else self.delta(told, 0, {}, None)
        return [shared | {"choices": [], "usage": self.usage(told), "system_fingerprint": FINGERPRINT}]

    def usage(self, told: Told) -> Json:
        prompt, completion = told.prompt_tokens, told.completion_tokens
        return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}

    def dying(self, told: Told) -> list[Json]:
        """Events of a stream that ends properly although it broke."""
        return []

    # whole answers

    def message(self, text: str, reasoning: str, calls: tuple[ToolCall, ...]) -> Json:
        said: Json = {
            "role": "assistant",
            "content": text if text or not calls else None,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
        }
        if calls:
            said["tool_calls"] = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in calls]
        return said | {"reasoning": reasoning or None}

    def whole(self, told: Told, choices: list[Json]) -> Json:
        kind = "chat.completion" if told.chat else "text_completion"
        prompt = {} if told.chat else {"prompt_logprobs": None, "prompt_token_ids": None}
        extra = {"stop_reason": None, "token_ids": None, **prompt, "routed_experts": None}
        usage = self.usage(told) | {"prompt_tokens_details": None, "completion_tokens_details": None}
        body = {"id": self.identity(told), "object": kind, "created": told.created, "model": told.model, "choices": [choice | extra for choice in choices]}
        body |= {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage}
        if told.chat:
            body |= {"prompt_logprobs": None, "prompt_token_ids": None, "prompt_text": None}
        return body | {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}

    def chat_choice(self, index: int, message: Json, finish: str) -> Json:
        return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}

    def text_choice(self, index: int, text: str, finish: str) -> Json:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}

    # the rest

    def embeddings(self, told: Told, inputs: list[str], packed: bool) -> Json:
        data = [{"index": i, "object": "embedding", "embedding": pack(vector(text)) if packed else vector(text)} for i, text in enumerate(inputs)]
        usage = {"prompt_tokens": told.prompt_tokens, "total_tokens": told.prompt_tokens, "completion_tokens": 0, "prompt_tokens_details": None}
        return {"id": f"embd-{told.number:016x}", "object": "list", "created": told.created, "model": told.model, "data": data, "usage": usage}

    def models(self, names: list[str]) -> Json:
        rows: list[Json] = [
            {"id": name, "object": "model", "created": 1795196003, "owned_by": "vllm", "root": name, "parent": None, "max_model_len": 2048, "permission": []}
            for name in names
        ]
        return {"object": "list", "data": rows}

    def health(self) -> tuple[int, bytes, str]:
        """Status, body and content type of `/health`."""
        return 200, b"", ""

    def error(self, status: int, message: str) -> Json:
        return {"error": {"message": message, "type": ERROR_KINDS.get(status, "APIError"), "param": None, "code": status}}

    def error_event(self, status: int, message: str) -> bytes:
        """The data of an error event in a stream."""
        return json.dumps(self.error(status, message), ensure_ascii=False).encode()


class LlamaCpp(Style):
    """llama.cpp's server, b11549."""

    name: StyleName = "llama.cpp"
    joins_first = True
    joins_last: Literal["", "usage", "done"] = "usage"
    finish_on_token = False
    reasoning_field = "reasoning_content"

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        kind = [("X-Accel-Buffering", "no"), ("Content-Type", "text/event-stream")] if streamed else [("Content-Type", "application/json; charset=utf-8")]
        return [("Server", "llama.cpp"), ("Access-Control-Allow-Origin", ""), *kind]

    def identity(self, told: Told) -> str:
        return f"chatcmpl-{told.number:032d}"

    def role(self, told: Told, index: int) -> Json:
        return self.delta(told, index, {"role": "assistant", "content": None}, None)

    def call(self, index: int, call: ToolCall) -> list[Json]:
        step = max(1, -(-len(call.arguments[1:]) // call.pieces))
        parts = [call.arguments[i : i + step] for i in range(1, len(call.arguments), step)]
        function = {"name": call.name, "arguments": call.arguments[:1]}
        opening = {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]}
        return [opening, *({"tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in parts)]

    def delta(self, told: Told, index: int, delta: Json, finish: str | None) -> Json:
        return {"choices": [{"finish_reason": finish, "index": index, "delta": delta}], **self._shared(told), "object": "chat.completion.chunk"}

    def text(self, told: Told, index: int, text: str, finish: str | None) -> Json:
        choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
        shared = {"created": told.created, "model": told.model, "system_fingerprint": "b0-unknown", "object": "text_completion"}
        return {"choices": [choice], **shared, "id": self.identity(told)}

    def closing(self, told: Told, index: int, finish: str, last: bool) -> list[Json]:
        if not told.chat:
            end = self.text(told, index, "", finish)
            identity = end.pop("id")
            said = end | {"usage": self.usage(told), "id": identity, "timings": self.timings(told)}
            return [said] if finish == "length" else [self.text(told, index, "", None), said]
        end = self.delta(told, index, {}, finish)
        if not told.wants_usage:
            return [end | {"timings": self.timings(told)}]
        return [end, end | {"choices": [], "usage": self.usage(told), "timings": self.timings(told)}]

    def usage(self, told: Told) -> Json:
        completion = told.completion_tokens // told.choices  # it counts one choice only
        return {
            "completion_tokens": completion,
            "prompt_tokens": told.prompt_tokens,
            "total_tokens": told.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def timings(self, told: Told) -> Json:
        """Figures that mean nothing, in the engine's fields."""
        n = told.completion_tokens // told.choices
        read = {"cache_n": 0, "prompt_n": told.prompt_tokens, "prompt_ms": 1.5, "prompt_per_token_ms": 0.1, "prompt_per_second": 10000.0}
        return read | {"predicted_n": n, "predicted_ms": 0.5 * n, "predicted_per_token_ms": 0.5, "predicted_per_second": 2000.0}

    def message(self, text: str, reasoning: str, calls: tuple[ToolCall, ...]) -> Json:
        said: Json = {"role": "assistant", "content": text}
        if reasoning:
            said["reasoning_content"] = reasoning
        if calls:
            said["tool_calls"] = [{"type": "function", "function": {"name": call.name, "arguments": call.arguments}, "id": call.id} for call in calls]
        return said

    def whole(self, told: Told, choices: list[Json]) -> Json:
        kind = "chat.completion" if told.chat else "text_completion"
        shared = {"created": told.created, "model": told.model, "system_fingerprint": "b0-unknown", "object": kind}
        return {"choices": choices, **shared, "usage": self.usage(told), "id": self.identity(told), "timings": self.timings(told)}

    def chat_choice(self, index: int, message: Json, finish: str) -> Json:
        return {"finish_reason": finish, "index": index, "message": message}

    def text_choice(self, index: int, text: str, finish: str) -> Json:
        return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}

    def embeddings(self, told: Told, inputs: list[str], packed: bool) -> Json:
        extra = {"encoding_format": "base64"} if packed else {}
        data = [{"embedding": pack(vector(text)) if packed else vector(text), "index": i, "object": "embedding"} | extra for i, text in enumerate(inputs)]
        return {"model": told.model, "object": "list", "usage": {"prompt_tokens": told.prompt_tokens, "total_tokens": told.prompt_tokens}, "data": data}

    def models(self, names: list[str]) -> Json:
        old = [{"name": name, "model": name, "type": "model", "capabilities": ["completion"]} for name in names]
        rows = [
            {
                "id": name,
                "aliases": [name],
                "tags": [],
                "object": "model",
                "created": 1795196418,
                "owned_by": "llamacpp",
                "meta": {"n_ctx": 2048, "n_ctx_train": 4096},
            }
            for name in names
        ]
        return {"models": old, "object": "list", "data": rows}

    def health(self) -> tuple[int, bytes, str]:
        return 200, b'{"status":"ok"}', "application/json; charset=utf-8"

    def error(self, status: int, message: str) -> Json:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 501: "not_supported_error", 503: "unavailable_error"}
        return {"error": {"code": status, "message": message, "type": kinds.get(status, "server_error")}}

    def error_event(self, status: int, message: str) -> bytes:
        return encode(self.error(status, message))

    def _shared(self, told: Told) -> Json:
        return {"created": told.created, "id": self.identity(told), "model": told.model, "system_fingerprint": "b0-unknown"}


class Ollama(Style):
    """Ollama 0.32's `/v1`."""

    name: StyleName = "ollama"
    role_in_first = True
    joins_last: Literal["", "usage", "done"] = "done"
    finish_on_token = False

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        return [("Content-Type", "text/event-stream" if streamed else "application/json"), ("Date", stamp)]

    def identity(self, told: Told) -> str:
        return f"{'chatcmpl' if told.chat else 'cmpl'}-{told.number % 1000}"

    def role(self, told: Told, index: int) -> Json:
        return self.delta(told, index, {"role": "assistant", "content": ""}, None)

    def thought(self, text: str) -> Json:
        return {"content": "", "reasoning": text}

    def call(self, index: int, call: ToolCall) -> list[Json]:
        return [
            {"content": "", "tool_calls": [{"id": call.id, "index": index, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}]}
        ]

    def delta(self, told: Told, index: int, delta: Json, finish: str | None) -> Json:
        return self._chat(told, "chat.completion.chunk") | {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    def text(self, told: Told, index: int, text: str, finish: str | None) -> Json:
        chunk = self._text(told, [{"text": text, "index": index, "finish_reason": finish}])
        return chunk | {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}} if told.wants_usage else chunk

    def usage_events(self, told: Told, last: bool) -> list[Json]:
        if not (told.wants_usage and last):
            return []
        shared = self._chat(told, "chat.completion.chunk") | {"choices": []} if told.chat else self._text(told, [])
        return [shared | {"usage": self.usage(told)}]

    def usage(self, told: Told) -> Json:
        prompt, completion = told.prompt_tokens, told.completion_tokens
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def dying(self, told: Told) -> list[Json]:
        last = self.delta(told, 0, {"content": ""}, None) if told.chat else self.text(told, 0, "", None)
        return [last | {"model": ""}]

    def message(self, text: str, reasoning: str, calls: tuple[ToolCall, ...]) -> Json:
        said: Json = {"role": "assistant", "content": text}
        if reasoning:
            said["reasoning"] = reasoning
        if calls:
            rows = [
                {"id": call.id, "index": i, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for i, call in enumerate(calls)
            ]
            said["tool_calls"] = rows
        return said

    def whole(self, told: Told, choices: list[Json]) -> Json:
        return self._chat(told, "chat.completion" if told.chat else "text_completion") | {"choices": choices, "usage": self.usage(told)}

    def chat_choice(self, index: int, message: Json, finish: str) -> Json:
        return {"index": index, "message": message, "finish_reason": finish}

    def text_choice(self, index: int, text: str, finish: str) -> Json:
        return {"text": text, "index": index, "finish_reason": finish}

    def embeddings(self, told: Told, inputs: list[str], packed: bool) -> Json:
        data = [{"object": "embedding", "embedding": pack(vector(text)) if packed else vector(text), "index": i} for i, text in enumerate(inputs)]
        return {"object": "list", "data": data, "model": told.model, "usage": {"prompt_tokens": told.prompt_tokens, "total_tokens": told.prompt_tokens}}

    def models(self, names: list[str]) -> Json:
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 1795195790, "owned_by": "library"} for name in names]}

    def health(self) -> tuple[int, bytes, str]:
        return 404, b"404 page not found", "text/plain"

    def error(self, status: int, message: str) -> Json:
        kinds = {400: "invalid_request_error", 404: "not_found_error"}
        return {"error": {"message": message, "type": kinds.get(status, "api_error"), "param": None, "code": None}}

    def error_event(self, status: int, message: str) -> bytes:
        return encode(self.error(status, message))

    def _chat(self, told: Told, kind: str) -> Json:
        return {"id": self.identity(told), "object": kind, "created": told.created, "model": told.model, "system_fingerprint": "fp_ollama"}

    def _text(self, told: Told, choices: list[Json]) -> Json:
        shared = {"id": self.identity(told), "object": "text_completion", "created": told.created, "choices": choices}
        return shared | {"model": told.model, "system_fingerprint": "fp_ollama"}


STYLES: dict[StyleName, Style] = {"vllm": Style(), "llama.cpp": LlamaCpp(), "ollama": Ollama()}


def pack(numbers: list[float]) -> str:
    """An embedding as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
