"""Every surface from its caller's side: what to send, and what an answer says, read without any of Homeport's own code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from homeport.vocabulary import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    MESSAGES,
    OLD_EMBED,
    OLLAMA_CHAT,
    RESPONSES,
    Ask,
    Caller,
    Surface,
)
from homeport.wire.bridge import SURFACES
from homeport.wire.dialects import HEARD

TALKING = (CHAT, COMPLETIONS, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE)
CHATS = (CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT)  # those whose answers can hold calls
DIALECT: dict[Surface, str] = {surface: dialect for dialect, surfaces in SURFACES.items() for surface in surfaces}
FUNCTION = {"name": "get_weather", "description": "Weather of a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS: dict[Surface, list[dict[str, Any]]] = {
    CHAT: [{"type": "function", "function": FUNCTION}],
    OLLAMA_CHAT: [{"type": "function", "function": FUNCTION}],
    RESPONSES: [{"type": "function", **FUNCTION}],
    MESSAGES: [{"name": "get_weather", "input_schema": FUNCTION["parameters"]}],
}
_FINISHES = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def body(surface: Surface, text: str = "hi", *, stream: bool = False, tools: bool = False, model: str = "assistant", **fields: Any) -> dict[str, Any]:
    """What a caller of this surface sends; `stream` is said outright, and usage is asked for."""
    said: dict[str, Any] = {"model": model}
    if surface in (CHAT, MESSAGES, COUNT_TOKENS, OLLAMA_CHAT):
        said["messages"] = [{"role": "user", "content": text}]
    else:
        said["prompt" if surface in (COMPLETIONS, GENERATE, OLD_EMBED) else "input"] = text
    if surface is MESSAGES:
        said["max_tokens"] = 900
    if surface in TALKING:
        said["stream"] = stream
    if stream and surface in (CHAT, COMPLETIONS):
        said["stream_options"] = {"include_usage": True}
    if tools and surface in TOOLS:
        said["tools"] = TOOLS[surface]
    return said | fields


def ask(surface: Surface, **options: Any) -> Ask:
    """The Ask that such a body comes to."""
    dialect = DIALECT[surface]
    fields, model, stream, usage, chars = HEARD[dialect].read(json.dumps(body(surface, **options)).encode(), surface)
    return Ask("req-7f-1", dialect, surface, model, fields, stream, usage, chars, Caller(None), 0.0)


@dataclass
class Told:
    """What an answer says, in no dialect; the words of `finish` are OpenAI's."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)  # name and arguments
    finish: str | None = None
    usage: tuple[int, int] | None = None  # tokens of the prompt, of the answer
    ended: bool = False  # with the terminal event of the dialect, or as one document
    errors: list[str] = field(default_factory=list)  # kinds

    @property
    def whole(self) -> bool:
        """A client that trusts this answer would take it for complete."""
        return self.ended and not self.errors and self.finish is not None


def told(surface: Surface, said: bytes, *, stream: bool) -> Told:
    """What an answer of 200 says; in a stream, an event that was cut short is left out."""
    dialect = DIALECT[surface]
    if dialect == "openai":
        return _openai(said, stream)
    if dialect == "responses":
        return _response_events(said) if stream else _response(json.loads(said))
    if dialect == "anthropic":
        return _message_events(said) if stream else _message(json.loads(said))
    return _ollama([json.loads(line) for line in said[: said.rfind(b"\n") + 1].splitlines()] if stream else [json.loads(said)])


def error_kind(surface: Surface, said: bytes) -> str:
    """The kind of a refusal, which must stand in the envelope of the surface's dialect; its message where the dialect has no kinds."""
    document = json.loads(said)
    error = document["error"]
    if DIALECT[surface] == "ollama":
        assert isinstance(error, str) and error
        return error
    assert isinstance(error["message"], str) and error["message"] and "Traceback" not in error["message"]
    if DIALECT[surface] == "anthropic":
        assert document["type"] == "error" and "request_id" in document
    else:
        assert {"message", "type", "param", "code"} <= error.keys()
    return str(error["type"])


def _events(said: bytes) -> Iterator[tuple[str | None, str]]:
    """Names and data of whole events."""
    for event in said.decode().rpartition("\n\n")[0].split("\n\n"):
        rows = [row.partition(":") for row in event.split("\n")]
        fields = {name: value.removeprefix(" ") for name, _, value in rows if name}
        if "data" in fields:
            yield fields.get("event"), fields["data"]


