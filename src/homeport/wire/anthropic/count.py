"""Counting the tokens of a prompt for `/v1/messages/count_tokens`: a backend's count, or an estimate where it has none."""

from __future__ import annotations

import msgspec

from homeport.errors import BrokeMidStream
from homeport.wire.normal import Prompt, Schema

_encode = msgspec.json.Encoder().encode
BYTES_PER_TOKEN = 4
TOKENS_PER_TURN = 4
TOKENS_PER_IMAGE = 1000


def counted(body: bytes) -> int:
    """The number of tokens in a backend's `{"input_tokens": …}`. Raises BrokeMidStream where it holds none."""
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reply = None
    tokens = reply.get("input_tokens") if isinstance(reply, dict) else None
    if type(tokens) is not int or tokens < 0:
        raise BrokeMidStream("the reply is not a count of tokens")
    return tokens


def counting(tokens: int) -> bytes:
    """The reply that tells a count."""
    return _encode({"input_tokens": tokens})


def estimate(prompt: Prompt) -> int:
    """About how many tokens a prompt has, without its model's tokenizer.

    Bytes in UTF-8 (text, thinking, tools and their calls as JSON, a schema) divided by BYTES_PER_TOKEN and rounded up,
    TOKENS_PER_TURN for each turn, TOKENS_PER_IMAGE for each image. English is some four bytes a token in today's
    vocabularies; the estimate is made to be simple, not to be right.
    """
    size = sum(len(_encode([tool.name, tool.description, tool.parameters])) for tool in prompt.tools)
    if isinstance(prompt.format, Schema):
        size += len(_encode(prompt.format.schema))
    images = 0
    for turn in prompt.turns:
        size += len(turn.text.encode()) + len(turn.reasoning.encode())
        size += sum(len(call.name.encode()) + len(call.arguments.encode()) for call in turn.calls)
        images += len(turn.images)
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_TURN * len(prompt.turns) + TOKENS_PER_IMAGE * images
