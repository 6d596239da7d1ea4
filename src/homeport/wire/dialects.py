"""What each dialect can do, as tables: how a caller's is read and answered, and how a backend's is asked and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from homeport.errors import HomeportError
from homeport.vocabulary import MESSAGES, Ask, Surface
from homeport.wire.anthropic import reply as anthropic_reply
from homeport.wire.anthropic import request as anthropic_request
from homeport.wire.anthropic import stream as anthropic_stream
from homeport.wire.anthropic import writer as anthropic_writer
from homeport.wire.body import Reading
from homeport.wire.normal import Answer, Piece, Prompt, Reader, Texts, Vectors, Writer
from homeport.wire.ollama import card as ollama_card
from homeport.wire.ollama import compose as ollama_compose
from homeport.wire.ollama import errors as ollama_errors
from homeport.wire.ollama import reply as ollama_reply
from homeport.wire.ollama import request as ollama_request
from homeport.wire.ollama import stream as ollama_stream
from homeport.wire.ollama import understand as ollama_understand
from homeport.wire.openai import compose as openai_compose
from homeport.wire.openai import pieces as openai_pieces
from homeport.wire.openai import reply as openai_reply
from homeport.wire.openai import request as openai_request
from homeport.wire.openai import understand as openai_understand
from homeport.wire.openai import writer as openai_writer
from homeport.wire.responses import reply as responses_reply
from homeport.wire.responses import request as responses_request
from homeport.wire.responses import stream as responses_stream

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"


class Heard(Struct, frozen=True):
    """A dialect that callers speak."""

    read: Callable[[bytes, Surface], Reading]  # raises Malformed, naming the field
    understand: Callable[[Ask], Prompt | Texts]  # raises Malformed or Uncarried
    writer: Callable[[Ask, int], Writer]  # the second is when, in seconds since the epoch
    whole: Callable[[Ask, Answer, int], bytes]
    error_body: Callable[[HomeportError, str], bytes]  # the string is the request's id
    error_event: Callable[[HomeportError, str], bytes]
    embeddings: Callable[[Ask, Vectors], bytes] | None = None
    timed: Callable[[bytes, dict[str, Any]], bytes] | None = None  # a whole with how long it took, where the body says that
    loads: Callable[[Ask], bool] = lambda _: False  # whether it asks for no answer, only for a model to be loaded or unloaded
    stream_type: str = EVENTS


class Spoken(Struct, frozen=True):
    """A dialect that backends speak."""

    compose: Callable[..., tuple[Surface, dict[str, Any]]]  # (prompt, *, model, stream, options); raises Uncarried
    reader: Callable[[Ask], Reader]
    pieces: Callable[[bytes, Ask], list[Piece]]
    refusal: Callable[[int, bytes], HomeportError]
    models: Callable[[bytes], list[str]]
    models_path: str
    vectors: Callable[[bytes], Vectors] | None = None
    stream_type: str = EVENTS


def _compose_messages(prompt: Prompt | Texts, *, model: str, stream: bool, options: dict[str, Any]) -> tuple[Surface, dict[str, Any]]:
    assert isinstance(prompt, Prompt)  # who embeds is never sent here: `bridge.find` has no way
    return MESSAGES, anthropic_request.compose(prompt, model=model, stream=stream, options=options)


def tools(ask: Ask) -> bool:
    """Whether tools were offered: then an empty answer that made tokens is a call that vanished."""
    return "tools" in ask.fields


HEARD: dict[str, Heard] = {
    "openai": Heard(
        read=openai_request.read,
        understand=openai_understand.understand,
        writer=openai_writer.Writer,
        whole=openai_writer.whole,
        error_body=lambda error, _: openai_reply.error_body(error),
        error_event=lambda error, _: openai_reply.error_event(error),
        embeddings=openai_writer.embeddings,
    ),
    "responses": Heard(
        read=responses_request.read,
        understand=responses_request.understand,
        writer=responses_stream.Writer,
        whole=responses_reply.whole,
        error_body=responses_reply.error_body,
        error_event=responses_reply.error_event,
    ),
    "anthropic": Heard(
        read=anthropic_request.read,
        understand=anthropic_request.understand,
        writer=anthropic_writer.Writer,
        whole=lambda ask, answer, _: anthropic_reply.whole(ask, answer),
        error_body=anthropic_reply.error_body,
        error_event=anthropic_reply.error_event,
    ),
    "ollama": Heard(
        read=ollama_request.read,
        understand=ollama_understand.understand,
        writer=ollama_stream.Writer,
        whole=ollama_reply.whole,
        error_body=ollama_errors.error_body,
        error_event=ollama_errors.error_event,
        embeddings=ollama_reply.embeddings,
        timed=ollama_reply.timed,
        loads=lambda ask: ollama_request.loads(ask.fields, ask.surface) is not None,
        stream_type=LINES,
    ),
}

SPOKEN: dict[str, Spoken] = {
    "openai": Spoken(
        compose=openai_compose.compose,
        reader=lambda _: openai_pieces.Reader(),
        pieces=lambda body, _: openai_pieces.pieces(body),
        refusal=openai_reply.refusal,
        models=openai_reply.model_names,
        models_path="/v1/models",
        vectors=openai_pieces.vectors,
    ),
    "anthropic": Spoken(
        compose=_compose_messages,
        reader=lambda _: anthropic_stream.Reader(),
        pieces=lambda body, _: anthropic_reply.pieces(body),
        refusal=anthropic_reply.refusal,
        models=anthropic_reply.models,
        models_path="/v1/models?limit=1000",
    ),
    "ollama": Spoken(
        compose=ollama_compose.compose,
        reader=lambda ask: ollama_stream.Reader(tools=tools(ask)),
        pieces=lambda body, ask: ollama_reply.pieces(body, tools=tools(ask)),
        refusal=ollama_errors.refusal,
        models=ollama_card.models,
        models_path="/api/tags",
        vectors=ollama_reply.vectors,
        stream_type=LINES,
    ),
}
