"""Continue: `~/.continue/config.yaml` (or `$CONTINUE_GLOBAL_DIR`), an entry of `models`; a secret of it is a variable or a line of `.env`."""

from __future__ import annotations

from pathlib import Path

from homeport.cli.clients import yaml_text
from homeport.cli.clients.client import NO_KEY, Client, Place, Spoilt, Wanted
from homeport.vocabulary import Surface

HEAD = "name: Local Assistant\nversion: 1.0.0\nschema: v1\n"  # Continue refuses a file without these


def _folder(place: Place) -> Path:
    return place.folder("CONTINUE_GLOBAL_DIR", ".continue")


def _edit(text: str, wanted: Wanted) -> str:
    values = yaml_text.values(text)
    if not isinstance(values, dict):
        raise Spoilt(1, "is no map of keys, as Continue wants it")
    if not values:
        text += HEAD
    name = f"Homeport {wanted.model}"
    key = f"${{{{ secrets.{wanted.key} }}}}" if wanted.key else NO_KEY
    fields = {"name": name, "provider": "openai", "model": wanted.model, "apiBase": wanted.v1, "apiKey": key}
    models = values.get("models")
    place = next((n for n, model in enumerate(models) if isinstance(model, dict) and model.get("name") == name), None) if isinstance(models, list) else None
    if place is None:
        return yaml_text.append(text, "models", {**fields, "roles": ["chat", "edit", "apply"]})
    for field, value in fields.items():
        text = yaml_text.put(text, ("models", place, field), value)
    return text


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    folder = _folder(place)
    notes = [f"In Continue, pick “Homeport {wanted.model}”."]
    if wanted.key:
        notes.append(f"An editor that was not started from a shell sees no variable: write the line {wanted.key}=… to {place.shown(folder / '.env')} instead.")
    if not (folder / "config.yaml").exists() and (folder / "config.json").exists():
        notes.append(f"Once there is a config.yaml, Continue reads {place.shown(folder / 'config.json')} no more; move its models over.")
    return notes


CONTINUE = Client(
    name="continue",
    title="Continue",
    about="a model in config.yaml",
    surface=Surface.CHAT,
    found=lambda place: place.program("cn") or _folder(place).is_dir(),
    file=lambda place: _folder(place) / "config.yaml",
    edit=_edit,
    notes=_notes,
)
