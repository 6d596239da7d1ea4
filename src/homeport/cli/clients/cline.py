"""Cline: its settings are in VS Code's own storage, so all there is to do is to say what to type into its form."""

from __future__ import annotations

from homeport.cli.clients.client import NO_KEY, Client, Place, Wanted
from homeport.vocabulary import Surface

EXTENSION = "saoudrizwan.claude-dev-*"
EDITORS = (".vscode", ".vscode-server", ".vscode-insiders", ".vscode-oss", ".cursor", ".windsurf")


def _form(place: Place, wanted: Wanted) -> list[str]:
    return [
        "In VS Code, open Cline's settings (the gear at the top of its panel) and fill in:",
        "  API Provider   OpenAI Compatible",
        f"  Base URL       {wanted.v1}",
        f"  API Key        {f'the key in ${wanted.key}' if wanted.key else NO_KEY}",
        f"  Model ID       {wanted.model}",
        *([f"  Context Window Size (under Model Configuration)   {wanted.context}"] if wanted.context else []),
    ]


CLINE = Client(
    name="cline",
    title="Cline",
    about="what to type into its form; nothing is written",
    surface=Surface.CHAT,
    found=lambda place: any(any((place.home / editor / "extensions").glob(EXTENSION)) for editor in EDITORS),
    form=_form,
    nowhere="Cline keeps its settings inside VS Code",
)