def _arguments(text: Any) -> Any:
    """The arguments of a call, decoded where they are JSON: no dialect promises how they are spelled."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _openai(said: bytes, stream: bool) -> Told:
    found = Told(ended=not stream)
    calls: dict[int, list[str]] = {}
    for document in ([data if data == "[DONE]" else json.loads(data) for _, data in _events(said)]) if stream else [json.loads(said)]:
        assert not found.ended or not stream, "something follows [DONE]"
        if document == "[DONE]":
            found.ended = True
            continue
        if "error" in document:
            found.errors.append(document["error"]["type"])
            continue
        if document.get("usage"):
            found.usage = document["usage"]["prompt_tokens"], document["usage"].get("completion_tokens", 0)
        for choice in (choice for choice in document["choices"] if choice["index"] == 0):
            part = choice.get("delta") or choice.get("message") or choice
            found.text += part.get("content") or choice.get("text") or ""
            found.reasoning += part.get("reasoning_content") or part.get("reasoning") or ""
            for index, call in enumerate(part.get("tool_calls") or []):
                name, arguments = calls.setdefault(call.get("index", index), ["", ""])
                told_of = call["function"]
                calls[call.get("index", index)] = [name or told_of.get("name") or "", arguments + (told_of.get("arguments") or "")]
            found.finish = choice.get("finish_reason") or found.finish
    found.calls = [(name, _arguments(arguments)) for _, (name, arguments) in sorted(calls.items())]
    if found.finish == "stop" and found.calls:  # some engines say so
        found.finish = "tool_calls"
    return found


def _response(document: dict[str, Any]) -> Told:
    found = Told(ended=document["status"] in ("completed", "incomplete"))
    for item in document["output"]:
        said = "".join(part["text"] for part in item.get("content") or [])
        if item["type"] == "message":
            found.text += said
        elif item["type"] == "reasoning":
            found.reasoning += said
        else:
            found.calls.append((item["name"], _arguments(item["arguments"])))
    found.finish = "tool_calls" if found.calls else "stop"
    if document["status"] == "incomplete":
        found.finish = {"max_output_tokens": "length", "content_filter": "content_filter"}[document["incomplete_details"]["reason"]]
    found.usage = document["usage"]["input_tokens"], document["usage"]["output_tokens"]
    return found


def _response_events(said: bytes) -> Told:
    found, last = Told(), None
    deltas: dict[int, str] = {}
    for number, (name, data) in enumerate(_events(said)):
        event = json.loads(data)
        assert event["type"] == name
        assert last is None, f"{name} follows the terminal event"
        if name == "response.failed":  # some clients heed this, others the next
            found.errors.append(event["response"]["error"]["code"])
            continue
        if name == "error":
            assert found.errors == [event["code"]]
            continue
        assert event["sequence_number"] == number
        if name in ("response.completed", "response.incomplete"):
            last = _response(event["response"])
        elif name == "response.output_text.delta":
            found.text += event["delta"]
        elif name == "response.reasoning_text.delta":
            found.reasoning += event["delta"]
        elif name == "response.function_call_arguments.delta":
            deltas[event["output_index"]] = deltas.get(event["output_index"], "") + event["delta"]
    if last is None:
        found.calls = [("", _arguments(arguments)) for _, arguments in sorted(deltas.items())]
        return found
    assert (last.text, last.reasoning) == (found.text, found.reasoning), "the last event says something else than the deltas"
    assert [arguments for _, arguments in last.calls if arguments] == [_arguments(deltas[index]) for index in sorted(deltas) if _arguments(deltas[index])]
    last.errors = found.errors
    return last


def _message(document: dict[str, Any]) -> Told:
    found = Told(ended=document["type"] == "message", finish=_FINISHES.get(document.get("stop_reason") or ""))
    for block in document["content"]:
        if block["type"] == "text":
            found.text += block["text"]
        elif block["type"] == "thinking":
            found.reasoning += block["thinking"]
        else:
            found.calls.append((block["name"], _arguments(block["input"])))
    counts = document["usage"]
    prompt = counts["input_tokens"] + counts.get("cache_read_input_tokens", 0) + counts.get("cache_creation_input_tokens", 0)
    found.usage = prompt, counts["output_tokens"]
    return found


def _message_events(said: bytes) -> Told:
    found, counts = Told(), dict[str, int]()
    blocks: dict[int, list[Any]] = {}
    for name, data in _events(said):
        event = json.loads(data)
        assert event["type"] == name
        assert not found.ended, f"{name} follows message_stop"
        if name == "error":
            found.errors.append(event["error"]["type"])
        elif name == "message_start":
            counts |= {key: value for key, value in event["message"]["usage"].items() if isinstance(value, int)}
        elif name == "content_block_start":
            block = event["content_block"]
            blocks[event["index"]] = [block["type"], block.get("name"), block.get("text") or block.get("thinking") or ""]
        elif name == "content_block_delta":
            delta = event["delta"]
            blocks[event["index"]][2] += delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
        elif name == "message_delta":
            found.finish = _FINISHES.get(event["delta"].get("stop_reason") or "") or found.finish
            counts |= {key: value for key, value in event["usage"].items() if isinstance(value, int)}
        elif name == "message_stop":
            found.ended = True
    found.text = "".join(said for kind, _, said in blocks.values() if kind == "text")
    found.reasoning = "".join(said for kind, _, said in blocks.values() if kind == "thinking")
    found.calls = [(name, _arguments(said)) for kind, name, said in blocks.values() if kind == "tool_use"]
    if found.ended:
        prompt = counts["input_tokens"] + counts.get("cache_read_input_tokens", 0) + counts.get("cache_creation_input_tokens", 0)
        found.usage = prompt, counts["output_tokens"]
    return found


def _ollama(records: list[dict[str, Any]]) -> Told:
    found = Told()
    for record in records:
        assert not found.ended, "something follows the last record"
        if "error" in record:
            found.errors.append("error")
            continue
        holder = record.get("message") or record
        found.text += holder.get("content") or holder.get("response") or ""
        found.reasoning += holder.get("thinking") or ""
        found.calls += [(call["function"]["name"], call["function"]["arguments"]) for call in holder.get("tool_calls") or []]
        if record.get("done"):
            found.ended, found.finish = True, record["done_reason"]
            found.usage = record.get("prompt_eval_count", 0), record.get("eval_count", 0)
    if found.finish == "stop" and found.calls:
        found.finish = "tool_calls"
    return found


assert set(TALKING) | {EMBEDDINGS, EMBED, OLD_EMBED, COUNT_TOKENS} == set(Surface)
