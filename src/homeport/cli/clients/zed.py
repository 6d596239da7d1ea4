"""Zed: `settings.json` with comments, a provider under `language_models.openai_compatible`; the key is in a variable or its keychain."""

from __future__ import annotations

from pathlib import Path

from homeport.cli.clients import jsonc
from homeport.cli.clients.client import Client, Place, Spoilt, Wanted
from homeport.vocabulary import Surface

PROVIDER = ("language_models", "openai_compatible", "Homeport")
KEY = "HOMEPORT_API_KEY"  # Zed makes the name of the provider's
ASSUMED_CONTEXT = 32_768  # tokens; Zed insists on a number


def _folder(place: Place) -> Path:
    if place.platform == "darwin":
        return place.home / ".config" / "zed"
    flatpak = place.environ.get("FLATPAK_XDG_CONFIG_HOME")
    return Path(flatpak) / "zed" if flatpak else place.config / ("Zed" if place.platform == "win32" else "zed")


def _edit(text: str, wanted: Wanted) -> str:
    """A model that is listed already stays as it is listed."""
    text = jsonc.put(text, (*PROVIDER, "api_url"), wanted.v1)
    listed = jsonc.read(text)["language_models"]["openai_compatible"]["Homeport"].get("available_models", [])
    if not isinstance(listed, list):
        raise Spoilt(1, "available_models of Homeport is no list")
    if any(isinstance(model, dict) and model.get("name") == wanted.model for model in listed):
        return text
    capabilities = {"tools": True, "images": False, "parallel_tool_calls": False, "prompt_cache_key": False}
    model = {"name": wanted.model, "max_tokens": wanted.context or ASSUMED_CONTEXT, "capabilities": capabilities}
    return jsonc.append(text, (*PROVIDER, "available_models"), model)


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    notes = [f"In Zed, pick {wanted.model} of Homeport in the Agent Panel."]
    if wanted.context is None:
        notes.append(f"max_tokens is the context the model has, which is not known here: {ASSUMED_CONTEXT:,} is a guess. Put the right number.")
    what = "the key" if wanted.key else "any word as the key (Zed asks nobody without one)"
    notes.append(f"A Zed that was not started from a shell sees no variable: give it {what} in its settings, under LLM Providers, Homeport.")
    return notes


ZED = Client(
    name="zed",
    title="Zed",
    about="a provider in settings.json",
    surface=Surface.CHAT,
    found=lambda place: place.program("zed", "zeditor") or _folder(place).is_dir(),
    file=lambda place: _folder(place) / "settings.json",
    edit=_edit,
    environment=lambda wanted: {} if wanted.key == KEY else {KEY: wanted.key_value},
    notes=_notes,
)
