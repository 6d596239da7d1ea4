"""On which line each key of a TOML text stands; tomllib does not say."""

from __future__ import annotations

import tomllib
from contextlib import suppress

Key = tuple[str | int, ...]

BLANK = " \t\r"
ENDS_VALUE = ",]}#\n"
ENDS_KEY = " \t\r\n.=]}"


def locate(text: str) -> dict[Key, int]:
    """Key path → line, from 1, for every table, key and array entry of a text that tomllib has accepted."""
    scanner = _Scanner(text)
    with suppress(IndexError, RecursionError, tomllib.TOMLDecodeError):  # rather fewer lines than no message
        scanner.document()
    return scanner.found


class _Scanner:
    """Walks once over the text. It trusts the text to be valid and only keeps track of where it is."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n") + "\n"
        self.at = 0
        self.line = 1
        self.found: dict[Key, int] = {}
        self.arrays: dict[Key, int] = {}  # arrays of tables: the index of the last one

    def document(self) -> None:
        table: Key = ()
        while self.blank(newlines=True):
            if self.text.startswith("[[", self.at):
                self.at += 2
                path = self.resolve(self.keys())
                index = self.arrays.get(path, -1) + 1
                self.arrays[path] = index
                self.note(path)
                table = (*path, index)
                self.note(table)
                self.at += 2
            elif self.text[self.at] == "[":
                self.at += 1
                table = self.resolve(self.keys(), last=True)
                self.note(table)
                self.at += 1
            else:
                self.pair(table)

    def pair(self, table: Key) -> None:
        path = (*table, *self.keys())
        for end in range(len(table) + 1, len(path) + 1):
            self.note(path[:end])
        self.at += 1  # the equals sign
        self.blank()
        self.value(path)

    def value(self, path: Key) -> None:
        char = self.text[self.at]
        if char in "\"'":
            self.string()
        elif char == "[":
            self.array(path)
        elif char == "{":
            self.inline(path)
        else:
            while self.text[self.at] not in ENDS_VALUE:
                self.at += 1

    def array(self, path: Key) -> None:
        self.at += 1
        index = 0
        while self.blank(newlines=True) and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.note((*path, index))
            self.value((*path, index))
            index += 1
        self.at += 1

    def inline(self, path: Key) -> None:
        self.at += 1
        while self.blank(newlines=True) and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
            else:
                self.pair(path)
        self.at += 1

    def keys(self) -> Key:
        path: list[str] = []
        while True:
            self.blank()
            start = self.at
            if self.text[start] in "\"'":
                self.string()
                path.append(tomllib.loads("k = " + self.text[start : self.at])["k"])
            else:
                while self.text[self.at] not in ENDS_KEY:
                    self.at += 1
                path.append(self.text[start : self.at])
            self.blank()
            if self.text[self.at] != ".":
                return tuple(path)
            self.at += 1

    def string(self) -> None:
        quote = self.text[self.at]
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            if self.text[self.at] == "\n":
                self.line += 1
            if quote == '"' and self.text[self.at] == "\\":
                self.at += 1
                if self.text[self.at] == "\n":
                    self.line += 1
            self.at += 1
        self.at += len(mark)
        while len(mark) == 3 and self.text[self.at] == quote:  # up to two quotes may stand before the end
            self.at += 1

    def blank(self, *, newlines: bool = False) -> bool:
        """Skip blanks, with `newlines` also line ends and comments; false at the end of the text."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if newlines and char == "#":
                self.at = self.text.index("\n", self.at)
            elif newlines and char == "\n":
                self.line += 1
                self.at += 1
            elif char in BLANK:
                self.at += 1
            else:
                return True
        return False

    def resolve(self, keys: Key, *, last: bool = False) -> Key:
        """The path of a header's keys, with the index of each array of tables on the way (the last key's too where `last`)."""
        path: Key = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            if path in self.arrays and (last or number < len(keys)):
                path = (*path, self.arrays[path])
        return path

    def note(self, path: Key) -> None:
        for end in range(1, len(path) + 1):
            self.found.setdefault(path[:end], self.line)
