"""Ollama's pages about its models, filled with the names that are served here: `/api/tags`, `/api/show`, `/api/ps`, `/api/version`.

Source of the formats: Ollama's API documentation, and what Ollama 0.32 was seen to answer.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from homeport.errors import Malformed
from homeport.front.pages import ANSWERS, Name, Overview, itself, stamp
from homeport.vocabulary import Weights

_encode = msgspec.json.Encoder().encode
SPEAKS = "0.32.15"  # the Ollama whose API this is; clients compare it with the least they need (0.6.4 is the most that any was seen to)
FOR_EVER = "2318-01-01T00:00:00Z"  # nothing is unloaded here: Ollama says so with a date of that century
CAPABILITIES = ("completion", "tools", "insert", "vision", "embedding", "thinking")
PRESUMED = ("completion", "tools")  # of a model that nobody described: then a client tries, and is told if it cannot
REFUSED = {  # what is managed where the models are, and never through here
    "/api/pull": ("POST",),
    "/api/push": ("POST",),
    "/api/create": ("POST",),
    "/api/copy": ("POST",),
    "/api/delete": ("DELETE",),
    "/api/blobs/{digest}": ("HEAD", "POST"),
}


def version() -> bytes:
    """`/api/version`."""
    return _encode({"version": SPEAKS})


def tags(overview: Overview) -> bytes:
    """`/api/tags`: every name that is served."""
    return _encode({"models": [_listed(overview, name) | {"capabilities": capabilities(name)} for name in overview.models()], "homeport": itself(overview)})


def ps(overview: Overview) -> bytes:
    """`/api/ps`: the names that a healthy backend answers now."""
    ready = [name for name in overview.models() if any(place.state in ANSWERS for place in name.places)]
    return _encode({"models": [_loaded(overview, name) for name in ready]})


def asked(body: bytes) -> str:
    """The name that `/api/show` is asked for. Raises Malformed."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None
    name = (fields.get("model") or fields.get("name")) if isinstance(fields, dict) else None
    if not isinstance(name, str):
        raise Malformed('`model` is missing. Send {"model": "NAME"}; GET /api/tags lists the names.', param="model")
    return name


def show(overview: Overview, name: Name) -> bytes:
    """`/api/show` of one name. What no backend tells is left empty: no template and no parameters are known here."""
    weights = _weights(name)
    architecture = weights.family or "homeport"
    info: dict[str, Any] = {"general.architecture": architecture}
    length = context(name)
    if length is not None:
        info[f"{architecture}.context_length"] = length
    behind = "\n".join(f"# {place.model} at {place.backend}" for place in name.places)
    shown = {
        "modelfile": f"# Homeport answers to this name with the first of these that can:\n{behind}\nFROM {name.name}\n",
        "parameters": "",
        "template": "",
        "details": _details(weights),
        "model_info": info,
        "capabilities": capabilities(name),
        "modified_at": _modified(overview, weights),
    }
    return _encode(shown)


def capabilities(name: Name) -> list[str]:
    """What the name can do: what any model behind it can, for a request goes to one that can."""
    found = []
    for capability in CAPABILITIES:
        presumed = capability in PRESUMED
        if any(place.card.capabilities.get(capability, presumed) if place.card is not None else presumed for place in name.places):
            found.append(capability)
    return found


def context(name: Name) -> int | None:
    """The tokens that fit every model behind the name whose context is known; of Ollama's, what they can be loaded with."""
    cards = [place.card for place in name.places if place.card is not None]
    lengths = [card.trained if card.engine == "ollama" else card.context for card in cards]
    return min((length for length in lengths if length is not None), default=None)


def _listed(overview: Overview, name: Name) -> dict[str, Any]:
    weights = _weights(name)
    known = {"name": name.name, "model": name.name, "modified_at": _modified(overview, weights), "size": weights.size}
    return known | {"digest": digest(name), "details": _details(weights)}


def _loaded(overview: Overview, name: Name) -> dict[str, Any]:
    listed = _listed(overview, name)
    del listed["modified_at"]
    loaded = [place.card.context for place in name.places if place.state in ANSWERS and place.card is not None and place.card.context is not None]
    return listed | {"expires_at": FOR_EVER, "size_vram": 0, "context_length": min(loaded, default=0)}


def digest(name: Name) -> str:
    """SHA-256 of what stands behind the name: each backend, its model there, and the digest that it gives of that model.

    So it changes when another model answers to the name, as an Ollama's own does. It is not the hash of a file.
    """
    behind = [[place.backend, place.model, place.card.weights.digest if place.card is not None else ""] for place in name.places]
    return hashlib.sha256(_encode([name.name, behind])).hexdigest()


def _weights(name: Name) -> Weights:
    """What is known of the first model behind the name that is described."""
    described = (place.card.weights for place in name.places if place.card is not None)
    return next((weights for weights in described if weights != Weights()), Weights())


def _details(weights: Weights) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": weights.form,
        "family": weights.family,
        "families": [weights.family] if weights.family else [],
        "parameter_size": weights.parameters,
        "quantization_level": weights.quantization,
    }


def _modified(overview: Overview, weights: Weights) -> str:
    return weights.modified or stamp(overview.started_at)
