"""Shapes: a Python type as JSON Schema for engines, and as the judge of what comes back."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.tasks import quote
from homeport.tasks.fault import Fault
from homeport.tasks.quote import Quote


class Shape:
    """A type that a model's answer must have: str, int, float, bool, Literal, Enum, dataclass, Struct, pydantic model, lists and Optionals of these.

    `schema` is strict: every field is required, also one with a default, and no other is allowed, so that a field that is missing
    was lost and never meant. Raises TypeError for a type that JSON cannot hold.
    """

    def __init__(self, kind: Any) -> None:
        self.type = kind
        try:
            self.schema = strict(msgspec.json.schema(kind, schema_hook=_schema))
        except (TypeError, NotImplementedError) as error:
            raise TypeError(f"{named(kind)} cannot be the type of a task: {error}") from None
        self.text = self.schema == {"type": "string"}  # plain text: the answer as it is, no JSON
        self.words = _words(self.schema)  # the only texts allowed, where the answer is one of some
        self.quotes = marked(self.schema)
        root = resolved(self.schema, self.schema)
        self.container: type | None = {"object": dict, "array": list}.get(str(root.get("type")))  # what holds the answer, where it is no single value
        self.wire: dict[str, Any] = unmarked(self.schema)  # as engines take it: without the marks of quotes
        self.compact = json.dumps(self.wire, separators=(",", ":"), ensure_ascii=False)  # the same, written

    def convert(self, value: Any, sources: Sequence[str] = ()) -> Any:
        """Decoded JSON as the type. `sources`: the texts that a Quote must stand in.

        Raises Fault: "schema" for a wrong type, a missing or an unknown field, "quote" for one that is not in the sources.
        """

        def hook(kind: Any, found: Any) -> Any:
            if kind is Quote:
                return quote.anchored(found, sources)
            return kind.model_validate_json(msgspec.json.encode(found), strict=True, context={"sources": sources})

        try:
            made = msgspec.convert(value, self.type, dec_hook=hook)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, quote.Unanchored):
                raise Fault("quote", str(error)) from None
            raise Fault("schema", _without_content(error), str(error)) from None
        _nothing_lost(made, value, "$")
        return made


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every property required, no other allowed, and without what a model need not see."""
    if isinstance(schema.get("properties"), dict):
        schema = {**schema, "required": list(schema["properties"]), "additionalProperties": False}
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: strict(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            kept[key] = strict(value)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            kept[key] = [strict(inner) for inner in value]
        elif key not in ("default", "title"):
            kept[key] = value
    if set(kept) == {"$ref", "$defs"}:  # a root that is only a reference: engines like the object itself
        name = str(kept["$ref"]).removeprefix("#/$defs/")
        rest = {key: value for key, value in kept["$defs"].items() if key != name or _mentions(kept["$defs"], kept["$ref"])}
        return {**kept["$defs"][name], **({"$defs": rest} if rest else {})}
    return kept


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` stands for; the schema itself where it is none."""
    while "$ref" in schema:
        schema = root["$defs"][str(schema["$ref"]).removeprefix("#/$defs/")]
    return schema


def marked(schema: Any) -> bool:
    """Whether a Quote is in it."""
    if isinstance(schema, dict):
        return schema == quote.SCHEMA or any(map(marked, schema.values()))
    return isinstance(schema, list) and any(map(marked, schema))


def unmarked(schema: Any) -> Any:
    """The same without the marks of quotes."""
    if isinstance(schema, dict):
        return {"type": "string"} if schema == quote.SCHEMA else {key: unmarked(value) for key, value in schema.items()}
    return [unmarked(value) for value in schema] if isinstance(schema, list) else schema


def named(kind: Any) -> str:
    """The name of a type, for messages."""
    return getattr(kind, "__name__", None) or str(kind)


def plain(value: Any) -> Any:
    """A result as JSON knows it: dicts, lists, texts, numbers."""
    return msgspec.to_builtins(value, enc_hook=_plain)


def written(value: Any) -> bytes:
    """A result, or what holds one, as JSON."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Quote):
        return str(value)
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    raise NotImplementedError(f"{named(type(value))} cannot be written as JSON")


def _schema(kind: Any) -> dict[str, Any]:
    if kind is Quote:
        return dict(quote.SCHEMA)
    if _is_model(kind):
        made: dict[str, Any] = _inlined(kind.model_json_schema(), {})
        return made
    raise NotImplementedError("a class that is neither a dataclass, a msgspec Struct nor a pydantic model")


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_validate_json") and hasattr(kind, "model_json_schema")


def _inlined(schema: Any, definitions: dict[str, Any], depth: int = 0) -> Any:
    """pydantic's schema without references, so that it can stand inside of another."""
    if depth > 32:
        raise TypeError("a pydantic model that holds itself")
    if isinstance(schema, list):
        return [_inlined(value, definitions, depth) for value in schema]
    if not isinstance(schema, dict):
        return schema
    definitions = schema.get("$defs", definitions)
    if "$ref" in schema:
        return _inlined(definitions[str(schema["$ref"]).removeprefix("#/$defs/")], definitions, depth + 1)
    return {key: _inlined(value, definitions, depth) for key, value in schema.items() if key != "$defs"}


def _words(schema: dict[str, Any]) -> tuple[str, ...]:
    words = schema.get("enum", ())
    return tuple(words) if words and all(isinstance(word, str) for word in words) else ()


def _mentions(schema: Any, reference: str) -> bool:
    if isinstance(schema, dict):
        return schema.get("$ref") == reference or any(_mentions(value, reference) for value in schema.values())
    return isinstance(schema, list) and any(_mentions(value, reference) for value in schema)


def _without_content(error: msgspec.ValidationError) -> str:
    """The message without what the model wrote, which msgspec quotes for a value that is none of an enum's, and a class's own check may."""
    if error.__cause__ is not None:
        return "is not what its class takes" + "".join(re.findall(r" - at `\$[\w.\[\]-]*`$", str(error)))
    return re.sub(r"^Invalid (enum )?value .*?(?= - at `\$|$)", "is none of the values allowed", str(error), flags=re.DOTALL)


def _nothing_lost(made: Any, value: Any, path: str) -> None:
    """Raises Fault where a field of the answer is not in what was made of it, or a field of the type was not in the answer."""
    if isinstance(value, list) and isinstance(made, list | tuple):
        for index, (one, other) in enumerate(zip(made, value, strict=True)):
            _nothing_lost(one, other, f"{path}[{index}]")
        return
    if not isinstance(value, dict):
        return
    fields = _fields(made)
    if lost := [name for name in value if name not in fields]:
        names = ", ".join(map(str, lost))
        raise Fault("schema", f"{len(lost)} unknown field{'s' if len(lost) > 1 else ''} at `{path}`", f"unknown: {names}, at `{path}`")
    if missing := [name for name in fields if name not in value]:
        raise Fault("schema", f"Object missing required field `{missing[0]}` - at `{path}`")
    for name, inner in fields.items():
        _nothing_lost(inner, value[name], f"{path}.{name}")


def _fields(made: Any) -> dict[str, Any]:
    """The fields of an object by their names in JSON."""
    if isinstance(made, msgspec.Struct):
        config = made.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field is not None and config.tag is not None else {}
        names = zip(made.__struct_encode_fields__, made.__struct_fields__, strict=True)
        return {**tag, **{encoded: getattr(made, name) for encoded, name in names}}
    if dataclasses.is_dataclass(made):
        return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    if _is_model(type(made)):
        return {field.alias or name: getattr(made, name) for name, field in type(made).model_fields.items()}
    return dict(made) if isinstance(made, dict) else {}
