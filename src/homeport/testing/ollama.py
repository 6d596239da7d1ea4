"""Ollama 0.32's own API as recorded: its streams, answers, errors, and the pages that describe its models."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator

import msgspec

from homeport.testing.dialects import Dialect, texts
from homeport.testing.script import Answer, Model, ToolCall
from homeport.testing.shapes import Json, Told, encode, vector
from homeport.testing.telling import Event, finish_reason

VERSION = "0.32.15"
DIED = "an error was encountered while running the model: unexpected EOF"
MODIFIED = "2026-11-20T17:29:50.904115319Z"


class Ollama(Dialect):
    """`/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`."""

    streams_unasked = True
    late_head = True

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        return [("Content-Type", "application/x-ndjson" if streamed else "application/json; charset=utf-8"), ("Date", stamp)]

    def stream(self, told: Told, answer: Answer, fields: Json, role_only: bool) -> Iterator[Event]:
        said = self._said(told, answer)
        limit = num_predict(fields)
        cut = limit is not None and limit < len(said)
        if role_only:
            yield Event("role", encode(self._record(told, {"content": ""})), line=True)
        steps = itertools.cycle(said) if answer.endless else iter(said[:limit])
        for part in steps:
            told.completion_tokens += 1
            yield Event("token", encode(self._record(told, part)), line=True)
        last = self._last(told, answer, cut, fields)
        yield Event("done", encode(self._record(told, {"content": ""}) | last), line=True)

    def whole(self, told: Told, answer: Answer, fields: Json) -> Json:
        said = self._said(told, answer)
        limit = num_predict(fields)
        cut = limit is not None and limit < len(said)
        kept = said[:limit]
        told.completion_tokens = len(kept)
        joined: Json = {"content": "".join(part.get("content", "") for part in kept)}
        if thought := "".join(part.get("thinking", "") for part in kept):
            joined["thinking"] = thought
        if calls := [call for part in kept for call in part.get("tool_calls", ())]:
            joined["tool_calls"] = calls
        return self._record(told, joined) | self._last(told, answer, cut, fields)

    def computed(self, told: Told, fields: Json) -> Json:
        if "input" not in fields:  # /api/embeddings
            prompt = fields.get("prompt")
            return {"embedding": vector(str(prompt)) if prompt else []}
        given = fields["input"]
        if not given:
            return {"model": told.model, "embeddings": []}
        spent = {"total_duration": 4645335, "load_duration": 879131, "prompt_eval_count": told.prompt_tokens}
        return {"model": told.model, "embeddings": [vector(text) for text in texts(given)], **spent}

    def unprompted(self, path: str, fields: Json) -> Json | None:
        """The model is loaded, or unloaded where it shall be kept for no time."""
        prompt = "messages" if path == "/api/chat" else "prompt" if path == "/api/generate" else ""
        if not prompt or fields.get(prompt):
            return None
        said: Json = {"message": {"role": "assistant", "content": ""}} if path == "/api/chat" else {"response": ""}
        return {"model": fields.get("model"), "created_at": stamp(), **said, "done": True, "done_reason": "unload" if fields.get("keep_alive") == 0 else "load"}

    def error(self, status: int, message: str) -> Json:
        return {"error": message}

    def error_event(self, message: str, done: bool) -> list[bytes]:
        return [encode({"error": message}) + b"\n"]  # nothing can follow: no record is `done`

    def garbage(self) -> bytes:
        return b'{"model": "talker", "message": {"role": \n'

    def _said(self, told: Told, answer: Answer) -> list[Json]:
        """The messages of the records, but for the role."""
        parts: list[Json] = [{"content": "", "thinking": piece} for piece in answer.reasoning]
        if not answer.tool_calls or answer.tokens is not None:
            parts += [{"content": piece} for piece in answer.pieces()]
        if told.chat:
            parts += [{"content": "", "tool_calls": [called(index, call)]} for index, call in enumerate(answer.tool_calls) if is_object(call)]
        return parts or [{"content": ""}]

    def _record(self, told: Told, said: Json) -> Json:
        if told.chat:
            return {"model": told.model, "created_at": stamp(), "message": {"role": "assistant", **said}, "done": False}
        thought = {"thinking": said["thinking"]} if "thinking" in said else {}
        return {"model": told.model, "created_at": stamp(), "response": said["content"], **thought, "done": False}

    def _last(self, told: Told, answer: Answer, cut: bool, fields: Json) -> Json:
        ending = finish_reason(answer, cut)
        last: Json = {"done": True, "done_reason": "stop" if ending == "tool_calls" else ending}
        if not told.chat and not fields.get("raw"):
            last["context"] = [258, 117, 115, 101, 114]
        if not answer.usage:
            return last
        read = {"prompt_eval_count": told.prompt_tokens, "prompt_eval_duration": 1500000}
        made = {"eval_count": told.completion_tokens, "eval_duration": 500000 * told.completion_tokens}
        return last | {"total_duration": 3000000 + made["eval_duration"], "load_duration": 1000000} | read | made


def num_predict(fields: Json) -> int | None:
    """The limit asked for, if any: 0 and less mean none."""
    limit = (fields.get("options") or {}).get("num_predict")
    return limit if isinstance(limit, int) and limit > 0 else None


def is_object(call: ToolCall) -> bool:
    """Whether a call's arguments are an object; else the call vanishes."""
    try:
        return isinstance(msgspec.json.decode(call.arguments), dict)
    except msgspec.DecodeError:
        return False


