"""OpenAI's chats, completions and embeddings for crossing to and from other dialects, in the form of `wire/normal.py`."""

from __future__ import annotations

from homeport.wire.openai_compose import compose
from homeport.wire.openai_pieces import Reader, pieces, vectors
from homeport.wire.openai_understand import understand
from homeport.wire.openai_writer import Writer, embeddings, whole

__all__ = ["Reader", "Writer", "compose", "embeddings", "pieces", "understand", "vectors", "whole"]
