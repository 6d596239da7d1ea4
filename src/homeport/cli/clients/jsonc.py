"""Edits JSON, with or without comments and trailing commas, and leaves everything else in the text as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from homeport.cli.clients.client import Spoilt

Path = Sequence[str]

_BLANK = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/[ \t]*(?=\r?\n))?")
_KINDS = {"{": "an object", "[": "a list"}


@dataclass
class Node:
    """A value and where it stands: `start` to `end` in the text."""

    start: int
    end: int
    value: Any  # as Python has it
    entries: list[Entry] = field(default_factory=list)  # of an object or a list

    def get(self, key: str) -> Entry | None:
        """The last entry of an object with that key, which is the one that counts."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)


@dataclass
class Entry:
    """A member of an object, or an element of a list (which has no key). `comma`: where the comma behind it stands."""

    key: str | None
    start: int
    node: Node
    comma: int | None = None


def read(text: str, *, comments: bool = True) -> Any:
    """The value of the text as Python has it; {} where there is none. Raises Spoilt."""
    node = _Reader(text, comments=comments).document()
    return {} if node is None else node.value


def put(text: str, path: Path, value: Any, *, comments: bool = True) -> str:
    """The text with `value` at the path, whose objects are made where they are missing. Raises Spoilt."""
    root = _Reader(text, comments=comments).document()
    if root is None:
        lead = text.rstrip() + "\n" if text.strip() else ""
        return f"{lead}{json.dumps(_nested(path, value), indent=2, ensure_ascii=False)}\n"
    node = root
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            raise _other_kind(text, node, path[:depth], "{")
        entry = node.get(key)
        if entry is None:
            return _insert(text, node, _nested(path[depth + 1 :], value), key)
        node = entry.node
    if node.value == value:
        return text
    shown = _rendered(value, _indent_of(text, node.start), _unit(text))
    return text[: node.start] + shown + text[node.end :]


def append(text: str, path: Path, value: Any, *, comments: bool = True) -> str:
    """The text with `value` at the end of the list at the path, which is made where it is missing. Raises Spoilt."""
    node = _Reader(text, comments=comments).document()
    for depth, key in enumerate(path):
        entry = node.get(key) if node is not None and isinstance(node.value, dict) else None
        if entry is None:
            return put(text, path, [value], comments=comments)
        node = entry.node
        if depth == len(path) - 1 and not isinstance(node.value, list):
            raise _other_kind(text, node, path, "[")
    assert node is not None
    return _insert(text, node, value, None)


def remove(text: str, path: Path, *, comments: bool = True) -> str:
    """The text without the member at the path, and without its line where nothing else stands there. Raises Spoilt."""
    node = _Reader(text, comments=comments).document()
    for depth, key in enumerate(path):
        entry = node.get(key) if node is not None and isinstance(node.value, dict) else None
        if node is None or entry is None:
            return text
        if depth == len(path) - 1:
            return _cut(text, node, entry)
        node = entry.node
    return text


def _insert(text: str, parent: Node, value: Any, key: str | None) -> str:
    """A new last entry of an object or a list, on a line of its own unless all of the others share one."""
    last = parent.entries[-1] if parent.entries else None
    unit = _unit(text)
    if last is not None and "\n" not in text[parent.start : last.start]:  # all on one line
        end = last.node.end
        shown = _member(key, json.dumps(value, ensure_ascii=False))
        return f"{text[:end]}, {shown}{text[end:]}"
    outer = _indent_of(text, parent.start)
    indent = _indent_of(text, last.start) if last is not None else outer + unit
    shown = f"\n{indent}{_member(key, _rendered(value, indent, unit))}"
    if last is None:
        at = parent.start + 1
        tail = "" if "\n" in text[at : parent.end] else f"\n{outer}"
        if tail:  # the brackets stand side by side
            return text[:at] + shown + text[at : parent.end - 1].rstrip() + tail + text[parent.end - 1 :]
        return text[:at] + shown + text[at:]
    end = last.node.end if last.comma is None else last.comma + 1
    comma, after = ("," if last.comma is None else ""), ("" if last.comma is None else ",")
    rest = _REST_OF_LINE.match(text, end)
    behind = rest.end() if rest else end
    if not text.startswith(("\n", "\r\n"), behind):  # something else follows on this line
        behind = end
    return text[:end] + comma + text[end:behind] + shown + after + text[behind:]


