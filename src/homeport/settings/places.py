"""Where the platform keeps a program's configuration and data, and where homeport.toml is looked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

FILE = "homeport.toml"


def home(environ: Mapping[str, str]) -> Path:
    """The user's home folder. Raises RuntimeError where there is none."""
    told = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(told) if told else Path.home()


def config_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for homeport.toml. Raises RuntimeError where there is no home folder."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config", "APPDATA", "AppData/Roaming")


def data_folder(environ: Mapping[str, str]) -> Path:
    """The platform's folder for the journal, the ledger and the keys. Raises RuntimeError where there is no home folder."""
    return _folder(environ, "XDG_DATA_HOME", ".local/share", "LOCALAPPDATA", "AppData/Local")


def _folder(environ: Mapping[str, str], xdg: str, unix: str, windows: str, roaming: str) -> Path:
    variable = windows if sys.platform == "win32" else xdg
    told = environ.get(variable, "")
    if os.path.isabs(told):  # the XDG rule: a relative one is ignored
        return Path(told) / "homeport"
    if sys.platform == "darwin":
        return home(environ) / "Library/Application Support/homeport"
    return home(environ) / (roaming if sys.platform == "win32" else unix) / "homeport"


def usual_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The homeport.toml of this user, whether there is one or not; None where there is no home folder."""
    try:
        return config_folder(environ) / FILE
    except RuntimeError:
        return None


def find(config: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The file to read, as it is shown to people, and how it was found: "flag" "environment" "default".

    A file that was asked for is returned whether it exists or not; one that was only looked for, if it exists.
    """
    if config is not None:
        return config, "flag"
    told = environ.get("HOMEPORT_CONFIG")
    if told:
        return Path(told), "environment"
    if os.path.isfile(FILE):
        return Path(FILE), "default"
    usual = usual_file(environ)
    return (usual if usual is not None and os.path.isfile(usual) else None), "default"
