"""Claude Code: the `env` of `~/.claude/settings.json` (or `$CLAUDE_CONFIG_DIR`), the Anthropic surface, the address without /v1."""

from __future__ import annotations

from pathlib import Path

from homeport.cli.clients import jsonc
from homeport.cli.clients.client import NO_KEY, Client, Place, Wanted
from homeport.vocabulary import Surface

TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable
MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
PROMPT_TOKENS = 25_000  # what it sends before the first question, roughly


def _folder(place: Place) -> Path:
    return place.folder("CLAUDE_CONFIG_DIR", ".claude")


def _edit(text: str, wanted: Wanted) -> str:
    """What stands in `env` wins over the shell, so a token there gives way to the shell's; without one it would send that of a login."""
    text = jsonc.put(text, ("env", "ANTHROPIC_BASE_URL"), wanted.url, comments=False)
    if wanted.key:
        text = jsonc.remove(text, ("env", TOKEN), comments=False)
    else:
        text = jsonc.put(text, ("env", TOKEN), NO_KEY, comments=False)
    for name in MODELS:
        text = jsonc.put(text, ("env", name), wanted.model, comments=False)
    return text


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    notes = [f"Whatever model is picked in Claude Code, {wanted.model} answers."]
    if wanted.context is None or wanted.context < 2 * PROMPT_TOKENS:
        known = "" if wanted.context is None else f"; this one has {wanted.context:,}"
        notes.append(f"It sends about {PROMPT_TOKENS:,} tokens before the first question, so the model needs a context of 64,000 or more{known}.")
    env = jsonc.read(text, comments=False).get("env")
    if isinstance(env, dict) and "ANTHROPIC_API_KEY" in env:
        notes.append("ANTHROPIC_API_KEY stands in this file too, and would be sent to Homeport beside the token; take it out.")
    return notes


CLAUDE_CODE = Client(
    name="claude-code",
    title="Claude Code",
    about="the env of settings.json: address and models",
    surface=Surface.MESSAGES,
    found=lambda place: place.program("claude") or _folder(place).is_dir(),
    file=lambda place: _folder(place) / "settings.json",
    edit=_edit,
    environment=lambda wanted: {TOKEN: wanted.key_value} if wanted.key else {},
    notes=_notes,
)
