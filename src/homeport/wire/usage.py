"""Token counts as engines report them, in one form."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from homeport.vocabulary import Usage

Count = int | float | None
MOST = 2**53  # more tokens than this nobody made; and a ledger cannot hold every number that JSON can


class _Details(Struct, gc=False):
    cached_tokens: Count = 0
    reasoning_tokens: Count = 0


class OpenAIUsage(Struct, gc=False):
    """The `usage` object of the OpenAI surface; the details are null on some engines."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


def tokens(count: Count) -> int:
    """A count as an engine reported it; what cannot be one counts as nothing."""
    return int(count) if count and 0 < count < MOST else 0


def counted(usage: OpenAIUsage) -> Usage:
    """Its counts; what is missing counts as nothing."""
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        tokens(usage.prompt_tokens),
        tokens(usage.completion_tokens),
        tokens(prompt.cached_tokens) if prompt is not None else 0,
        tokens(completion.reasoning_tokens) if completion is not None else 0,
    )


def from_openai(usage: dict[str, Any]) -> Usage:
    """The counts of a decoded `usage` object; one of a strange shape counts as nothing."""
    try:
        return counted(msgspec.convert(usage, OpenAIUsage))
    except msgspec.ValidationError:
        return Usage()