def _cut(text: str, parent: Node, entry: Entry) -> str:
    """Without one entry; the comma before it goes where it was the last."""
    place = parent.entries.index(entry)
    end = entry.node.end if entry.comma is None else entry.comma + 1
    rest = _REST_OF_LINE.match(text, end)
    line = text.rfind("\n", 0, entry.start) + 1
    start = entry.start
    if not text[line:start].strip() and rest and text.startswith(("\n", "\r\n"), rest.end()):
        start, end = line, text.index("\n", rest.end()) + 1
    elif entry.comma is not None:
        end = len(text) - len(text[end:].lstrip(" "))
    comma = parent.entries[place - 1].comma if place and entry.comma is None else None
    if comma is None:
        return text[:start] + text[end:]
    between = text[comma + 1 : start]
    return text[:comma] + (between if "\n" in between else between.rstrip(" ")) + text[end:]


def _member(key: str | None, shown: str) -> str:
    return shown if key is None else f"{json.dumps(key, ensure_ascii=False)}: {shown}"


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _rendered(value: Any, indent: str, unit: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", f"\n{indent}")


def _indent_of(text: str, at: int) -> str:
    """The blanks at the beginning of the line."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation, as the text has it."""
    found = re.search(r"^([ \t]+)[\"\]{\[}]", text, re.MULTILINE)
    return ("\t" if found[1].startswith("\t") else found[1]) if found else "  "


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _other_kind(text: str, node: Node, path: Path, wanted: str) -> Spoilt:
    name = f'"{".".join(path)}"' if path else "the file"
    return Spoilt(_line(text, node.start), f"{name} holds something else than {_KINDS[wanted]}")


class _Reader:
    """Reads one text from its beginning to its end."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self.comments = comments
        self.at = 0

    def document(self) -> Node | None:
        self.blank()
        if self.at == len(self.text):
            return None
        try:
            node = self.value()
        except RecursionError:
            raise Spoilt(1, "is nested too deeply") from None
        self.blank()
        if self.at < len(self.text):
            raise self.wrong("is not JSON: something stands after its end")
        return node

    def value(self) -> Node:
        start = self.at
        char = self.text[start : start + 1]
        if char in ("{", "["):
            return self.container(start, "}" if char == "{" else "]")
        found = (_STRING if char == '"' else _WORD).match(self.text, start)
        if found is None:
            raise self.wrong("is not JSON: a text without its closing quote" if char == '"' else "is not JSON: a value is missing")
        self.at = found.end()
        return Node(start, self.at, self.decoded(found[0], start))

    def container(self, start: int, close: str) -> Node:
        node = Node(start, start, {} if close == "}" else [])
        self.at += 1
        while True:
            self.blank()
            char = self.text[self.at : self.at + 1]
            if char == close:
                if node.entries and node.entries[-1].comma is not None and not self.comments:
                    raise self.wrong(f"is not JSON: a comma stands before {close}")
                self.at += 1
                node.end = self.at
                return node
            if node.entries and node.entries[-1].comma is None:
                raise self.wrong(f"is not JSON: a comma or {close} is missing")
            if not char:
                raise self.wrong(f"is not JSON: {close} is missing")
            entry = self.entry(keyed=close == "}")
            node.entries.append(entry)
            if close == "}":
                node.value[entry.key] = entry.node.value
            else:
                node.value.append(entry.node.value)
            self.blank()
            if self.text.startswith(",", self.at):
                entry.comma = self.at
                self.at += 1

    def entry(self, *, keyed: bool) -> Entry:
        start = self.at
        if not keyed:
            return Entry(None, start, self.value())
        found = _STRING.match(self.text, start)
        if found is None:
            raise self.wrong("is not JSON: a name in quotes is missing")
        self.at = found.end()
        self.blank()
        if not self.text.startswith(":", self.at):
            raise self.wrong("is not JSON: a colon is missing")
        self.at += 1
        self.blank()
        return Entry(self.decoded(found[0], start), start, self.value())

    def blank(self) -> None:
        """Skip blanks and comments."""
        while True:
            found = _BLANK.match(self.text, self.at)
            if found is None and self.text.startswith(("//", "/*"), self.at):
                if not self.comments:
                    raise self.wrong("is not JSON: this client takes no comments")
                found = _COMMENT.match(self.text, self.at)
                if found is None:
                    raise self.wrong("is not JSON: a comment has no end")
            if found is None:
                return
            self.at = found.end()

    def decoded(self, token: str, start: int) -> Any:
        try:
            return json.loads(token)
        except ValueError:
            self.at = start
            raise self.wrong("is not JSON: a text with an escape that is none") from None

    def wrong(self, what: str) -> Spoilt:
        return Spoilt(_line(self.text, min(self.at, len(self.text.rstrip()))), what)
