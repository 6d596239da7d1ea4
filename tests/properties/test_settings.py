"""Any mutation of a valid homeport.toml loads or is refused with a reason; nothing else ever comes of it."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from homeport.errors import BadSettings
from homeport.settings import Settings
from homeport.settings.document import LARGEST
from tests.unit.settings.test_reading import FULL, folder, read

__all__ = ["folder"]

LINES = FULL.splitlines(keepends=True)
SPOILERS: list[Callable[[str, str], str]] = [
    lambda line, _: "",
    lambda line, _: line + line,
    lambda line, other: other,
    lambda line, word: line.replace("=", word, 1),
    lambda line, word: line[: len(line) // 2] + word + line[len(line) // 2 :],
    lambda line, word: line.partition("=")[0] + "= " + word + "\n",
    lambda line, word: word + " = " + line.partition("=")[2],
    lambda line, word: f"[{word}]\n" + line,
    lambda line, word: line.replace('"', f'"{word}', 1),
]
WORDS = st.one_of(
    st.sampled_from(LINES),
    st.sampled_from(
        [
            "0",
            "-1",
            "nan",
            "1e400",
            "true",
            "[]",
            "{}",
            "[{}]",
            '""',
            "''",
            '"\\u0000"',
            '"~nobody/x"',
            "1979-05-27",
            "07:32:00",
            "[[[]]]",
            "{ env = '' }",
            str(LARGEST + 1),
        ]
    ),
    st.text(string.printable, max_size=12),
    st.text(max_size=6).filter(lambda text: text.isprintable()),
    st.integers().map(str),
    st.floats().map(str),
)


def well_typed(settings: Settings) -> bool:
    """Whether what was loaded keeps the promises of its fields."""
    numbers: list[Any] = [getattr(backend, name) for backend in settings.backends.values() for name in ("slots", "context", "max_in_flight", "queue")]
    return all(type(number) is int and number >= 0 for number in numbers) and all(model.routes for model in settings.models.values())


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(SPOILERS), WORDS), min_size=1, max_size=4))
def test_any_mutation_loads_or_is_refused(folder: Path, changes: list[tuple[int, Callable[[str, str], str], str]]) -> None:
    lines = list(LINES)
    for number, spoil, word in changes:
        lines[number] = spoil(lines[number], word)
    try:
        settings = read("".join(lines).encode(errors="surrogatepass"), folder)
    except BadSettings as error:
        assert str(error)
        assert all(line.startswith("homeport.toml:") and "-secret" not in line for line in str(error).splitlines())
    else:
        assert well_typed(settings)
