"""Words that must be found nowhere, each of them in one place of what is asked and answered, and where they are looked for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from homeport.testing.script import Answer, Behaviour, Bytes, Fault, Point, Refuse, ToolCall
from homeport.vocabulary import CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES, Surface

BIRD = "zqCanary"
_WORD = re.compile(rb"zqCanary(\w*)")
IMAGE = base64.b64encode(b"\x89PNG " + f"{BIRD}Image ".encode() * 3).decode()


def word(place: str) -> str:
    """The canary of a place."""
    return f"{BIRD}{place}"


def found(texts: Iterable[tuple[str, bytes]], keys: Iterable[str] = ()) -> list[str]:
    """Each canary, image or key in these texts: where, and which; as it is, in base64, in hexadecimal, or spelled with escapes."""
    out = []
    needles = {"the image": IMAGE[12:60].encode(), **{f"a key's {key[:5]}…": key.encode() for key in keys}}
    for name, needle in list(needles.items()):
        needles[f"{name}, in hexadecimal"] = needle.hex().encode()
    needles["a canary in hexadecimal"] = BIRD.encode().hex().encode()
    for shift in range(3):  # base64 of it, wherever in the text it begins
        coded = base64.b64encode(b"x" * shift + BIRD.encode())
        needles[f"a canary in base64, {shift}"] = coded[4 if shift else 0 : 8]  # what no neighbour has a part in
    for where, text in texts:
        plain = text.replace(b"\\u007a", b"z")
        out += [f"{where}: {BIRD}{match.decode()}" for match in {match[1] for match in _WORD.finditer(plain)}]
        out += [f"{where}: {name}" for name, needle in needles.items() if needle in plain]
    return sorted(out)


def files(folder: Path) -> list[tuple[str, bytes]]:
    """All that was written below a folder."""
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


def prompt(surface: Surface, model: str, *, stream: bool, tools: bool = True) -> dict[str, Any]:
    """An ask with a canary in each thing that a caller says, in the words of its surface."""
    schema = {"type": "object", "description": word("SchemaText"), "properties": {word("Property"): {"type": "string", "description": word("FieldText")}}}
    function = {"name": word("Tool"), "description": word("ToolText"), "parameters": schema}
    text, system = f"My number is {word('Prompt')}.", word("System")
    said: dict[str, Any] = {"model": model, "stream": stream, "user": word("User"), "metadata": {"user_id": word("Metadata")}, "unheard_of": word("Unknown")}
    if surface is CHAT:
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}]
        said |= {"messages": [{"role": "system", "content": system}, {"role": "user", "content": parts}], "stop": [word("Stop")]}
        return said | ({"tools": [{"type": "function", "function": function}]} if tools else {})
    if surface is MESSAGES:
        source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
        said |= {
            "system": system,
            "max_tokens": 99,
            "messages": [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "image", "source": source}]}],
        }
        return said | ({"tools": [{"name": word("Tool"), "description": word("ToolText"), "input_schema": schema}]} if tools else {})
    if surface is OLLAMA_CHAT:
        said |= {"messages": [{"role": "system", "content": system}, {"role": "user", "content": text, "images": [IMAGE]}], "options": {"stop": [word("Stop")]}}
        return said | ({"tools": [{"type": "function", "function": function}]} if tools else {})
    if surface is RESPONSES:
        return said | {"instructions": system, "input": text} | ({"tools": [{"type": "function", **function}]} if tools else {})
    return said | {"prompt": f"{system} {text}"}


_SAID = Answer(
    text=f"It is {word('Answer')}, as you said.",
    reasoning=(f"I think of {word('Reasoning')} ",),
)
_CALLS = Answer(tokens=(), tool_calls=(ToolCall(word("Tool"), json.dumps({word("Property"): word("Argument")}), id=word("CallId")),))
BEHAVIOURS: dict[str, Behaviour] = {
    "well": _SAID,
    "calls": _CALLS,
    "reset": Answer(text=_SAID.text, fault=Fault(2, "reset", after_s=0.02)),
    "close": Answer(text=_SAID.text, fault=Fault(2, "close", after_s=0.02)),
    "end": Answer(text=_SAID.text, fault=Fault(2, "end", after_s=0.02)),
    "error": Answer(text=_SAID.text, fault=Fault(2, "error", after_s=0.02, message=f"bad prompt: {word('StreamError')}")),
    "early": Answer(fault=Fault(Point.HEADERS, "error", message=f"bad prompt: {word('EarlyError')}")),
    "garbage": Answer(text=_SAID.text, fault=Fault(2, "garbage", after_s=0.02)),
    "freeze": Answer(text=_SAID.text, fault=Fault(2, "freeze")),
    "silent": Answer(fault=Fault(Point.REQUEST, "freeze")),
    "fails": Refuse(status=500, message=f"cannot read: {word('Failure')}"),
    "rejects": Refuse(status=400, message=f"the prompt {word('Prompt')} is too odd"),
    "limits": Refuse(status=429, message=word("Limit"), headers=(("x-canary", word("BackendHeader")),)),
    "no key": Refuse(status=401, message=f"Incorrect API key provided: {word('UpstreamKey')}"),
    "page": Bytes(data=f"HTTP/1.1 502 {word('Phrase')}\r\ncontent-type: text/html\r\n\r\n<h1>{word('Page')}</h1>".encode()),
    "no http": Bytes(data=f"{word('NoHttp')} is not HTTP\r\n\r\n".encode()),
    "bad head": Bytes(data=f"HTTP/1.1 200 OK\r\n{word('BadHeader')} : x\r\ncontent-length: 2\r\n\r\n{{}}".encode()),
    "no json": Bytes(data=f'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{"{word("NoJson")}'.encode()),
    "other json": Bytes(data=f'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{"detail": "{word("Detail")}"}}'.encode()),
}
