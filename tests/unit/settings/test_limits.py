"""`[limits]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.settings import KeyLimits, LimitSettings
from homeport.settings.limits import strangers

from .test_reading import HOME, folder, problems, read

__all__ = ["folder"]

FULL = """\
[limits]
requests_per_minute = 60
tokens_per_minute = 100_000
max_in_flight = 4
[limits.keys.laptop]
requests_per_minute = 600
[limits.keys."ci@forge"]
max_in_flight = 1
"""


def test_without_the_section(folder: Path) -> None:
    settings = read(HOME, folder)
    assert settings.limits == LimitSettings()
    assert not settings.limits


def test_every_key(folder: Path) -> None:
    settings = read(HOME + FULL, folder)
    assert settings.limits == LimitSettings(
        requests_per_minute=60,
        tokens_per_minute=100_000,
        max_in_flight=4,
        keys={"laptop": KeyLimits(requests_per_minute=600), "ci@forge": KeyLimits(max_in_flight=1)},
    )
    assert settings.limits.of("laptop") == KeyLimits(requests_per_minute=600, tokens_per_minute=100_000, max_in_flight=4)
    assert settings.limits.of(None) == settings.limits.of("another") == KeyLimits(requests_per_minute=60, tokens_per_minute=100_000, max_in_flight=4)
    assert settings.origins["limits.keys.laptop.requests_per_minute"] == "file"
    assert settings.notices == ()


def test_limits_of_one_key_alone_are_limits(folder: Path) -> None:
    assert read(HOME + "[limits.keys.laptop]\nmax_in_flight = 1\n", folder).limits
    assert not read(HOME + "[limits.keys.laptop]\n", folder).limits


def test_a_name_that_is_no_key_is_a_notice(folder: Path) -> None:
    settings = read(HOME + FULL, folder)
    assert strangers(settings, ["laptop", "phone"]) == ['[limits.keys] has limits for "ci@forge", and there is no key of that name']


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[limits]\nrequests = 3", 5, '[limits] has no key "requests"; did you mean "requests_per_minute"?'),
        ("[limits]\nrequests_per_minute = 0", 5, "limits.requests_per_minute takes at least 1, not 0"),
        (
            '[limits]\ntokens_per_minute = "9"',
            5,
            "limits.tokens_per_minute takes a whole number, not a text; write tokens_per_minute = 100000 without the quotes",
        ),
        ("[limits.laptop]\nmax_in_flight = 2", 4, '[limits] has no key "laptop"; the limits of one key stand under [limits.keys.laptop]'),
        ("[limits]\nkeys = 3", 5, "limits.keys takes a table ([limits.keys]), not a whole number"),
        ("[limits.keys.laptop]\nqueue = 2", 5, '[limits.keys.laptop] has no key "queue"; it takes requests_per_minute, tokens_per_minute or max_in_flight'),
        ("[limits.keys]\nmax_in_flight = 2", 5, "limits.keys.max_in_flight takes a table: give it a name of its own, such as [limits.keys.home]"),
    ],
)
def test_what_is_wrong(folder: Path, text: str, line: int, problem: str) -> None:
    assert problems(f"{HOME}{text}\n", folder) == [f"homeport.toml:{line}: {problem}"]