def stamp() -> str:
    """Now, as Ollama writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())


def called(index: int, call: ToolCall) -> Json:
    """A call as it stands in a message."""
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": msgspec.json.decode(call.arguments)}}


def details() -> Json:
    """The details of any model."""
    return {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "1.51M", "quantization_level": "F16"}


def page(method: str, path: str, models: Iterable[Model], fields: Json | None) -> tuple[int, Json | str] | None:
    """Status and document (or text) of a page that generates nothing; None where Ollama has no such page."""
    models = list(models)
    if path == "/" and method in ("GET", "HEAD"):
        return 200, "Ollama is running"
    if method == "GET" and path == "/api/version":
        return 200, {"version": VERSION}
    if method == "GET" and path == "/api/tags":
        return 200, {"models": [_listed(model) for model in models]}
    if method == "GET" and path == "/api/ps":
        return 200, {"models": [_loaded(model) for model in models]}
    if method == "POST" and path == "/api/show":
        return _show(models, fields)
    return None


def _listed(model: Model) -> Json:
    shape = details() | {"context_length": model.trained, "embedding_length": 448}
    row = {"name": model.name, "model": model.name, "modified_at": MODIFIED, "size": model.size, "digest": _digest(model)}
    return row | {"details": shape, "capabilities": list(model.capabilities)}


def _loaded(model: Model) -> Json:
    row = {"name": model.name, "model": model.name, "size": model.size, "digest": _digest(model), "details": details()}
    return row | {"expires_at": "2026-11-20T17:34:53.473472917Z", "size_vram": model.vram, "context_length": model.context}


def _show(models: list[Model], fields: Json | None) -> tuple[int, Json]:
    asked = (fields or {}).get("model") or (fields or {}).get("name")
    if not asked:
        return 400, {"error": "model is required"}
    model = next((model for model in models if asked in (model.name, model.name.removesuffix(":latest"))), None)
    if model is None:
        return 404, {"error": f"model '{asked if ':' in str(asked) else f'{asked}:latest'}' not found"}
    info = {"general.architecture": "llama", "general.parameter_count": 1514688, "llama.context_length": model.trained, "llama.embedding_length": 448}
    shown = {"modelfile": '# Modelfile generated by "ollama show"\n', "parameters": "num_thread                     1", "template": model.template}
    return 200, shown | {"details": details(), "model_info": info, "capabilities": list(model.capabilities), "modified_at": MODIFIED}


def _digest(model: Model) -> str:
    return hashlib.sha256(model.name.encode()).hexdigest()
