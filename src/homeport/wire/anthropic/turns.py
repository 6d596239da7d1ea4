"""Conversations in Anthropic's content blocks, and the turns they amount to: both ways.

Source of the format: Anthropic's Messages API and the types of its SDK. `cache_control`, which stands on any block, is
a hint. Thinking is signed by its author: what comes from a caller is kept as text, and is left out of what goes to a
backend, which takes back no thinking but its own; `redacted_thinking` holds nothing that another model could read.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from homeport.errors import Malformed, Uncarried
from homeport.wire.normal import Call, Image, Turn, object_of

Block = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")  # the API refuses ids with other characters
_PICTURES = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}  # how their base64 begins


def turns_of(system: Any, messages: list[Any]) -> list[Turn]:
    """The turns of `system` and `messages`.

    The tool results of a user's message become turns of their own, before the rest of it. A system message that is
    cleared at the next user message (`clear_at`) is left out where one follows.
    Raises Malformed, and Uncarried for blocks and fields that other dialects do not have; `param` says where.
    """
    turns = []
    if system:
        turns.append(Turn("system", _texts(system, "system")))
    last_user = max((number for number, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    names: dict[str, str] = {}
    for number, message in enumerate(messages):
        at = f"messages[{number}]"
        role, content = message.get("role"), message.get("content")
        _only(message, at, "role", "content", "clear_at")
        if role == "user":
            turns += _user(_blocks(content, f"{at}.content"), f"{at}.content", names)
        elif role == "assistant":
            turn = _assistant(_blocks(content, f"{at}.content"), f"{at}.content")
            names |= {call.id: call.name for call in turn.calls}
            turns.append(turn)
        elif role == "system":
            if message.get("clear_at") != "next_user_message" or number > last_user:
                turns.append(Turn("system", _texts(content, f"{at}.content")))
        else:
            raise Malformed(f"`{at}.role` is not one of user, assistant and system.", param=f"{at}.role")
    return turns


def _user(blocks: list[Block], at: str, names: dict[str, str]) -> list[Turn]:
    parts: list[str | Image] = []
    results: list[Turn] = []
    for number, block in enumerate(blocks):
        place = f"{at}[{number}]"
        if block.get("type") == "tool_result":
            results.append(_result(block, place, names))
        else:
            parts.append(_part(block, place))
    return [*results, Turn("user", parts)] if parts or not results else results


def _result(block: Block, at: str, names: dict[str, str]) -> Turn:
    _only(block, at, "tool_use_id", "content", "is_error")
    answers = _string(block, "tool_use_id", at)
    content = block.get("content")
    inner = [] if content is None else _blocks(content, f"{at}.content")
    parts = [_part(part, f"{at}.content[{number}]") for number, part in enumerate(inner)]
    return Turn("tool", parts, answers=answers, name=names.get(answers, ""), failed=bool(block.get("is_error")))


def _assistant(blocks: list[Block], at: str) -> Turn:
    turn = Turn("assistant", [])
    thoughts = []
    for number, block in enumerate(blocks):
        place = f"{at}[{number}]"
        kind = block.get("type")
        if kind == "thinking":
            _only(block, place, "thinking", "signature")
            thoughts.append(_string(block, "thinking", place))
        elif kind == "tool_use":
            _only(block, place, "id", "name", "input", "caller")
            given = block.get("input", {})
            if not isinstance(given, dict):
                raise Malformed(f"`{place}.input` is not an object.", param=f"{place}.input")
            if (block.get("caller") or {"type": "direct"}) != {"type": "direct"}:
                raise _uncarried(f"{place}.caller")
            turn.calls.append(Call(_string(block, "id", place), _string(block, "name", place), _encode(given).decode()))
        elif kind == "text":
            turn.parts.append(_part(block, place))
        elif kind != "redacted_thinking":
            raise _strange(kind, place)
    turn.reasoning = "\n".join(thoughts)
    return turn


def _part(block: Block, at: str) -> str | Image:
    kind = block.get("type")
    if kind == "text":
        _only(block, at, "text")
        return _string(block, "text", at)
    if kind != "image":
        raise _strange(kind, at)
    _only(block, at, "source")
    source, at = block.get("source"), f"{at}.source"
    if not isinstance(source, dict):
        raise Malformed(f"`{at}` is not an object.", param=at)
    if source.get("type") == "base64":
        _only(source, at, "data", "media_type")
        return Image(data=_string(source, "data", at), media_type=_string(source, "media_type", at))
    if source.get("type") == "url":
        _only(source, at, "url")
        return Image(url=_string(source, "url", at))
    raise _strange(source.get("type"), at)


def _texts(content: Any, at: str) -> list[str | Image]:
    texts: list[str | Image] = []
    for number, block in enumerate(_blocks(content, at)):
        if block.get("type") != "text":
            raise _strange(block.get("type"), f"{at}[{number}]")
        texts.append(_part(block, f"{at}[{number}]"))
    return texts


def _blocks(content: Any, at: str) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Malformed(f"`{at}` is neither text nor a list of blocks.", param=at)
    return content


def _string(block: Block, name: str, at: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise Malformed(f"`{at}.{name}` is not a string.", param=f"{at}.{name}")
    return value


def _only(block: Block, at: str, *known: str) -> None:
    """Raises Uncarried where a field beside the known ones says something."""
    for name, value in block.items():
        if name not in known and name not in ("type", "cache_control") and value not in (None, [], {}):
            raise _uncarried(f"{at}.{name}")


def _uncarried(at: str) -> Uncarried:
    return Uncarried(f"`{at}` cannot be said to the backend, which does not speak Anthropic's dialect. Leave it out.", param=at)


def _strange(kind: Any, at: str) -> Malformed | Uncarried:
    if not isinstance(kind, str):
        return Malformed(f"`{at}.type` is missing. Every block and source has one.", param=f"{at}.type")
    if kind in ("tool_use", "tool_result", "thinking", "redacted_thinking"):
        return Malformed(f"`{at}`: a block of type {kind} does not belong there.", param=at)
    return Uncarried(f"`{at}`: the type {kind[:60]!r} cannot be said to the backend, which does not speak Anthropic's dialect.", param=at)


def messages_of(turns: list[Turn]) -> tuple[str, list[Block]]:
    """The turns as the API's `system` and `messages`.

    The API knows one system prompt: all system turns go into it, in order and an empty line apart, those in the middle
    too. Consecutive turns of one role become one message; tool results are said by the user, before anything else of a
    message, as the API asks. A result without its call's id answers the next call that waits, by name where it has one.
    Raises Uncarried for what cannot be said, and where no user or assistant says anything.
    """
    system: list[str] = []
    messages: list[Block] = []
    waiting: list[tuple[str, str]] = []  # id and name of calls that nothing has answered yet
    for number, turn in enumerate(turns):
        at = f"messages[{number}]"
        if turn.role == "system":
            if turn.images:
                raise Uncarried("A system prompt holds no images in Anthropic's dialect. Send them as the user.", param="messages")
            system += [part for part in turn.parts if isinstance(part, str) and part]
            continue
        if turn.role == "assistant":
            blocks = _said(turn.parts)
            waiting = [(_id(call.id) or f"toolu_{number}_{place}", call.name) for place, call in enumerate(turn.calls)]
            blocks += [_tool_use(call, id, at) for call, (id, _) in zip(turn.calls, waiting, strict=True)]
        elif turn.role == "tool":
            blocks = [_tool_result(turn, waiting)]
        else:
            blocks = _said(turn.parts)
        role = "assistant" if turn.role == "assistant" else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks or role == "user":
            messages.append({"role": role, "content": blocks})
    if not messages:
        raise Uncarried("Anthropic's dialect needs something said by the user. Add a user message.", param="messages")
    for message in messages:
        blocks = message["content"]
        if message["role"] == "user":
            blocks.sort(key=lambda block: block["type"] != "tool_result")  # stable: the rest keeps its order
        message["content"] = _plain(blocks)
    return "\n\n".join(system), messages


def _said(parts: list[str | Image]) -> list[Block]:
    """Text and images as blocks; the API refuses empty text."""
    return [_picture(part) if isinstance(part, Image) else {"type": "text", "text": part} for part in parts if part != ""]


def _plain(blocks: list[Block]) -> Any:
    """One text alone is said as a string."""
    if not blocks:
        return ""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks


def _picture(image: Image) -> Block:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    kind = image.media_type or next((kind for begin, kind in _PICTURES.items() if image.data.startswith(begin)), "")
    if not kind:
        raise Uncarried("An image is none of PNG, JPEG, GIF and WebP, which Anthropic's dialect carries. Convert it.", param="messages")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": image.data}}


def _tool_use(call: Call, id: str, at: str) -> Block:
    given = object_of(call.arguments)
    if given is None:
        raise Uncarried(f"The arguments of a tool call in `{at}` are not a JSON object, which Anthropic's dialect needs.", param="messages")
    return {"type": "tool_use", "id": id, "name": call.name, "input": given}


def _tool_result(turn: Turn, waiting: list[tuple[str, str]]) -> Block:
    id = _id(turn.answers)
    if not id:
        found = next((entry for entry in waiting if entry[1] == turn.name), waiting[0] if waiting and not turn.name else None)
        if found is None:
            raise Uncarried("A tool's result answers no call, which Anthropic's dialect needs. Send the call before it.", param="messages")
        id = found[0]
    waiting[:] = [entry for entry in waiting if entry[0] != id]
    block = {"type": "tool_result", "tool_use_id": id, "content": _plain(_said(turn.parts))}
    return block | {"is_error": True} if turn.failed else block


def _id(given: str) -> str:
    return _NOT_IN_IDS.sub("_", given)
