"""Token counts as engines report them, in one form."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from homeport.vocabulary import Usage

Count = int | float | None


class _Details(Struct, gc=False):
    cached_tokens: Count = 0
    reasoning_tokens: Count = 0


class OpenAIUsage(Struct, gc=False):
    """The `usage` object of the OpenAI surface; the details are null on some engines."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


def counted(usage: OpenAIUsage) -> Usage:
    """Its counts; what is missing counts as nothing."""
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        int(usage.prompt_tokens or 0),
        int(usage.completion_tokens or 0),
        int(prompt.cached_tokens or 0) if prompt is not None else 0,
        int(completion.reasoning_tokens or 0) if completion is not None else 0,
    )


def from_openai(usage: dict[str, Any]) -> Usage:
    """The counts of a decoded `usage` object; one of a strange shape counts as nothing."""
    try:
        return counted(msgspec.convert(usage, OpenAIUsage))
    except msgspec.ValidationError:
        return Usage()
