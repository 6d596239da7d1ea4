"""The help of every command, read against what was last read by eye: `screens/` holds it."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest

from homeport.cli import program

from .conftest import Homeport

SCREENS = Path(__file__).parent / "screens"
COMMANDS = [(), *((name,) for name in (*program.COMMANDS, *program.GROUPS)), *((group, name) for group, (_, inner) in program.GROUPS.items() for name in inner)]
ALONE = [*((name,) for name in program.COMMANDS), *((group, name) for group, (_, inner) in program.GROUPS.items() for name in inner)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_reads_as_it_was_read(homeport: Homeport, command: tuple[str, ...]) -> None:
    """Write the screens anew with READ_ANEW=1 in the environment, and read them. They are 80 columns wide."""
    ended = homeport(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    file = SCREENS / f"{'-'.join(['homeport', *command])}.txt"
    if os.environ.get("READ_ANEW"):
        file.write_text(ended.out, encoding="utf-8")
    assert ended.out == file.read_text(encoding="utf-8")
    assert max(map(len, ended.out.splitlines())) <= 80


def test_no_screen_is_left_over() -> None:
    assert {file.name for file in SCREENS.iterdir()} == {f"{'-'.join(['homeport', *command])}.txt" for command in COMMANDS}


@pytest.mark.parametrize("command", ALONE, ids=" ".join)
def test_every_command_takes_json(homeport: Homeport, command: tuple[str, ...]) -> None:
    assert "--json" in homeport(*command, "--help").out


@pytest.mark.parametrize("command", [(), ("up",), ("keys", "add")], ids=" ".join)
def test_help_is_a_word_too(homeport: Homeport, command: tuple[str, ...]) -> None:
    assert homeport("help", *command) == homeport(*command, "--help")


def test_the_version(homeport: Homeport) -> None:
    ended = homeport("--version")
    assert ended.code == 0
    assert ended.out.startswith("homeport ")
    assert ended.out.split()[1][0].isdigit()


def test_the_parser_and_the_short_way_take_the_same_flags_of_up() -> None:
    from homeport.cli import plain_flags
    from homeport.cli.up import up

    short = plain_flags(["--config", "c", "--listen", "l", "--workers", "1", "--json"])
    assert short is not None
    assert list(short) == list(inspect.signature(up).parameters)
