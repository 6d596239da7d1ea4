"""Reads one homeport.toml, value by value, and collects everything that is wrong with it, each with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from homeport.errors import BadSettings

Key = tuple[str | int, ...]
LARGEST = 10**9  # of any number here: far beyond use, well within what a timer or a counter takes
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "a table"}


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean "listen"?` where a known word is near, else an empty text."""
    import difflib  # only here: most files have no mistake

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower()[:80], by_lower, n=1, cutoff=0.55)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else ""


def listed(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def shown(name: str) -> str:
    """A name of the file's, fit for a message of one line."""
    clean = name if name.isprintable() else ascii(name)[1:-1]
    return clean if len(clean) <= 80 else clean[:77] + "..."


def described(value: object) -> str:
    """The type of a TOML value in plain words; never the value, which may be a secret."""
    return NAMES.get(type(value), "a date or time")


class Document:
    """One file's values and lines, the problems found so far, and things worth telling that are none."""

    def __init__(self, path: Path | None, values: dict[str, Any], lines: Mapping[Key, int]) -> None:
        self.path = path  # as people know it, relative to where they stand
        self.values = values
        self.lines = lines
        self.origins: dict[str, str] = {}
        self._problems: list[tuple[int, str]] = []
        self._notices: list[tuple[int, str]] = []

    @classmethod
    def read(cls, path: Path, origin: str) -> Document:
        """Read and parse the file. Raises BadSettings where it cannot be read or is not TOML."""
        import tomllib  # only here: a start without a file does not need it

        from homeport.settings.lines import locate

        asked = {"flag": " (asked for by --config)", "environment": " (asked for by HOMEPORT_CONFIG)"}.get(origin, "")
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            raise BadSettings(f"{path}: no such file{asked}") from None
        except IsADirectoryError:
            raise BadSettings(f"{path}: is a folder{asked}; name the file in it") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise BadSettings(f"{path}:{line}: is not UTF-8; save the file with that encoding") from None
        except (OSError, ValueError) as error:
            raise BadSettings(f"{path}: cannot be read{asked}: {getattr(error, 'strerror', None) or error}") from None
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            line, what = _syntax(text, error)
            raise BadSettings(f"{path}:{line}: {what}") from None
        return cls(path, values, locate(text))

    def problem(self, key: Key, text: str) -> None:
        self._problems.append((self.line(key), text))

    def notice(self, key: Key, text: str) -> None:
        self._notices.append((self.line(key), text))

    def outside(self, text: str) -> None:
        """A problem with a flag or an environment variable."""
        self._problems.append((0, text))

    def mention(self, text: str) -> None:
        """A notice that concerns no line of the file."""
        self._notices.append((0, text))

    def line(self, key: Key) -> int:
        """The line of a key, or of the nearest table around it; 0 where there is no file."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1) if self.path else 0

    def notices(self) -> tuple[str, ...]:
        """`text (file:line)` each, in the order of the file."""
        return tuple(f"{text} ({self.path}:{line})" if line else text for line, text in sorted(set(self._notices)))

    def refuse(self) -> None:
        """Raises BadSettings with every problem found, a line each, in the order of the file; else does nothing."""
        if self._problems:
            raise BadSettings("\n".join(f"{self.path}:{line}: {text}" if line else text for line, text in sorted(set(self._problems))))

    def table(self, *key: str | int) -> Table:
        """The table under `key`; an empty one where it is missing or something else, which is then a problem."""
        found: Any = self.values
        for part in key:
            found = found.get(part, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            self.problem(key, f"{_dotted(key)} takes a table ([{_dotted(key)}]), not {described(found)}")
            found = {}
        return Table(self, key, found)


class Table:
    """One table of a document. Each reader notes where the value came from and returns the default where it is bad."""

    def __init__(self, document: Document, key: Key, values: dict[str, Any], name: str | None = None) -> None:
        self.document = document
        self.key = key
        self.values = values
        self.name = name or _dotted(key)
        self.unknown: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str | None, text: str) -> None:
        self.document.problem(self.key if key is None else (*self.key, key), f"{self.name}{'.' + key if key else ''} {text}")

    def missing(self, key: str, remedy: str) -> None:
        """A problem where `key` is not there, unless an unknown key was meant to be it."""
        if key not in self.values and not any(meant(other, [key]) for other in self.unknown):
            self.problem(None, f"has no {key}; write {remedy}")

    def known(self, keys: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> None:
        """Every other key is a problem, told with the nearest of `keys`, or with where it belongs."""
        keys = list(keys)
        for key in self.values:
            if key in keys:
                continue
            self.unknown.append(key)
            where = (elsewhere or {}).get(key)
            hint = f"; {where}" if where else meant(key, keys) or f"; it takes {listed(keys)}"
            self.document.problem((*self.key, key), f'[{self.name}] has no key "{shown(key)}"{hint}')

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Each named table inside, such as `home` of `[backends.home]`."""
        for name, found in self.values.items():
            if not isinstance(found, dict):
                self.document.problem((*self.key, name), f"{self.name}.{shown(name)} takes a table: give it a name of its own, such as [{self.name}.home]")
            elif not (name.isascii() and name.isprintable() and name.strip() == name and 0 < len(name) <= 128):
                self.document.problem((*self.key, name), f'the name "{shown(name)}" under [{self.name}] takes 1 to 128 printable ASCII characters')
            else:
                yield name, Table(self.document, (*self.key, name), found)

    def take(self, key: str, kind: type, example: str) -> Any:
        """The value of `key` if it is of the type, else None; a wrong type is a problem told with an example."""
        if key not in self.values:
            self.document.origins.setdefault(f"{self.name}.{key}", "default")
            return None
        self.document.origins[f"{self.name}.{key}"] = "file"
        value = self.values[key]
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        quoted = isinstance(value, str) and kind in (bool, int, float)
        hint = f"; write {key} = {example}" + (" without the quotes" if quoted else "")
        self.problem(key, f"takes {NAMES[kind]}, not {described(value)}{hint}")
        return None

    def whole(self, key: str, default: int, *, least: int = 1) -> int:
        """A whole number of at least `least`."""
        return int(self._number(key, int, default, least, "at least"))

    def seconds(self, key: str, default: float, *, zero: bool = False) -> float:
        """A time in seconds, above 0, or from 0 where `zero`."""
        return float(self._number(key, float, default, 0, "at least" if zero else "more than"))

    def _number(self, key: str, kind: type, default: float, least: float, bound: str) -> float:
        value = self.take(key, kind, f"{default:g}" if kind is float else str(default))
        if value is None:
            return default
        if not math.isfinite(value) or abs(value) > LARGEST:
            self.problem(key, "is too large")
        elif value < least or (value == least and bound == "more than"):
            self.problem(key, f"takes {bound} {least:g}, not {value:g}")
        else:
            return float(value) if kind is float else int(value)
        return default

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.take(key, bool, str(default).lower())
        return default if value is None else bool(value)

    def word(self, key: str, allowed: Iterable[str], default: str) -> str:
        """One of the words allowed."""
        allowed = list(allowed)
        value = self.take(key, str, f'"{default}"')
        if value is None or value in allowed:
            return default if value is None else str(value)
        self.problem(key, f'takes {listed(allowed)}, not "{shown(value)}"{meant(value, allowed)}')
        return default

    def text(self, key: str, example: str) -> str | None:
        """A printable text that is not empty."""
        value = self.take(key, str, f'"{example}"')
        if value is None:
            return None
        if not value.strip() or not value.isprintable():
            self.problem(key, f'is empty or has unprintable characters; write {key} = "{example}"')
            return None
        return str(value)

    def path(self, key: str, example: str) -> Path | None:
        """A path: `~` is the home folder, and a relative one is relative to the file it stands in."""
        value = self.text(key, example)
        return None if value is None else self.beside(key, value)

    def beside(self, key: str, value: str) -> Path | None:
        """`value` as a path, relative to the document's folder."""
        try:
            path = Path(value).expanduser()
        except RuntimeError:
            self.problem(key, "begins with ~, but the home folder is not known; write the whole path")
            return None
        folder = self.document.path.parent if self.document.path else Path()
        return (folder / path).absolute()

    def valid(self, key: str, check: Callable[[str], Any], value: str) -> bool:
        """Whether `check` takes the value; its ValueError becomes a problem."""
        try:
            check(value)
        except ValueError as error:
            self.problem(key, str(error))
            return False
        return True


def _dotted(key: Key) -> str:
    name = ""
    for part in key:
        name += f"[{part + 1}]" if isinstance(part, int) else f".{shown(part)}" if name else shown(part)
    return name


def _syntax(text: str, error: Exception) -> tuple[int, str]:
    """The line of a TOML error, and what is wrong in plain words."""
    if isinstance(error, RecursionError):
        return 1, "is nested too deeply"
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    lines = text.replace("\r\n", "\n").split("\n")
    number = int(found[1]) if found and found[1] else max((n for n, line in enumerate(lines, 1) if line.strip()), default=1)
    what = str(error)[: found.start()] if found else "a number or date that is none"
    line = lines[min(number, len(lines)) - 1]
    head = re.match(r"\s*([\w.-]+|\[+[^\]]*\]+)\s*(?:=|$)", line)
    name = shown(head[1]) if head else "this"
    if "overwrite" in what or "twice" in what or "mutate immutable" in what or "Cannot redefine" in what or "Duplicate" in what:
        before = next((n for n, other in enumerate(lines[: number - 1], 1) if re.match(rf"\s*{re.escape(name)}\s*(=|$|#)", other)), None)
        return number, f"{name} is given twice{f', first on line {before}' if before else ''}; keep one of them"
    if head and re.search(r"=\s*(True|False|TRUE|FALSE|yes|no|on|off)\s*(#.*)?$", line):
        return number, f"is not TOML: {name} takes true or false, in small letters"
    if what.startswith(("Invalid value", "Expected newline")) and head and re.search(r"=\s*[^\s\"'\[{]", line):
        return number, f'is not TOML: {name} has a value without quotes; write {name} = "…"'
    return number, f"is not TOML: {what[:1].lower()}{what[1:]}"
