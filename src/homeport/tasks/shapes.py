"""Shapes: a Python type as JSON Schema for engines, and as the judge of what comes back."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import msgspec
from msgspec import inspect

from homeport.tasks import quote
from homeport.tasks.fault import Fault
from homeport.tasks.quote import Quote


class Shape:
    """A type that a model's answer must have: str, int, float, bool, Literal, Enum, dataclass, Struct, pydantic model, lists and Optionals of these.

    `schema` is strict: every field is required, also one with a default, and no other is allowed, so that a field that is missing
    was lost and never meant. Raises TypeError for a type that JSON cannot hold, and for one that cannot be held to that: it would take
    an answer with less or more in it than there are fields.
    """

    def __init__(self, kind: Any) -> None:
        self.type = kind
        try:
            self.schema = strict(msgspec.json.schema(kind, schema_hook=_schema))
            _held(inspect.type_info(kind), {})
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
        try:
            _nothing_lost(made, value, "$")
        except RecursionError:
            raise Fault("schema", "is nested too deeply") from None
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


def argument(kind: Any, found: Any) -> Any:
    """A pydantic model of decoded JSON (msgspec's `dec_hook`). Raises ValueError, saying which of its fields is wrong."""
    try:
        return kind.model_validate_json(msgspec.json.encode(found))
    except ValueError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]  # type: ignore[attr-defined]  # pydantic's
        raise ValueError("; ".join(wrong)) from None


def _schema(kind: Any) -> dict[str, Any]:
    return dict(quote.SCHEMA) if kind is Quote else argument_schema(kind)


def argument_schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a class that msgspec does not know, where it is a pydantic model (msgspec's `schema_hook`). Raises TypeError."""
    if _is_model(kind):
        made: dict[str, Any] = _inlined(kind.model_json_schema(), {})
        return made
    raise TypeError(f"{named(kind)} is neither a dataclass, a msgspec Struct nor a pydantic model")


def _held(info: inspect.Type, seen: dict[Any, inspect.Type]) -> None:
    """Raises TypeError where a type, or one inside of it, takes answers with something lost or left out, or can take none."""
    cls = getattr(info, "cls", None)
    key = cls if isinstance(info, inspect.CustomType) else id(info)  # a type that holds itself does so as the same object
    if key in seen:
        return
    seen[key] = info
    why = _against(info)
    if why is not None:
        raise TypeError(why if cls is None else f"{named(cls)} is {why}")
    for inner in _within(info):
        _held(inner, seen)


def _against(info: inspect.Type) -> str | None:
    """What a type has against it, without what is inside of it; None for a good one."""
    if isinstance(info, inspect.StructType) and info.array_like:
        return "written as an array, where fields have no names and what is missing or too much does not show: leave array_like out"
    if isinstance(info, inspect.NamedTupleType) and not all(field.required for field in info.fields):
        return "a NamedTuple with defaults, and a field that is missing would be made up: leave the defaults out"
    if isinstance(info, inspect.TypedDictType) and not all(field.required for field in info.fields):
        return "a TypedDict with fields that may be missing, where each must be there: write `| None` in place of total=False and NotRequired"
    if isinstance(info, inspect.DataclassType) and not dataclasses.is_dataclass(info.cls):
        return "an attrs class: take a dataclass"
    if isinstance(info, inspect.SetType | inspect.FrozenSetType):
        return "a set drops what comes twice: take a list"
    if isinstance(info, inspect.DictType) and not _names(info.key_type):
        return "the keys of a dict must be str, a Literal of texts or a StrEnum: a Quote would not be checked there, and JSON has no others"
    return None


def _names(info: inspect.Type) -> bool:
    """Whether a type of keys is one of texts that are the same in JSON and in Python."""
    if isinstance(info, inspect.Metadata):
        return _names(info.type)
    if isinstance(info, inspect.EnumType):
        return issubclass(info.cls, str)
    if isinstance(info, inspect.LiteralType):
        return all(isinstance(value, str) for value in info.values)
    return isinstance(info, inspect.StrType | inspect.AnyType)


def _within(info: inspect.Type) -> Iterator[inspect.Type]:
    """The types that one holds."""
    if isinstance(info, inspect.CustomType) and _is_model(info.cls):
        for field in info.cls.model_fields.values():  # type: ignore[attr-defined]
            yield from _parts(field.annotation)
    for field in getattr(info, "fields", ()):
        yield field.type
    yield from (*getattr(info, "types", ()), *getattr(info, "item_types", ()))
    for name in ("type", "item_type", "value_type"):
        if isinstance(inner := getattr(info, name, None), inspect.Type):
            yield inner


def _parts(hint: Any) -> Iterator[inspect.Type]:
    """A type in a pydantic model; what it is made of where only pydantic knows the whole."""
    try:
        yield inspect.type_info(hint)
    except TypeError:
        for inner in get_args(hint):
            yield from _parts(inner)


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
    said = str(error)
    if error.__cause__ is not None:
        return "is not what its class takes" + "".join(re.findall(r" - at `\$[\w.\[\]-]*`$", said))
    if said.startswith("Object contains unknown field"):  # its name is the model's, and may look like a place
        return "an unknown field"
    if said.startswith(("Invalid value", "Invalid enum value")):
        return "is none of the values allowed" + "".join(re.findall(r" - at (?:`key` in )?`\$[^`]*`\Z", said))
    return said


def _nothing_lost(made: Any, value: Any, path: str) -> None:
    """Raises Fault where a field of the answer is not in what was made of it, or a field of the type was not in the answer.

    `path` has names of the type's own only: keys of a dict are the answer's.
    """
    if isinstance(value, list) and isinstance(made, list | tuple):
        if len(made) != len(value):
            raise Fault("schema", f"{len(value)} items in place of {len(made)} at `{path}`")
        for index, (one, other) in enumerate(zip(made, value, strict=True)):
            _nothing_lost(one, other, f"{path}[{index}]")
        return
    if not isinstance(value, dict):
        return
    fields = _fields(made)
    if lost := [name for name in value if name not in fields]:
        names = ", ".join(map(str, lost))
        raise Fault("schema", f"{len(lost)} unknown field{'s' if len(lost) > 1 else ''} at `{path}`", f"unknown: {names}, at `{path}`")
    own = not isinstance(made, dict)
    if missing := [name for name in fields if name not in value]:
        raise Fault("schema", f"Object missing required field `{missing[0] if own else '...'}` - at `{path}`")
    for name, inner in fields.items():
        _nothing_lost(inner, value[name], f"{path}.{name}" if own else f"{path}[...]")


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
