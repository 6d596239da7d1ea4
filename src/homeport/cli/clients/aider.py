"""Aider: `.aider.conf.yml` in the home folder; a project's own wins over it, and the environment over both."""

from __future__ import annotations

from homeport.cli.clients import yaml_text
from homeport.cli.clients.client import NO_KEY, Client, Place, Wanted
from homeport.vocabulary import Surface

FILE = ".aider.conf.yml"


def _edit(text: str, wanted: Wanted) -> str:
    """`openai/` says which dialect the model speaks. Without a key Aider asks nobody, and with OpenAI's own it would send that."""
    text = yaml_text.put(text, ("openai-api-base",), wanted.v1)
    if not wanted.key:
        text = yaml_text.put(text, ("openai-api-key",), NO_KEY)
    elif yaml_text.values(text).get("openai-api-key") == NO_KEY:
        text = yaml_text.remove(text, "openai-api-key")
    return yaml_text.put(text, ("model",), f"openai/{wanted.model}")


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    return [
        f"A {FILE} in a project wins over this one.",
        "Aider will say that it does not know the model's context and costs; that is harmless.",
    ]


AIDER = Client(
    name="aider",
    title="Aider",
    about=f"address and model in {FILE}",
    surface=Surface.CHAT,
    found=lambda place: place.program("aider") or (place.home / FILE).exists() or (place.home / ".aider").is_dir(),
    file=lambda place: place.home / FILE,
    edit=_edit,
    environment=lambda wanted: {"AIDER_OPENAI_API_KEY": wanted.key_value} if wanted.key else {},
    notes=_notes,
)
