"""What engines do with a last turn of the assistant's, as recorded: llama.cpp's server goes on with it, vLLM where it is told to."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.testing.script import Answer

BOTH = "Cannot set both add_generation_prompt and continue_final_message to true."
TWO = "Cannot have 2 or more assistant messages at the end of the list."


def refusal(style: str, fields: dict[str, Any]) -> tuple[int, str] | None:
    """Status and message where an engine refuses how it is asked to go on."""
    if style not in ("llama.cpp", "vllm"):
        return None
    if fields.get("continue_final_message") is True and fields.get("add_generation_prompt", True) is not False:
        return 400, BOTH
    turns = _roles(fields)[-2:]
    return (400, TWO) if style == "llama.cpp" and turns == ["assistant", "assistant"] else None


def begun(style: str, fields: dict[str, Any]) -> str:
    """The text that an engine goes on from; "" where it answers anew."""
    continues = style == "llama.cpp" or (style == "vllm" and fields.get("continue_final_message") is True)
    if not continues or _roles(fields)[-1:] != ["assistant"]:
        return ""
    content = fields["messages"][-1].get("content")
    return content if isinstance(content, str) else ""


def gone_on(answer: Answer, text: str, *, repeats: bool) -> Answer:
    """What is left to say behind `text`; all of the answer where it does not begin so. `repeats`: the text comes again before it."""
    left = len(text) if "".join(answer.pieces()).startswith(text) else 0
    pieces: list[str] = []
    for piece in answer.pieces():
        if rest := piece[left:]:
            pieces.append(rest)
        left = max(0, left - len(piece))
    if repeats:
        pieces = [text + (pieces[0] if pieces else ""), *pieces[1:]]
    return msgspec.structs.replace(answer, tokens=tuple(pieces))


def _roles(fields: dict[str, Any]) -> list[Any]:
    messages = fields.get("messages")
    return [turn.get("role") if isinstance(turn, dict) else None for turn in messages] if isinstance(messages, list) else []
