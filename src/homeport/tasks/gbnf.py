"""A grammar for engines that take one: a schema whose quotes can only be runs of the input's words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from homeport.tasks import quote, quoting
from homeport.tasks.shapes import resolved

_PLAIN = {
    "string": r'string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] ) )* "\""',
    "integer": r'integer ::= "-"? ( [0-9] | [1-9] [0-9]{1,15} )',
    "number": r'number ::= "-"? ( [0-9] | [1-9] [0-9]{1,15} ) ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )?',
    "boolean": 'boolean ::= "true" | "false"',
    "null": 'null ::= "null"',
    "blank": r'blank ::= "" | " " | "\n" [ \t]{0,20}',
}
_BOUNDED = {"minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"}


class Inexpressible(Exception):
    """A schema that this grammar cannot say; it is asked for as a schema then."""


def grammar(schema: dict[str, Any], sources: Sequence[str]) -> str | None:
    """GBNF for JSON of the schema, fields in its order. `sources`: the texts that quotes are taken from.

    Its size is linear in that of the sources. None where the schema says what the grammar cannot, or the sources are too long.
    """
    writer = _Writer(schema)
    try:
        writer.rules["root"] = f"root ::= {writer.value(schema)}"
    except Inexpressible:
        return None
    if writer.quoted:
        runs = quoting.rules(sources)
        if runs is None:
            return None
        return "\n".join([*writer.rules.values(), *runs]) + "\n"
    return "\n".join(writer.rules.values()) + "\n"


class _Writer:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.rules: dict[str, str] = {}
        self.quoted = False

    def value(self, schema: dict[str, Any]) -> str:
        """The right side for one schema."""
        if schema == quote.SCHEMA:
            self.quoted = True
            return "quote"
        if "$ref" in schema:
            return self._reference(schema)
        if _BOUNDED & schema.keys():
            raise Inexpressible
        if "enum" in schema or "const" in schema:
            words = schema["enum"] if "enum" in schema else [schema["const"]]
            return self._either([quoting.literal(json.dumps(word, ensure_ascii=False)) for word in words])
        for ways in ("anyOf", "oneOf"):
            if ways in schema:
                return self._either([self.value(way) for way in schema[ways]])
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        if kind not in ("string", "integer", "number", "boolean", "null"):
            raise Inexpressible
        return self._plain(str(kind))

    def _plain(self, name: str) -> str:
        self.rules[name] = _PLAIN[name]
        return name

    def _either(self, ways: list[str]) -> str:
        return ways[0] if len(ways) == 1 else f"( {' | '.join(ways)} )"

    def _reference(self, schema: dict[str, Any]) -> str:
        name = "def-" + "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in str(schema["$ref"]).rpartition("/")[2])
        if name not in self.rules:
            self.rules[name] = ""  # named before it is written: it may hold itself
            self.rules[name] = f"{name} ::= {self.value(resolved(schema, self.root))}"
        return name

    def _object(self, schema: dict[str, Any]) -> str:
        fields = schema.get("properties")
        if not fields or schema.get("additionalProperties") is not False:
            raise Inexpressible
        blank = self._plain("blank")
        parts = [f"{quoting.literal(json.dumps(name, ensure_ascii=False) + ':')} {blank} {self.value(inner)}" for name, inner in fields.items()]
        between = f' {blank} "," {blank} '
        return f'"{{" {blank} {between.join(parts)} {blank} "}}"'

    def _array(self, schema: dict[str, Any]) -> str:
        if not isinstance(schema.get("items"), dict):
            raise Inexpressible
        blank = self._plain("blank")
        item = self.value(schema["items"])
        return f'"[" {blank} ( {item} ( {blank} "," {blank} {item} )* {blank} )? "]"'
