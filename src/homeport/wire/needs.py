"""What a request needs of the model that answers it, told from its fields: tools, images, JSON, an embedding."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from msgspec import Raw

from homeport.vocabulary import COMPLETIONS, COUNT_TOKENS, EMBED, EMBEDDINGS, GENERATE, OLD_EMBED, Ask
from homeport.wire.body import value as body_value

NULL = Raw(b"null")
PICTURES = {"openai": b'"image_url"', "responses": b'"input_image"', "anthropic": b'"image"', "ollama": b'"images"'}  # what one has in it
GRAMMARS = frozenset(("grammar", "json_schema", "structured_outputs", "guided_json", "guided_regex", "guided_grammar", "guided_choice"))
_EMBEDS = (EMBEDDINGS, EMBED, OLD_EMBED)


def of(ask: Ask, among: Collection[str]) -> list[str]:
    """Which of `among` the request needs, in Ollama's words for capabilities, besides "format": JSON, or JSON by a schema.

    Only what is in question is looked for. Thinking counts where an Ollama caller asks for it, as Ollama refuses it too;
    in the other dialects it is a hint. Counting tokens needs nothing.
    """
    if ask.surface is COUNT_TOKENS:
        return []
    if ask.surface in _EMBEDS:
        return ["embedding"] if "embedding" in among else []
    return [name for name, asks in _ASKS.items() if name in among and asks(ask)]


def constrained(ask: Ask) -> bool:
    """Whether it asks for an answer by a schema, a grammar or a regular expression: engines have died of such."""
    return not GRAMMARS.isdisjoint(ask.fields) or _format(ask)


def _tools(ask: Ask) -> bool:
    given = any(_filled(ask.fields.get(name)) for name in ("tools", "functions"))
    if not given or "tool_choice" not in ask.fields:
        return given
    choice = _decoded(ask, "tool_choice")
    return (choice.get("type") if isinstance(choice, dict) else choice) != "none"


def _pictures(ask: Ask) -> bool:
    mark = PICTURES[ask.dialect]
    if ask.surface is GENERATE:
        return _filled(ask.fields.get("images"))
    said = ask.fields.get("input" if ask.dialect == "responses" else "messages")
    if said is None or mark not in bytes(said):
        return False
    return _holds(body_value(said), ask.dialect)


def _holds(said: Any, dialect: str) -> bool:
    """Whether an image stands in messages, in their parts, or in the results of tools."""
    if isinstance(said, list):
        return any(_holds(part, dialect) for part in said)
    if not isinstance(said, dict):
        return False
    if dialect == "ollama":
        return bool(said.get("images"))
    if said.get("type") in ("image_url", "input_image", "image"):
        return True
    return any(_holds(said[name], dialect) for name in ("content", "output") if name in said)


def _format(ask: Ask) -> bool:
    if ask.dialect == "ollama":
        return bool(_decoded(ask, "format"))
    if ask.dialect == "anthropic":
        config = _decoded(ask, "output_config")
        return bool(_decoded(ask, "output_format") or (isinstance(config, dict) and config.get("format")))
    form = _decoded(ask, "response_format")
    if ask.dialect == "responses":
        text = _decoded(ask, "text")
        form = text.get("format") if isinstance(text, dict) else None
    return isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")


def _thinking(ask: Ask) -> bool:
    return ask.dialect == "ollama" and _decoded(ask, "think") not in (None, False, "", "none")


def _insert(ask: Ask) -> bool:
    return ask.surface in (GENERATE, COMPLETIONS) and bool(_decoded(ask, "suffix"))


_ASKS: dict[str, Callable[[Ask], bool]] = {
    "completion": lambda _: True,
    "tools": _tools,
    "vision": _pictures,
    "format": _format,
    "thinking": _thinking,
    "insert": _insert,
}


def _filled(raw: Raw | None) -> bool:
    """Whether there is something in a list."""
    text = bytes(raw).lstrip() if raw is not None else b""
    return text.startswith(b"[") and not text[1:].lstrip().startswith(b"]")


def _decoded(ask: Ask, name: str) -> Any:
    return body_value(ask.fields.get(name, NULL))
