"""What backends say of their models, as Cards: Ollama's pages, llama.cpp's `/props`, and the rows of model lists.

Sources of the formats: Ollama's API documentation and server, llama.cpp's server, vLLM's model list, Anthropic's Models
API, and what Ollama 0.32, llama.cpp b11549 and vLLM 0.32 were seen to answer.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from homeport.vocabulary import Card, Weights
from homeport.wire.ollama import card as ollama_card

CAPABILITIES = ("completion", "tools", "thinking", "vision", "insert", "embedding")
REFUSES_WHOLE = (0, 12, 6)  # Ollama's `truncate` is known from here on; before, a prompt that is too long is cut whatever is asked
EMBEDDERS_ONLY = (0, 30, 0)  # … and from here on only a model made for it embeds
_OWNERS = {"llamacpp": "llama.cpp", "vllm": "vllm", "library": "ollama"}  # `owned_by` in a list of OpenAI's form


def rows(listing: bytes) -> list[dict[str, Any]]:
    """The entries of a model list, of whatever dialect; none where it is not one."""
    decoded = _object(listing)
    entries = decoded.get("data", decoded.get("models"))
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def name_of(row: dict[str, Any]) -> str | None:
    """The name of an entry."""
    name = row.get("id") or row.get("name") or row.get("model")
    return name if isinstance(name, str) else None


def engine_of(row: dict[str, Any]) -> str | None:
    """Which engine lists its models so; None where that cannot be told."""
    owner = row.get("owned_by")
    if isinstance(owner, str):
        return _OWNERS.get(owner)
    return "anthropic" if row.get("type") == "model" and "display_name" in row else None


def version(page: bytes) -> str | None:
    """The version in a reply to Ollama's `/api/version` or vLLM's `/version`."""
    told = _object(page).get("version")
    return told[:40] if isinstance(told, str) else None


def of_ollama(shown: bytes, row: dict[str, Any], *, loaded: int | None, version: str | None) -> Card:
    """A model by Ollama's `/api/show`, its entry in `/api/tags`, and the context it is loaded with, if it is."""
    trained, can, held = ollama_card.card(shown)
    number = _number(version)
    capabilities = {name: name in can for name in CAPABILITIES} if can else {}
    if number < EMBEDDERS_ONLY and not capabilities.get("embedding", True):
        del capabilities["embedding"]
    return Card(
        engine="ollama",
        version=version,
        context=loaded,
        trained=trained,
        capabilities=capabilities,
        format="yes" if held else "schema",
        cuts=(0,) < number < REFUSES_WHOLE,
        weights=_ollama_weights(row, _object(shown)),
    )


def of_llama_cpp(row: dict[str, Any], props: bytes, *, embeds: bool | None) -> Card:
    """A model by llama.cpp's `/props` (b"" where it does not say) and its entry in the list.

    What its template does not know of tools the server makes up for, so no tools are never told. `embeds` where it is known
    otherwise whether the server was started for embeddings.
    """
    told, meta = _object(props), _dict(row.get("meta"))
    caps, modalities = _dict(told.get("chat_template_caps")), _dict(told.get("modalities"))
    capabilities = {"completion": True}
    if caps.get("supports_tools") is True or caps.get("supports_tool_calls") is True:
        capabilities["tools"] = True
    if isinstance(modalities.get("vision"), bool):
        capabilities["vision"] = modalities["vision"]
    template = told.get("chat_template")
    if isinstance(template, str) and ("enable_thinking" in template or "<think>" in template):
        capabilities["thinking"] = True
    if embeds is not None:
        capabilities["embedding"] = embeds
    loaded = _whole(_dict(told.get("default_generation_settings")).get("n_ctx")) or _whole(meta.get("n_ctx"))
    parameters, kind = _whole(meta.get("n_params")), told.get("model_ftype", meta.get("ftype"))
    return Card(
        engine="llama.cpp",
        version=_text(told.get("build_info")) or None,
        context=loaded,
        trained=_whole(meta.get("n_ctx_train")),
        capabilities=capabilities,
        format="yes",
        weights=Weights(form="gguf", parameters=_count(parameters), quantization=_text(kind), size=_whole(meta.get("size")) or 0),
    )


def of_vllm(row: dict[str, Any], *, version: str | None) -> Card:
    """A model by its entry in vLLM's list, which knows its context only. More tokens than that may not be asked for."""
    context = _whole(row.get("max_model_len"))
    return Card(engine="vllm", version=version, context=context, max_tokens=context, format="yes")


def of_anthropic(row: dict[str, Any]) -> Card:
    """A model by its entry in Anthropic's list."""
    told = _dict(row.get("capabilities"))
    found = {ours: _dict(told.get(theirs)).get("supported") for ours, theirs in (("thinking", "thinking"), ("vision", "image_input"))}
    held = _dict(told.get("structured_outputs")).get("supported")
    return Card(
        engine="anthropic",
        context=_whole(row.get("max_input_tokens")),
        max_tokens=_whole(row.get("max_tokens")),
        capabilities={"completion": True, "tools": True, **{name: has for name, has in found.items() if isinstance(has, bool)}, "embedding": False},
        format="yes" if held is True else "no" if held is False else "unknown",
    )


def _ollama_weights(row: dict[str, Any], shown: dict[str, Any]) -> Weights:
    details = _dict(shown.get("details")) or _dict(row.get("details"))
    return Weights(
        form=_text(details.get("format")),
        family=_text(details.get("family")),
        parameters=_text(details.get("parameter_size")),
        quantization=_text(details.get("quantization_level")),
        size=_whole(row.get("size")) or 0,
        digest=_text(row.get("digest")),
        modified=_text(row.get("modified_at")),
    )


def _number(version: str | None) -> tuple[int, ...]:
    """A version as numbers: "0.32.1-rc2" is (0, 32, 1); an unknown one is newer than any."""
    found = re.match(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", version or "")
    if found is None or found.group(0) == "0.0.0":  # built from source without a tag
        return (1 << 31,)
    return tuple(int(part or 0) for part in found.groups())


def _count(parameters: int | None) -> str:
    """A number of parameters in Ollama's short form: 7615616512 is "7.6B"."""
    for size, unit, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if parameters is not None and parameters >= size:
            return f"{parameters / size:.{digits}f}{unit}"
    return str(parameters or "")


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
