"""Reads the block style of YAML that people write configuration in, with the line of everything in it; the rest is refused.

Understood: maps and lists by indentation, plain, quoted and block scalars, lists and maps in brackets as one value,
anchors, aliases and tags (passed over), comments, one document. A scalar is its text: `8` and `"8"` are the same here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from homeport.cli.clients.client import Spoilt

_KEY = re.compile(
    r"""(?: "(?P<double>(?:[^"\\]|\\.)*)"
          | '(?P<single>(?:[^']|'')*)'
          | (?P<plain>(?:[^\s\-?:,\[\]{}#&*!|>'"%@`]|[-?:](?=\S))(?:(?!\s\#|:(?:\s|$)).)*?)
        )\s*:(?=\s|$)""",
    re.VERBOSE,
)
_PROPERTY = re.compile(r"(?:&(?P<anchor>[\w-]+)|![^\s,\[\]{}]*)(?=\s|$)")
_BLOCK = re.compile(r"[|>](?:[+-]?[1-9]?|[1-9][+-])(?:\s+#.*|\s*)$")
_ALIAS = re.compile(r"\*(?P<anchor>[\w-]+)(?=\s|$)")
_ESCAPE = re.compile(r"""\\(?:[0abt\tnvfre "/\\N_LP]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|$)""")
_COMMENT = re.compile(r"\s*(?:#.*)?$")
_MARK = re.compile(r"(---|\.\.\.)(\s|$)")  # where a document begins or ends
_DASH = re.compile(r"-(\s|$)")
_COLON = re.compile(r":(?=\s|$)")


@dataclass
class Node:
    """A value, its first line and the line after its last (from 0); a scalar on one line also has its columns."""

    line: int
    end: int
    column: int
    value: str | dict[str, Node] | list[Node] | None
    lines: dict[str, int] = field(default_factory=dict)  # of a map: on which line each key stands
    span: tuple[int, int] | None = None

    def plain(self) -> Any:
        """The value as Python has it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


def read(text: str) -> Node | None:
    """The tree of the text; None where it holds nothing but comments. Raises Spoilt."""
    try:
        return _Reader(text).document()
    except RecursionError:
        raise Spoilt(1, "is nested too deeply") from None


class _Reader:
    """Goes through the lines once; `at` is the next one that was not read yet."""

    def __init__(self, text: str) -> None:
        self.lines = [line.rstrip("\r") for line in text.split("\n")]
        self.at = 0
        self.anchors: set[str] = set()

    def document(self) -> Node | None:
        first = self.next()
        if first is not None and self.lines[first].startswith("%"):
            raise Spoilt(first + 1, "begins with a YAML directive, which this command does not edit")
        if first is not None and re.match(r"---(\s|$)", self.lines[first]):
            if not _COMMENT.match(self.lines[first], 3):
                raise Spoilt(first + 1, "has a value beside ---, which this command does not edit")
            self.at = first + 1
            first = self.next()
        if first is None or self.lines[first].rstrip() == "...":
            return None
        node = self.node(first, self.indent(first), -1)
        rest = self.next()
        if rest is not None and self.lines[rest].rstrip() == "...":
            self.at = rest + 1
            rest = self.next()
        if rest is not None:
            several = re.match(r"---(\s|$)", self.lines[rest])
            raise Spoilt(rest + 1, "begins a second document, which this command does not edit" if several else self.stray(rest))
        return node

    def node(self, line: int, column: int, parent: int) -> Node:
        """The value whose first character stands at a line and column, within a block at column `parent`."""
        text = self.lines[line]
        if _DASH.match(text, column):
            return self.sequence(line, column)
        if re.match(r"\?(\s|$)", text[column:]):
            raise Spoilt(line + 1, "has a key after ?, which this command does not edit")
        if _KEY.match(text, column):
            return self.mapping(line, column)
        return self.value(line, column, parent, nested=False)

    def mapping(self, line: int, column: int) -> Node:
        found: dict[str, Node] = {}
        node = Node(line, line + 1, column, found)
        here: int | None = line
        while here is not None:
            text = self.lines[here]
            match = _KEY.match(text, column)
            if match is None:
                raise Spoilt(here + 1, self.stray(here))
            key = match["plain"] or (match["single"] or "").replace("''", "'") or match["double"] or ""
            if key in found and key != "<<":
                raise Spoilt(here + 1, f"is not YAML: {key} stands here a second time, first on line {node.lines[key] + 1}")
            node.lines[key] = here
            found[key] = self.value(here, match.end(), column, nested=True)
            node.end = max(found[key].end, here + 1)
            here = self.same(column)
            if here is not None and _DASH.match(self.lines[here], column):
                raise Spoilt(here + 1, self.stray(here))
        return node

    def sequence(self, line: int, column: int) -> Node:
        items: list[Node] = []
        node = Node(line, line + 1, column, items)
        here: int | None = line
        while here is not None:
            text = self.lines[here]
            inner = len(text) - len(text[column + 1 :].lstrip(" "))
            if _COMMENT.match(text, column + 1):
                item = self.value(here, column + 1, column, nested=True)
            elif "\t" in text[column + 1 : inner + 1]:
                raise Spoilt(here + 1, "is not YAML: a tab stands where YAML wants blanks")
            else:
                item = self.node(here, inner, column)
            items.append(item)
            node.end = max(item.end, here + 1)
            here = self.same(column)
            if here is not None and not _DASH.match(self.lines[here], column):
                break
        return node

    def same(self, column: int) -> int | None:
        """The next line, where it goes on at this column; None where the block ends. Raises Spoilt where it stands deeper."""
        line = self.next()
        if line is None or self.indent(line) < column or _MARK.match(self.lines[line]):
            return None
        if self.indent(line) > column:
            raise Spoilt(line + 1, self.stray(line))
        return line

    def value(self, line: int, column: int, parent: int, *, nested: bool) -> Node:
        """What stands from a column to the line's end or, where `nested`, in the deeper lines below."""
        text = self.lines[line]
        while True:
            column = len(text) - len(text[column:].lstrip())
            if column >= len(text) or (text[column] == "#" and text[column - 1 : column].isspace()):
                self.at = line + 1
                return self.below(line, parent) if nested else Node(line, line + 1, column, None)
            found = _PROPERTY.match(text, column)
            if found is None:
                break
            column, nested = found.end(), True
            if found["anchor"]:
                self.anchors.add(found["anchor"])
            if _KEY.match(text[column:].lstrip()):
                raise Spoilt(line + 1, "has an anchor or a tag before a key, which this command does not edit")
        char = text[column]
        if char in "|>":
            return self.block(line, column, parent)
        if char in "\"'":
            return self.quoted(line, column, parent)
        if char in "[{":
            return self.flow(line, column, parent)
        if char == "*":
            found = _ALIAS.match(text, column)
            if found is None or not _COMMENT.match(text, found.end()) or found["anchor"] not in self.anchors:
                raise Spoilt(line + 1, "is not YAML: an alias (*) of nothing above it")
            self.at = line + 1
            return Node(line, line + 1, column, found[0])
        return self.text(line, column, parent)

    def below(self, line: int, parent: int) -> Node:
        """The block in the lines below a key or a dash; nothing where they stand no deeper."""
        following = self.next()
        if following is not None and not _MARK.match(self.lines[following]):
            indent = self.indent(following)
            dashed = _DASH.match(self.lines[following], indent)
            if indent > parent or (indent == parent and dashed and not self.lines[line][parent:].startswith("-")):
                return self.node(following, indent, parent)
        return Node(line, line + 1, len(self.lines[line]), None)

    def block(self, line: int, column: int, parent: int) -> Node:
        """A text after | or >: every deeper line."""
        if not _BLOCK.match(self.lines[line], column):
            raise Spoilt(line + 1, "is not YAML: something stands behind | or >")
        end, first = line + 1, None
        for number in range(line + 1, len(self.lines)):
            text = self.lines[number]
            if not text.strip():
                continue
            indent = len(text) - len(text.lstrip(" "))
            if indent <= parent:
                break
            first = indent if first is None else first
            if indent < first and not re.search(r"[1-9]", self.lines[line][column:].partition("#")[0]):
                if text.lstrip().startswith("#"):
                    break
                raise Spoilt(number + 1, self.stray(number))
            end = number + 1
        self.at = end
        return Node(line, end, column, "\n".join(self.lines[line + 1 : end]))

    def quoted(self, line: int, column: int, parent: int) -> Node:
        """A text in quotes, on one line or several."""
        quote, number, position = self.lines[line][column], line, column + 1
        while True:
            text = self.lines[number]
            if position >= len(text):
                number, position = self.more(line, number, parent, "a text without its closing quote"), 0
            elif quote == '"' and text[position] == "\\":
                found = _ESCAPE.match(text, position)
                if found is None:
                    raise Spoilt(number + 1, "is not YAML: a text with an escape that is none")
                position = found.end()
            elif quote == "'" and text.startswith("''", position):
                position += 2
            elif text[position] == quote:
                break
            else:
                position += 1
        return self.closed(line, column, number, position + 1)

    def flow(self, line: int, column: int, parent: int) -> Node:
        """A list or a map in brackets, on one line or several."""
        pairs, number, position, quote = [""], line, column, ""
        while True:
            text = self.lines[number]
            if position >= len(text) or (not quote and text[position] == "#" and text[position - 1 : position].isspace()):
                number, position = self.more(line, number, parent, f"{pairs[-1]} is missing"), 0
                continue
            char = text[position]
            if quote:
                position += 1 if quote == '"' and char == "\\" else 0
                quote = "" if char == quote else quote
            elif char in "\"'" and re.search(r"(^|[\s,:\[{])$", text[:position]):
                quote = char
            elif char in "[{":
                pairs.append("]" if char == "[" else "}")
            elif char in "]}" and pairs.pop() != char:
                raise Spoilt(number + 1, f"is not YAML: {char} closes nothing")
            position += 1
            if len(pairs) == 1:
                return self.closed(line, column, number, position)

    def closed(self, line: int, column: int, number: int, position: int) -> Node:
        """The scalar that ends before a line and column, behind which nothing may stand."""
        rest = self.lines[number][position:]
        if not _COMMENT.match(rest) or rest.startswith("#"):
            raise Spoilt(number + 1, "is not YAML: something stands behind the end of a value")
        self.at = number + 1
        if number > line:
            return Node(line, number + 1, column, "\n".join([self.lines[line][column:], *self.lines[line + 1 : number], self.lines[number][:position]]))
        shown = self.lines[line][column:position]
        value = shown[1:-1] if shown[0] in "\"'" else shown
        return Node(line, line + 1, column, value.replace("''", "'") if shown[0] == "'" else value, span=(column, position))

    def text(self, line: int, column: int, parent: int) -> Node:
        """A text without quotes, which deeper lines may go on with."""
        first = self.lines[line][column:]
        if first[0] in "@`%,]}|>&*!#" or re.match(r"[-?:](\s|$)", first):
            raise Spoilt(line + 1, f"is not YAML: a text that begins with {first[0]} must stand in quotes")
        shown, commented = self.uncommented(line, column)
        parts, end = [shown], line + 1
        for number in range(line + 1, len(self.lines)):
            following = self.lines[number]
            if not following.strip():
                continue
            if self.indent(number) <= parent or following.lstrip().startswith("#") or _MARK.match(following):
                break
            if commented:
                raise Spoilt(number + 1, self.stray(number))
            more, commented = self.uncommented(number, self.indent(number))
            parts.append(more)
            end = number + 1
        self.at = end
        return Node(line, end, column, " ".join(parts), span=(column, column + len(shown)) if len(parts) == 1 else None)

    def uncommented(self, line: int, column: int) -> tuple[str, bool]:
        """The text from a column to the comment or the line's end, and whether there is a comment."""
        text = self.lines[line][column:]
        found = re.search(r"\s#", text)
        shown = (text[: found.start()] if found else text).rstrip()
        if _COLON.search(shown):
            raise Spoilt(line + 1, "is not YAML: a colon in the middle of a text; put the text in quotes, or look at the indentation")
        return shown, found is not None

    def more(self, line: int, number: int, parent: int, missing: str) -> int:
        """The line on which a value goes on. Raises Spoilt where there is none."""
        number += 1
        while number < len(self.lines) and not self.lines[number].strip():
            number += 1
        if number >= len(self.lines) or len(self.lines[number]) - len(self.lines[number].lstrip()) <= parent:
            raise Spoilt(line + 1, f"is not YAML: {missing}")
        return number

    def next(self) -> int | None:
        """The next line that is neither blank nor a comment."""
        for number in range(self.at, len(self.lines)):
            if not _COMMENT.match(self.lines[number]):
                self.at = number
                return number
        self.at = len(self.lines)
        return None

    def indent(self, line: int) -> int:
        text = self.lines[line]
        found = len(text) - len(text.lstrip(" "))
        if text[found : found + 1] == "\t":
            raise Spoilt(line + 1, "is not YAML: a tab stands where YAML wants blanks")
        return found

    def stray(self, line: int) -> str:
        """What is wrong with a line that fits nothing above it."""
        text = self.lines[line].strip()
        if not _KEY.match(text) and not text.startswith("-"):
            return "is not YAML: neither a key with a colon and a blank behind it nor a list's dash"
        return "is not YAML: its indentation fits nothing above it"
