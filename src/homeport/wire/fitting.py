"""A request made to fit one model: what it may not ask for there is lowered, put in other words, or left out, where no answer changes by it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.vocabulary import Ask, Card
from homeport.wire.body import value as body_value

_encode = msgspec.json.Encoder().encode
_LIMITS = {"openai": ("max_tokens", "max_completion_tokens"), "responses": ("max_output_tokens",), "anthropic": ("max_tokens",)}
_ANY_OBJECT = {"type": "object"}


class Fit(Struct, frozen=True):
    """What requests to one model must keep to."""

    max_tokens: int | None = None  # a larger limit is lowered to this: the answer cannot be longer anyway
    thinks: bool = True  # False: how hard to think is left out, which Ollama would refuse; `think` of an Ollama caller is not
    schemas_only: bool = False  # bare JSON is asked for by the schema of any object, which holds where "json" does not


def fit(card: Card) -> Fit | None:
    """What follows from a card; None where nothing does."""
    ollama = card.engine == "ollama"
    found = Fit(card.max_tokens, not ollama or card.capabilities.get("thinking", True), ollama and card.format == "schema")
    return found if found != Fit() else None


def fitted(ask: Ask, fit: Fit) -> Ask:
    """The request as it may be sent; the same one where it fits."""
    fields = dict(ask.fields)
    if fit.max_tokens is not None:
        _lower(fields, ask.dialect, fit.max_tokens)
    if not fit.thinks:
        _leave_thinking(fields, ask.dialect)
    if fit.schemas_only:
        _by_schema(fields, ask.dialect)
    return msgspec.structs.replace(ask, fields=fields) if fields != ask.fields else ask


def _lower(fields: dict[str, Raw], dialect: str, most: int) -> None:
    if dialect == "ollama":
        options = _decoded(fields, "options")
        if isinstance(options, dict) and _exceeds(options.get("num_predict"), most):
            fields["options"] = _raw({**options, "num_predict": most})
        return
    for name in _LIMITS[dialect]:
        if name in fields and _exceeds(_decoded(fields, name), most):
            fields[name] = _raw(most)


def _exceeds(limit: Any, most: int) -> bool:
    return isinstance(limit, int | float) and limit > most


def _leave_thinking(fields: dict[str, Raw], dialect: str) -> None:
    for name in {"openai": ("reasoning_effort",), "responses": ("reasoning",), "anthropic": ("thinking",)}.get(dialect, ()):
        fields.pop(name, None)
    config = _decoded(fields, "output_config") if dialect == "anthropic" else None
    if isinstance(config, dict) and "effort" in config:
        fields["output_config"] = _raw({name: value for name, value in config.items() if name != "effort"})


def _by_schema(fields: dict[str, Raw], dialect: str) -> None:
    schema = {"type": "json_schema", "name": "json", "schema": _ANY_OBJECT}
    if dialect == "ollama" and _decoded(fields, "format") == "json":
        fields["format"] = _raw(_ANY_OBJECT)
    elif dialect == "openai" and _kind(_decoded(fields, "response_format")) == "json_object":
        fields["response_format"] = _raw({"type": "json_schema", "json_schema": {"name": "json", "schema": _ANY_OBJECT}})
    elif dialect == "responses":
        text = _decoded(fields, "text")
        if isinstance(text, dict) and _kind(text.get("format")) == "json_object":
            fields["text"] = _raw({**text, "format": schema})


def _kind(form: Any) -> Any:
    return form.get("type") if isinstance(form, dict) else None


def _decoded(fields: dict[str, Raw], name: str) -> Any:
    raw = fields.get(name)
    return body_value(raw) if raw is not None else None


def _raw(value: Any) -> Raw:
    return Raw(_encode(value))
