"""Reads `[answers.NAME]`: what code answers in place of a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.errors import BadSettings
from homeport.settings.document import Table, described, listed, meant, shown
from homeport.settings.patterns import MAX_CHARS, compiled
from homeport.settings.tree import AnswerSettings, ModelSettings

KEYS = ("models", "exact", "pattern", "reply", "data")
DATA = "data"  # the first step of a path into the file
_MARK = re.compile(r"\{([A-Za-z_]\w*(?:\.[\w-]+)*)\}")
Part = str | tuple[str, ...]
"""A piece of a reply: text as it is, or the steps of what is put in."""


def read_answer(name: str, table: Table, models: Mapping[str, ModelSettings]) -> AnswerSettings:
    """One of `[answers]`. What is wrong is collected in the table's document."""
    table.known(KEYS)
    table.missing("models", 'models = ["assistant"]')
    table.missing("reply", 'reply = "…"')
    asked = _texts(table, "models", '["assistant"]')
    for model in asked:
        if models and model.removesuffix(":latest") not in {known.removesuffix(":latest") for known in models}:
            table.problem("models", f'names "{shown(model)}", which is no model{meant(model, [*models]) or f"; there are {listed([*models])}"}')
    exact = _texts(table, "exact", '["help"]')
    if any(len(text) > MAX_CHARS for text in exact):
        table.problem("exact", f"has a text of more than {MAX_CHARS} characters")
    pattern = table.take("pattern", str, "'show (?P<item>\\w+)'")
    if not exact and pattern is None and "exact" not in table.values and "pattern" not in table.values:
        table.problem(None, 'has neither exact nor pattern; write exact = ["help"]')
    data = table.path("data", "projects.json")
    reply = table.take("reply", str, '"…"') or ""
    if reply == "" and "reply" in table.values and isinstance(table.values["reply"], str):
        table.problem("reply", "is empty")
    groups: Collection[str] = ()
    if pattern is not None and table.valid("pattern", compiled, pattern):
        groups = [*compiled(pattern).groupindex]
    _placeholders(table, reply, groups, data, anyway=bool(exact))
    return AnswerSettings(name=name, models=tuple(asked), exact=tuple(exact), pattern=pattern, reply=reply, data=data)


def parts(reply: str) -> list[Part]:
    """A reply taken apart once: what stands in `{…}` is put in, all else is text; braces around anything else are text too."""
    found: list[Part] = []
    at = 0
    for mark in _MARK.finditer(reply):
        found += [reply[at : mark.start()], tuple(mark[1].split("."))]
        at = mark.end()
    return [part for part in (*found, reply[at:]) if part]


def content(path: Path) -> Any:
    """What a file of data holds. Raises ValueError."""
    import tomllib  # only here: most gateways have no answers

    if path.suffix not in (".json", ".toml"):
        raise ValueError(f'takes a file whose name ends in ".json" or ".toml"; {path.name} does not')
    try:
        written = path.read_bytes()
        return tomllib.loads(written.decode()) if path.suffix == ".toml" else msgspec.json.decode(written)
    except OSError as error:
        raise ValueError(f"names {path}, which cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"names {path}, which is no {path.suffix[1:].upper()}: {error}") from None


def contents(answers: Mapping[str, AnswerSettings]) -> dict[Path, Any]:
    """What the files of all of them hold now. Raises BadSettings."""
    found: dict[Path, Any] = {}
    for answer in answers.values():
        if answer.data is not None and answer.data not in found:
            try:
                found[answer.data] = content(answer.data)
            except ValueError as error:
                raise BadSettings(f"answers.{answer.name}.data {error}") from None
    return found


def _texts(table: Table, key: str, example: str) -> list[str]:
    found = table.take(key, list, example)
    good = [value for value in found or [] if isinstance(value, str) and value.strip()]
    if found is not None and (not found or len(good) != len(found)):
        wrong = next((value for value in found if not isinstance(value, str)), None)
        table.problem(key, f"takes texts, such as {example}, not {'an empty one' if wrong is None else described(wrong)}")
    return good


def _placeholders(table: Table, reply: str, groups: Collection[str], data: Path | None, *, anyway: bool) -> None:
    """Whether all that is to be put in can be known."""
    if DATA in groups:
        table.problem("pattern", f"has a group {DATA}, which is the file's name in a reply; call it otherwise")
    held: Any = None
    readable = used = False
    if data is not None:
        try:
            held, readable = content(data), True
        except ValueError as error:
            table.problem("data", str(error))
    for part in parts(reply):
        if isinstance(part, str):
            continue
        if part[0] == DATA and data is not None:
            used = True
            if readable:
                _step_by_step(table, held, part, groups)
        elif part[0] == DATA:
            table.problem("reply", f'has {{{".".join(part)}}}, and there is no file; write data = "….json"')
        elif len(part) > 1 or part[0] not in groups:
            known = [*groups, *([f"{DATA}.…"] if data is not None else [])]
            what = f"; there is {listed(known)}" if known else "; the pattern has no group with a name, such as (?P<item>\\w+)"
            table.problem("reply", f"has {{{'.'.join(part)}}}, which is no group of the pattern{what}")
        if anyway and set(part) & set(groups):
            table.problem("exact", f"is answered too, but {{{'.'.join(part)}}} is known from the pattern only; give exact an answer of its own")
    if data is not None and not used and reply:
        table.problem("data", "is not used: the reply has no {data.…}")


def _step_by_step(table: Table, held: Any, path: Sequence[str], groups: Collection[str]) -> None:
    """As far as the path is the same for every message, it must lead somewhere."""
    for step in path[1:]:
        if step in groups:
            return
        if not isinstance(held, dict) or step not in held:
            hint = meant(step, [*held]) if isinstance(held, dict) else ""
            table.problem("reply", f"has {{{'.'.join(path)}}}, and the file has no {shown(step)} there{hint}")
            return
        held = held[step]
