"""Edits YAML line by line, and leaves everything else in the text as it stands; what it does is checked by reading anew."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from homeport.cli.clients.client import Spoilt
from homeport.cli.clients.yaml_read import Node, read

Path = Sequence[str | int]

_SAFE = re.compile(r"[A-Za-z/$][\w./:@+{}$ -]*")
_TAKEN = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def values(text: str) -> Any:
    """What the text holds, scalars as texts; {} where that is nothing. Raises Spoilt."""
    root = read(text)
    return {} if root is None or root.value is None else root.plain()


def put(text: str, path: Path, value: str) -> str:
    """The text with a scalar at the path, all but the last part of which must be there. Raises Spoilt."""
    root = read(text)
    before = values(text)
    key = path[-1]
    lines = text.split("\n")
    if root is None or root.value is None:
        return _checked(_ended(text) + f"{key}: {scalar(value)}\n", {key: value}, path)
    parent = _at(root, path[:-1])
    if not isinstance(parent.value, dict):
        raise Spoilt(parent.line + 1, f"{_shown(path[:-1])} is no map of keys in lines, so this command does not edit it")
    node = parent.value.get(str(key))
    if node is None:
        lines.insert(parent.end, f"{' ' * parent.column}{key}: {scalar(value)}")
    elif node.value == value:
        return text
    elif node.span is not None:
        line = lines[node.line]
        lines[node.line] = line[: node.span[0]] + scalar(value) + line[node.span[1] :]
    elif node.value is None and node.line == parent.lines[str(key)]:
        line = lines[node.line]
        end = line.index(":", parent.column + len(str(key))) + 1
        lines[node.line] = f"{line[:end]} {scalar(value)}{line[end:]}"
    else:
        raise Spoilt(node.line + 1, f"{_shown(path)} is written in a way that this command does not edit")
    return _checked("\n".join(lines), _with(before, path, value), path)


def remove(text: str, key: str) -> str:
    """The text without the lines of a key of the outermost map. Raises Spoilt."""
    root = read(text)
    if root is None or not isinstance(root.value, dict) or key not in root.value:
        return text
    lines = text.split("\n")
    del lines[root.lines[key] : max(root.value[key].end, root.lines[key] + 1)]
    return _checked("\n".join(lines), {name: value for name, value in values(text).items() if name != key}, [key])


def append(text: str, key: str, item: Mapping[str, str | list[str]]) -> str:
    """The text with a map at the end of the list under a key of the outermost map; the list is made where it is missing. Raises Spoilt."""
    root = read(text)
    before = values(text)
    if root is None or root.value is None:
        return _checked(_ended(text) + "\n".join([f"{key}:", *_item(item, 2), ""]), {key: [dict(item)]}, [key])
    if not isinstance(root.value, dict):
        raise Spoilt(root.line + 1, "is no map of keys in lines, so this command does not edit it")
    lines = text.split("\n")
    node = root.value.get(key)
    if node is None:
        lines[root.end : root.end] = [f"{' ' * root.column}{key}:", *_item(item, root.column + 2)]
    elif isinstance(node.value, list):
        lines[node.end : node.end] = _item(item, node.column)
    elif node.value is None or (isinstance(node.value, str) and node.span is not None and re.fullmatch(r"\[\s*\]", node.value)):
        line = lines[root.lines[key]]
        if node.span is not None:
            line = (line[: node.span[0]].rstrip() + line[node.span[1] :]).rstrip()
        lines[root.lines[key] : root.lines[key] + 1] = [line, *_item(item, root.column + 2)]
    else:
        raise Spoilt(node.line + 1, f"{key} is written in a way that this command does not edit; it wants a list with a dash a line")
    expected = {**before, key: [*(before.get(key) if isinstance(before.get(key), list) else []), dict(item)]}
    return _checked("\n".join(lines), expected, [key])


def scalar(value: str) -> str:
    """A text as YAML writes it, in quotes only where it needs them."""
    plain = _SAFE.fullmatch(value) and not value.endswith((" ", ":")) and ": " not in value and not _TAKEN.fullmatch(value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _item(item: Mapping[str, str | list[str]], column: int) -> list[str]:
    rows: list[str] = []
    for key, value in item.items():
        if isinstance(value, str):
            rows.append(f"{key}: {scalar(value)}")
        else:
            rows += [f"{key}:", *(f"  - {scalar(part)}" for part in value)]
    return [" " * column + ("- " if number == 0 else "  ") + row for number, row in enumerate(rows)]


def _at(root: Node, path: Path) -> Node:
    node = root
    for part in path:
        inner = node.value
        if isinstance(inner, list) and isinstance(part, int):
            node = inner[part]
        elif isinstance(inner, dict) and part in inner:
            node = inner[str(part)]
        else:
            raise Spoilt(node.line + 1, f"has no {_shown(path)}")
    return node


def _with(before: Any, path: Path, value: str) -> Any:
    """The values with another one at the path."""
    if not path:
        return value
    if isinstance(before, list):
        return [_with(inner, path[1:], value) if place == path[0] else inner for place, inner in enumerate(before)]
    return {**before, path[0]: _with(before.get(path[0]), path[1:], value)}


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _checked(text: str, expected: Any, path: Path) -> str:
    """The text, where it has become what it was meant to."""
    if values(text) != expected:
        raise Spoilt(1, f"{_shown(path)} is written in a way that this command does not edit")
    return text


def _shown(path: Path) -> str:
    return ".".join(map(str, path)) or "the file"
