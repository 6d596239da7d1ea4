"""Bridges between two that speak the same dialect: bytes pass through."""

from __future__ import annotations

from typing import Any

from homeport.errors import BrokeMidStream, Uncarried
from homeport.vocabulary import (
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    NOTHING,
    Ask,
    Route,
)
from homeport.wire import assemble
from homeport.wire.anthropic import assemble as anthropic_assemble
from homeport.wire.anthropic import count as anthropic_count
from homeport.wire.anthropic import reply as anthropic_reply
from homeport.wire.anthropic import request as anthropic_request
from homeport.wire.anthropic import stream as anthropic_stream
from homeport.wire.crossing import Assembling, Streaming, Whole
from homeport.wire.dialects import EVENTS, HEARD, LINES, SPOKEN, tools
from homeport.wire.ollama import reply as ollama_reply
from homeport.wire.ollama import request as ollama_request
from homeport.wire.ollama import stream as ollama_stream
from homeport.wire.openai import reply as openai_reply
from homeport.wire.openai import request as openai_request
from homeport.wire.openai import stream as openai_stream
from homeport.wire.prefill import prefilled


class Passing:
    """Both speak the same: what all such bridges have in common."""

    stream_type = out_type = EVENTS

    def __init__(self, dialect: str) -> None:
        self.refusal = SPOKEN[dialect].refusal

    def timed(self, body: bytes, figures: dict[str, Any]) -> bytes:
        """As it came."""
        return body

    def instead(self, status: int, ask: Ask) -> bytes | None:
        """Nothing."""
        return None


class OpenAI(Passing):
    """OpenAI's chats, completions and embeddings, passed through."""

    def streamable(self, ask: Ask) -> bool:
        return openai_request.streamable(ask.fields, ask.surface)

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        surface = ask.surface
        body = openai_request.write(ask.fields, model=route.model, stream=stream, options=route.options, surface=surface)
        return surface.value, body if route.begun is None else prefilled(body, route)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return openai_stream.Stream(ask.model, wants_usage=ask.wants_usage, several=openai_request.several(ask.fields, ask.surface))

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return assemble.Assembly(ask.model, ask.surface)

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        whole = openai_reply.read(body, ask.model)
        if whole[2] is None and ask.surface is not EMBEDDINGS:
            raise BrokeMidStream("the reply has no finish reason")
        return whole

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        return openai_reply.unfold(body, wants_usage=ask.wants_usage, figures=figures)


class Ollama(Passing):
    """Ollama's chats, generated texts and embeddings, passed through."""

    stream_type = out_type = LINES

    def streamable(self, ask: Ask) -> bool:
        return ollama_request.streamable(ask.fields, ask.surface)

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        return ask.surface.value, ollama_request.passing(ask, model=route.model, stream=stream, options=route.options)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return ollama_stream.Stream(ask.model, tools=tools(ask))

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return ollama_stream.Assembly(ask.model, ask.surface, tools=tools(ask))

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        if ollama_request.loads(ask.fields, ask.surface) is not None:  # it asked for no answer
            return ollama_reply.loaded(body, ask.model), NOTHING, None, False
        return ollama_reply.read(body, ask.model, tools=tools(ask))

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        return ollama_reply.unfold(body, ask, figures)


class Anthropic(Passing):
    """Anthropic's messages, passed through."""

    def streamable(self, ask: Ask) -> bool:
        return True

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        return MESSAGES.value, anthropic_request.passing(ask, model=route.model, stream=stream, options=route.options)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return anthropic_stream.Stream(ask.model)

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return anthropic_assemble.Assembly(ask.model, ask.surface)

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        return anthropic_reply.read(body, ask.model)

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        return anthropic_reply.unfold(body, ask, figures)


class Counting(Passing):
    """Anthropic's count_tokens: vLLM and llama.cpp answer it too; where a backend does not, the count is an estimate."""

    def streamable(self, ask: Ask) -> bool:
        return False

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        return COUNT_TOKENS.value, anthropic_request.passing(ask, model=route.model, stream=False, options={})

    def stream(self, ask: Ask, created: int) -> Streaming:
        raise BrokeMidStream("a count of tokens came as a stream")

    def assembly(self, ask: Ask, created: int) -> Assembling:
        raise BrokeMidStream("a count of tokens came as a stream")

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        tokens = anthropic_count.counted(body)
        return anthropic_count.counting(tokens), NOTHING, None, False

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        return body

    def instead(self, status: int, ask: Ask) -> bytes | None:
        if status not in (404, 405, 501):
            return None
        try:
            prompt = HEARD["anthropic"].understand(ask)
        except Uncarried:  # a count of what no backend here could be sent: by the size of it
            return anthropic_count.counting(-(-sum(map(len, ask.fields.values())) // anthropic_count.BYTES_PER_TOKEN))
        return anthropic_count.counting(anthropic_count.estimate(prompt))  # type: ignore[arg-type]  # messages embed nothing
