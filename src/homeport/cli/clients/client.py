"""What `homeport connect` knows of a client: where its configuration is, what must stand in it, what is left to the person."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from homeport.cli.failure import Failed
from homeport.settings import is_loopback
from homeport.settings.places import home
from homeport.vocabulary import Surface

NO_KEY = "none"  # what clients get that insist on a key, where the gateway wants none


class Spoilt(Failed):
    """A file that cannot be edited, with the line (from 1) at fault; it stays as it is."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(frozen=True)
class Place:
    """This machine as its clients see it."""

    home: Path
    environ: Mapping[str, str]
    platform: str  # as sys.platform: "linux" "darwin" "win32"

    @classmethod
    def here(cls) -> Place:
        """The machine and the user that this process runs for. Raises RuntimeError where there is no home folder."""
        return cls(home(os.environ), os.environ, sys.platform)

    @property
    def config(self) -> Path:
        """The folder in which programs that follow the desktop's rules keep their configuration."""
        told = self.environ.get("APPDATA" if self.platform == "win32" else "XDG_CONFIG_HOME", "")
        return Path(told) if os.path.isabs(told) else self.home / ("AppData/Roaming" if self.platform == "win32" else ".config")

    def folder(self, variable: str, usual: str) -> Path:
        """The folder that an environment variable names, else the usual one below the home folder."""
        told = self.environ.get(variable, "")
        return Path(told).expanduser() if told else self.home / usual

    def program(self, *names: str) -> bool:
        """Whether one of these programs is on the PATH."""
        return any(shutil.which(name, path=self.environ.get("PATH")) for name in names)

    def shown(self, path: Path) -> str:
        """The path as people write it, with ~ for the home folder."""
        return f"~{os.sep}{path.relative_to(self.home)}" if path.is_relative_to(self.home) else str(path)


@dataclass(frozen=True)
class Wanted:
    """What a client shall ask: `url` without /v1, the model's name there, and how it gets its key."""

    url: str
    model: str
    key: str | None  # the environment variable that holds the key; None where the gateway wants none
    context: int | None = None  # tokens that the model takes, where the gateway says so

    @property
    def v1(self) -> str:
        """The base URL of the OpenAI surface."""
        return f"{self.url}/v1"

    @property
    def key_value(self) -> str:
        """The key as a shell writes it; NO_KEY where there is none."""
        return f"${self.key}" if self.key else NO_KEY


def is_local(url: str) -> bool:
    """Whether an http(s) address is one that only this machine reaches."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return is_loopback(f"{f'[{host}]' if ':' in host else host}:{parts.port or 80}")


def _no_file(place: Place) -> Path | None:
    return None


def _no_edit(text: str, wanted: Wanted) -> str:
    return text


def _nothing_to_set(wanted: Wanted) -> dict[str, str]:
    return {}


def _nothing_to_say(place: Place, wanted: Wanted, text: str) -> list[str]:
    return []


def _no_form(place: Place, wanted: Wanted) -> list[str]:
    return []


@dataclass(frozen=True)
class Client:
    """One client. `edit` gives the new text of its file and raises Spoilt; one without a file has a `form` to fill in by hand."""

    name: str  # as it is typed
    title: str  # as its makers write it
    about: str  # what is changed, in a few words
    surface: Surface  # where it asks
    found: Callable[[Place], bool]
    file: Callable[[Place], Path | None] = field(default=_no_file)
    edit: Callable[[str, Wanted], str] = field(default=_no_edit)
    environment: Callable[[Wanted], dict[str, str]] = field(default=_nothing_to_set)  # variables it reads, with their values as a shell writes them
    notes: Callable[[Place, Wanted, str], list[str]] = field(default=_nothing_to_say)  # of the text that is in the file now
    form: Callable[[Place, Wanted], list[str]] = field(default=_no_form)
    nowhere: str = ""  # why there is no file to write
