"""Codex: `~/.codex/config.toml` (or `$CODEX_HOME`), a provider of its own under `[model_providers]`, the Responses surface."""

from __future__ import annotations

from pathlib import Path

from homeport.cli.clients import toml_text
from homeport.cli.clients.client import Client, Place, Wanted
from homeport.vocabulary import Surface

PROVIDER = ("model_providers", "homeport")


def _folder(place: Place) -> Path:
    return place.folder("CODEX_HOME", ".codex")


def _edit(text: str, wanted: Wanted) -> str:
    """Codex reads the key from the variable that `env_key` names. Web search and sub-agents are tools that only OpenAI's servers run."""
    if wanted.context is not None:
        text = toml_text.put(text, ("model_context_window",), wanted.context)
    text = toml_text.put(text, ("web_search",), "disabled")
    text = toml_text.put(text, ("model_provider",), PROVIDER[1])
    text = toml_text.put(text, ("model",), wanted.model)
    text = toml_text.put(text, ("agents", "enabled"), value=False)
    provider = {"wire_api": "responses", "base_url": wanted.v1, "name": "Homeport"}
    if wanted.key:
        provider = {"env_key": wanted.key, **provider}
    else:
        text = toml_text.remove(text, (*PROVIDER, "env_key"))
    for key, value in provider.items():  # each new line goes to the top of its table
        text = toml_text.put(text, (*PROVIDER, key), value)
    return text


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    notes = ["Codex's web search and sub-agents are switched off: they are tools of OpenAI's own servers."]
    profile = toml_text.read(text).get("profile")
    if isinstance(profile, str):
        notes.append('A `profile = "…"` in this file wins over these lines; start Codex with another profile, or take that line out.')
    return notes


CODEX = Client(
    name="codex",
    title="Codex",
    about="a provider in config.toml, which becomes the default",
    surface=Surface.RESPONSES,
    found=lambda place: place.program("codex") or _folder(place).is_dir(),
    file=lambda place: _folder(place) / "config.toml",
    edit=_edit,
    notes=_notes,
)
