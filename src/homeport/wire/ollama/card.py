"""What an Ollama backend says of its models: which it has, what they can do, and how long a prompt may be.

Source of the format: Ollama's API documentation, and what Ollama 0.32 was seen to answer.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)
_RENDERED = re.compile(r"^RENDERER\s+\S", re.MULTILINE)  # Ollama's own code renders the prompt, whatever the template says


def models(body: bytes) -> list[str]:
    """The names in a reply to `/api/tags`, tags included; none where it is not one."""
    return [name for entry in _entries(body) if isinstance(name := entry.get("name") or entry.get("model"), str) and name]


def running(body: bytes) -> dict[str, int]:
    """The models in a reply to `/api/ps` and the context that each is loaded with, in tokens."""
    found = {entry.get("name"): entry.get("context_length") for entry in _entries(body)}
    return {name: length for name, length in found.items() if isinstance(name, str) and isinstance(length, int)}


def card(body: bytes) -> tuple[int | None, list[str], bool]:
    """A reply to `/api/show`: the model's context in tokens, its capabilities, and whether it keeps to `format` "json".

    The context is what the model was made for, or its own `num_ctx` where that is less; Ollama may load it with less
    still (see `running`). A model whose prompt llama-server renders, from the Jinja template in its file, is not held
    to "json" at all (to a schema it is); one with a template in Ollama's own language, or rendered by Ollama's code, is.
    """
    shown = _object(body)
    info = _dict(shown.get("model_info"))
    length = info.get(f"{info.get('general.architecture')}.context_length")
    if not isinstance(length, int):
        length = next((value for name, value in info.items() if name.endswith(".context_length") and isinstance(value, int)), None)
    parameters = shown.get("parameters")
    own = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    if own is not None and int(own[1]) > 0:
        length = min(length or int(own[1]), int(own[1]))
    can = shown.get("capabilities")
    capabilities = [name for name in can if isinstance(name, str)] if isinstance(can, list) else []
    template, modelfile = shown.get("template"), shown.get("modelfile")
    rendered = isinstance(modelfile, str) and _RENDERED.search(modelfile) is not None
    own_language = isinstance(template, str) and bool(template) and "{%" not in template
    return length, capabilities, rendered or own_language


def _entries(body: bytes) -> list[dict[str, Any]]:
    entries = _object(body).get("models")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _object(body: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
