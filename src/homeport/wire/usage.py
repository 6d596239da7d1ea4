"""Token counts as engines report them, in one form."""

from __future__ import annotations

from typing import Any

from homeport.vocabulary import Usage


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and value > 0 else 0


def from_openai(usage: dict[str, Any]) -> Usage:
    """The `usage` object of the OpenAI surface; the details are null on some engines."""
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    return Usage(
        prompt=_count(usage.get("prompt_tokens")),
        completion=_count(usage.get("completion_tokens")),
        cached=_count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else 0,
        reasoning=_count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else 0,
    )
