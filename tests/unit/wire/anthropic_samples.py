"""Streams of `/v1/messages` as Anthropic, llama.cpp, vLLM and Ollama write them, made from what is to be said."""

from __future__ import annotations

import json
from typing import Any

from homeport.vocabulary import MESSAGES, Ask, Caller, Surface
from homeport.wire.anthropic.request import read

STYLES = ("anthropic", "llamacpp", "vllm", "ollama")
Block = dict[str, Any]


def said(*blocks: Block, style: str = "anthropic", stop: str = "end_turn", stop_sequence: str | None = None) -> bytes:
    """A whole stream. A block is {"text": [pieces]}, {"thinking": [pieces]}, or {"id", "name", "input": [pieces of JSON]}."""
    out = start(style)
    held = b""  # llama.cpp stops its thinking only after what follows
    for number, block in enumerate(blocks):
        kind = "text" if "text" in block else "thinking" if "thinking" in block else "tool_use"
        begun: Block = {"type": kind, "id": block["id"], "name": block["name"]} if kind == "tool_use" else {"type": kind, kind: ""}
        if kind == "tool_use" and style != "llamacpp":
            begun["input"] = {}
        out += event(style, "content_block_start", number, content_block=begun)
        for piece in block["input" if kind == "tool_use" else kind]:
            delta = {"type": "input_json_delta", "partial_json": piece} if kind == "tool_use" else {"type": f"{kind}_delta", kind: piece}
            out += event(style, "content_block_delta", number, delta=delta)
        end = event(style, "content_block_stop", number)
        if kind == "thinking" and style != "ollama":
            end = event(style, "content_block_delta", number, delta={"type": "signature_delta", "signature": "" if style == "llamacpp" else "c2ln"}) + end
        if kind == "thinking" and style == "llamacpp" and number + 1 < len(blocks):
            held = end
        else:
            out += held + end
            held = b""
    delta = {"stop_reason": stop} if style == "ollama" else {"stop_reason": stop, "stop_sequence": stop_sequence}
    used = {"output_tokens": 7} if style == "llamacpp" else {"input_tokens": 5, "output_tokens": 7}
    return out + event(style, "message_delta", delta=delta, usage=used) + event(style, "message_stop")


def start(style: str = "anthropic") -> bytes:
    message: Block = {"id": "msg_1", "type": "message", "role": "assistant", "model": "theirs", "content": []}
    if style == "llamacpp":
        message |= {"stop_reason": None, "stop_sequence": None, "usage": {"cache_read_input_tokens": 4, "input_tokens": 1, "output_tokens": 0}}
    else:
        message |= {"usage": {"input_tokens": 5 if style != "ollama" else 1, "output_tokens": 1}}
    return event(style, "message_start", message=message) + (b'event: ping\ndata: {"type": "ping"}\n\n' if style == "anthropic" else b"")


def event(style: str, kind: str, index: int | None = None, **fields: Any) -> bytes:
    says: Block = {"type": kind}
    if style == "vllm":
        says |= fields
    if index is not None:
        says["index"] = index
    says |= fields
    blank = ", ", ": "
    data = json.dumps(says, ensure_ascii=style == "ollama", separators=blank if style == "anthropic" and kind == "message_start" else (",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def ask(body: dict[str, Any], surface: Surface = MESSAGES) -> Ask:
    """What a caller asks with this body; `model` is "ours" and `max_tokens` 50 unless it says."""
    given = {"model": "ours", **({"max_tokens": 50} if surface is MESSAGES else {}), **body}
    fields, model, stream, wants_usage, chars = read(json.dumps(given).encode(), surface)
    return Ask("req-1f", "anthropic", surface, model, fields, stream, wants_usage, chars, Caller(None), 0.0)


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, decoded; each must be framed as Anthropic frames it."""
    out = []
    assert stream.endswith(b"\n\n") or not stream
    for part in stream.decode().split("\n\n")[:-1]:
        name, data = part.split("\n")
        decoded = json.loads(data.removeprefix("data: "))
        assert name == f"event: {decoded['type']}"
        out.append(decoded)
    return out


def message_of(stream: bytes) -> dict[str, Any]:
    """What an SDK makes of a stream: by block numbers, in the order of the blocks' starts; fails where it would."""
    message: dict[str, Any] | None = None
    texts: dict[int, str] = {}
    open_blocks: set[int] = set()
    for says in events_of(stream):
        kind = says["type"]
        if kind == "message_start":
            assert message is None
            message = says["message"]
        elif kind == "content_block_start":
            assert message is not None and says["index"] == len(message["content"])
            message["content"].append(says["content_block"])
            open_blocks.add(says["index"])
        elif kind == "content_block_delta":
            assert message is not None and says["index"] in open_blocks
            block, delta = message["content"][says["index"]], dict(says["delta"])
            delta.pop("type")
            (name, value), *rest = delta.items()
            assert not rest
            if name == "partial_json":
                texts[says["index"]] = texts.get(says["index"], "") + value
            else:
                block[name] = block.get(name, "") + value
        elif kind == "content_block_stop":
            open_blocks.remove(says["index"])
        elif kind == "message_delta":
            assert message is not None and not open_blocks
            message |= says["delta"]
            message["usage"] |= {name: value for name, value in says["usage"].items() if value is not None}
            message |= {name: value for name, value in says.items() if name not in ("type", "delta", "usage")}
        else:
            assert kind in ("message_stop", "ping")
    assert message is not None
    for number, text in texts.items():
        message["content"][number]["input"] = json.loads(text)
    return message
