"""The input of the Responses API as turns: its items are parts of turns, and neighbours of one role make one turn."""

from __future__ import annotations

from typing import Any

from homeport.errors import Malformed
from homeport.wire.normal import Call, Image, Turn
from homeport.wire.openai.fields import json_text, picture, uncarried
from homeport.wire.responses.tools import Offer, flat, wrapped

_HINTS = frozenset({"web_search_call", "additional_tools"})  # a note that OpenAI searched; tools, which `responses.tools` reads
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "summary_text": "text", "reasoning_text": "text", "refusal": "refusal"}


def turns(given: str | list[Any] | None, instructions: str | None) -> list[Turn]:
    """The conversation. Raises Malformed, or Uncarried for an item that only OpenAI can resolve."""
    made: list[Turn] = []
    if instructions:
        made.append(Turn("system", [instructions]))
    if isinstance(given, str):
        made.append(Turn("user", [given]))
        return made
    for number, item in enumerate(given or ()):
        param = f"input[{number}]"
        if not isinstance(item, dict):
            raise Malformed(f"`{param}` is an item: an object with a `type`.", param=param)
        turn = _turn(item, param)
        if turn is not None:
            _join(made, turn)
    if made and made[-1].role == "assistant" and not (made[-1].parts or made[-1].calls):
        made.pop()  # thinking, and nothing that came of it
    return made


def _join(made: list[Turn], turn: Turn) -> None:
    """Put a turn at the end, or into the last one where both are of one role: a tool's result stands alone."""
    last = made[-1] if made else None
    if last is None or last.role != turn.role or turn.role == "tool":
        made.append(turn)
        return
    last.parts = [*last.parts, *turn.parts]
    last.reasoning = "\n".join(filter(None, (last.reasoning, turn.reasoning)))
    last.calls = [*last.calls, *turn.calls]


def _turn(item: dict[str, Any], param: str) -> Turn | None:
    """What one item adds; None where it is a hint."""
    kind = item.get("type") or ("message" if "role" in item else None)
    if kind == "message":
        return _message(item, param)
    if kind == "function_call":
        name = flat(_text(item, "name", param), _text(item, "namespace", param, needed=False))
        return Turn("assistant", calls=[Call(_text(item, "call_id", param), name, _text(item, "arguments", param, needed=False) or "{}")])
    if kind == "custom_tool_call":
        name = flat(_text(item, "name", param), _text(item, "namespace", param, needed=False))
        return Turn("assistant", calls=[Call(_text(item, "call_id", param), name, wrapped(_text(item, "input", param, needed=False)))])
    if kind == "tool_search_call":
        if item.get("execution") != "client":
            return None
        return Turn("assistant", calls=[Call(_text(item, "call_id", param), "tool_search", json_text(item.get("arguments") or {}))])
    if kind in ("function_call_output", "custom_tool_call_output"):
        return Turn("tool", _parts(item.get("output"), f"{param}.output"), answers=_text(item, "call_id", param))
    if kind == "tool_search_output":
        if item.get("execution") != "client":
            return None
        return Turn("tool", [_found(item.get("tools"))], answers=_text(item, "call_id", param))
    if kind == "reasoning":
        thought = "".join(part for part in _parts(item.get("content"), f"{param}.content") if isinstance(part, str))
        return Turn("assistant", reasoning=thought) if thought else None  # what is encrypted is its own model's alone
    if isinstance(kind, str) and kind in _HINTS:
        return None
    if kind == "item_reference":
        raise uncarried(param, "Homeport stores no responses, so there is nothing to refer to", "Send the item itself")
    if kind is None:
        raise Malformed(f"`{param}.type` is missing.", param=f"{param}.type")
    raise uncarried(param, f"an item of type {str(kind)[:40]!r} has no counterpart in a chat", "Leave it out")


def _message(item: dict[str, Any], param: str) -> Turn:
    role = item.get("role")
    parts = _parts(item.get("content"), f"{param}.content")
    if role in ("system", "developer"):
        return Turn("system", parts)
    if role == "user":
        return Turn("user", parts)
    if role == "assistant":
        return Turn("assistant", parts)
    raise Malformed(f"`{param}.role` is one of user, assistant, system and developer.", param=f"{param}.role")


def _parts(content: Any, param: str) -> list[str | Image]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Malformed(f"`{param}` is a string, or a list of parts.", param=param)
    return [_part(part, f"{param}[{number}]") for number, part in enumerate(content)]


def _part(part: dict[str, Any], param: str) -> str | Image:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXTS:
        return _text(part, _TEXTS[kind], param)
    if kind == "input_image":
        if not part.get("image_url"):
            raise uncarried(param, "Homeport keeps no files, so there is no image behind a file id", "Send `image_url`, which takes a data: URL too")
        return picture(_text(part, "image_url", param), f"{param}.image_url")
    raise uncarried(param, f"it takes text and images, and no part of type {str(kind)[:40]!r}", "Send its text, or an image of it")


def _found(tools: Any) -> str:
    """What a search for tools is told to have found: their names. Their schemas come with the tools of the request."""
    found = Offer()
    found.add(tools or [], "tools")
    return json_text({"tools": [tool.name for tool in found.tools]})


def _text(holder: dict[str, Any], field: str, param: str, *, needed: bool = True) -> str:
    value = holder.get(field)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"`{param}.{field}` is missing, or no string.", param=f"{param}.{field}")
    return value
