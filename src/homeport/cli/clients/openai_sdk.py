"""The OpenAI SDKs, and the many programs made with them: two environment variables, set by the profile of the shell."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from homeport.cli.clients.client import Client, Place, Wanted
from homeport.vocabulary import Surface

BEGIN = "# >>> homeport connect: the OpenAI SDKs ask Homeport"
END = "# <<< homeport connect"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n(?:.*\n)*?{re.escape(END)}\n", re.MULTILINE)


def _shell(place: Place) -> str:
    return os.path.basename(place.environ.get("SHELL", ""))


def _profile(place: Place) -> Path | None:
    """The file that every interactive shell of this user reads; None where the shell is not known."""
    shell = _shell(place)
    if shell == "zsh":
        return place.folder("ZDOTDIR", "") / ".zshrc"
    if shell == "fish":
        return place.config / "fish" / "conf.d" / "homeport.fish"
    if shell == "bash":
        return place.home / (".bash_profile" if place.platform == "darwin" else ".bashrc")
    return None


def _variables(wanted: Wanted) -> dict[str, str]:
    return {"OPENAI_BASE_URL": wanted.v1, "OPENAI_API_KEY": wanted.key_value}


def _rows(wanted: Wanted) -> list[str]:
    """Lines that bash, zsh and fish all understand."""
    return [f'export {name}="{value}"' if value.startswith("$") else f"export {name}={shlex.quote(value)}" for name, value in _variables(wanted).items()]


def _edit(text: str, wanted: Wanted) -> str:
    """Our lines between two marks, at the end, so that the key's variable is set before; where the marks are there, in their place."""
    block = "\n".join([BEGIN, *_rows(wanted), END, ""])
    if _BLOCK.search(text):
        return _BLOCK.sub(lambda _: block, text, count=1)
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + block


def _form(place: Place, wanted: Wanted) -> list[str]:
    if place.platform == "win32":
        return [f'setx {name} "{f"%{value[1:]}%" if value.startswith("$") else value}"' for name, value in _variables(wanted).items()]
    return _rows(wanted)


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    notes = [f'In a program, the model is model="{wanted.model}".']
    if _profile(place) is not None:
        notes.append("Every program with an OpenAI SDK that is started from a new shell then asks Homeport.")
        if wanted.key:
            notes.append(f"{wanted.key} itself must be set above these lines.")
    return notes


OPENAI_SDK = Client(
    name="openai-sdk",
    title="OpenAI SDKs",
    about="two variables in the profile of your shell",
    surface=Surface.CHAT,
    found=lambda place: bool(place.environ.get("OPENAI_API_KEY") or place.environ.get("OPENAI_BASE_URL")),
    file=_profile,
    edit=_edit,
    form=_form,
    notes=_notes,
    nowhere="Which profile your shell reads is not known",
)
