"""From any caller's dialect to any backend's: a Bridge for each pair, which passes bytes where both speak the same."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from homeport.errors import BrokeMidStream, HomeportError, Uncarried
from homeport.vocabulary import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    MESSAGES,
    NOTHING,
    OLD_EMBED,
    OLLAMA_CHAT,
    RESPONSES,
    Ask,
    Route,
    Surface,
    Usage,
)
from homeport.wire import assemble
from homeport.wire.anthropic import assemble as anthropic_assemble
from homeport.wire.anthropic import count as anthropic_count
from homeport.wire.anthropic import reply as anthropic_reply
from homeport.wire.anthropic import request as anthropic_request
from homeport.wire.anthropic import stream as anthropic_stream
from homeport.wire.dialects import EVENTS, HEARD, LINES, SPOKEN, Heard, Spoken, tools
from homeport.wire.normal import Answer, Piece, gather
from homeport.wire.ollama import reply as ollama_reply
from homeport.wire.ollama import request as ollama_request
from homeport.wire.ollama import stream as ollama_stream
from homeport.wire.openai import reply as openai_reply
from homeport.wire.openai import request as openai_request
from homeport.wire.openai import stream as openai_stream

_encode = msgspec.json.Encoder().encode

Whole = tuple[bytes, Usage, str | None, bool]
"""A whole reply for the caller: its bytes, its usage, its finish, and whether it is empty."""


class Streaming(Protocol):
    """A stream on its way through: see `openai.stream.Stream`."""

    begun: bool
    finish: str | None

    @property
    def done(self) -> bool:
        """Its terminal event came."""

    @property
    def events(self) -> int:
        """Events that carried content; about one token each."""

    @property
    def usage(self) -> Usage | None:
        """What the backend counted."""

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream."""

    def close(self, figures: dict[str, Any]) -> bytes:
        """The end of a whole stream. Raises BrokeMidStream where it is cut."""


class Assembling(Protocol):
    """A stream being collected: see `assemble.Assembly`."""

    @property
    def done(self) -> bool:
        """Its terminal event came."""

    @property
    def events(self) -> int:
        """Events that carried content; about one token each."""

    @property
    def usage(self) -> Usage | None:
        """What the backend counted."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BrokeMidStream."""

    def whole(self) -> tuple[bytes, str | None, bool]:
        """The reply, its finish, and whether it is empty. Raises BrokeMidStream where it is cut."""


class Bridge(Protocol):
    """How one surface is answered by backends of one dialect."""

    stream_type: str  # what the backend's streams are
    out_type: str  # what the caller's streams are

    def streamable(self, ask: Ask) -> bool:
        """Whether a stream carries all that a whole reply to this request would hold."""

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        """The path and the body to send. Raises Uncarried."""

    def stream(self, ask: Ask, created: int) -> Streaming:
        """For the stream a caller asked for. `created`: seconds since the epoch."""

    def assembly(self, ask: Ask, created: int) -> Assembling:
        """For the whole reply a caller asked for, from a backend's stream."""

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        """A backend's whole reply, for the caller. Raises BrokeMidStream where it is none."""

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        """A whole reply (as `whole` gives it) as the stream its caller asked for. Raises BrokeMidStream."""

    def instead(self, status: int, ask: Ask) -> bytes | None:
        """What can be answered although the backend refused, or None."""

    def refusal(self, status: int, body: bytes) -> HomeportError:
        """What a refusal means."""


class Passing:
    """Both speak the same: what all such bridges have in common."""

    stream_type = out_type = EVENTS

    def __init__(self, dialect: str) -> None:
        self.refusal = SPOKEN[dialect].refusal

    def instead(self, status: int, ask: Ask) -> bytes | None:
        """Nothing."""
        return None


class OpenAI(Passing):
    """OpenAI's chats, completions and embeddings, passed through."""

    def streamable(self, ask: Ask) -> bool:
        return openai_request.streamable(ask.fields, ask.surface)

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        surface = ask.surface
        return surface.value, openai_request.write(ask.fields, model=route.model, stream=stream, options=route.options, surface=surface)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return openai_stream.Stream(ask.model, wants_usage=ask.wants_usage)

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return assemble.Assembly(ask.model, ask.surface)

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        return openai_reply.read(body, ask.model)

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


class Across:
    """Caller and backend speak different dialects: everything goes through the normal form."""

    def __init__(self, heard: Heard, spoken: Spoken) -> None:
        self._heard = heard
        self._spoken = spoken
        self.stream_type = spoken.stream_type
        self.out_type = heard.stream_type
        self.refusal = spoken.refusal

    def streamable(self, ask: Ask) -> bool:
        return ask.surface not in EMBEDS

    def request(self, ask: Ask, route: Route, *, stream: bool) -> tuple[str, bytes]:
        asked = self._heard.understand(ask)
        if ask.surface in EMBEDS and self._spoken.vectors is None:
            raise Uncarried("The backend of this model makes no embeddings. Name a model that does; GET /v1/models lists what is served.", param="model")
        surface, body = self._spoken.compose(asked, model=route.model, stream=stream, options=route.options)
        return surface.value, _encode(body)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return Translation(self._heard, self._spoken, ask, created)

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return Collection(self._heard, self._spoken, ask, created)

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        if ask.surface in EMBEDS:
            assert self._spoken.vectors is not None
            assert self._heard.embeddings is not None
            vectors = self._spoken.vectors(body)
            return self._heard.embeddings(ask, vectors), vectors.usage, None, not vectors.vectors
        answer = gather(self._spoken.pieces(body, ask))
        if not ask.stream:  # else it is still to be unfolded
            body = self._heard.whole(ask, answer, created)
        return body, answer.usage or NOTHING, answer.finish, answer.empty

    def unfold(self, body: bytes, ask: Ask, created: int, figures: dict[str, Any]) -> bytes:
        pieces = self._spoken.pieces(body, ask)
        writer = self._heard.writer(ask, created)
        written = writer.write(pieces)
        return written + writer.end(gather(pieces).usage or NOTHING, figures)

    def instead(self, status: int, ask: Ask) -> bytes | None:
        """Nothing."""
        return None


class Translation:
    """A stream from one dialect to another (Streaming)."""

    __slots__ = ("_held", "_reader", "_writer", "begun", "finish", "usage")

    def __init__(self, heard: Heard, spoken: Spoken, ask: Ask, created: int) -> None:
        self._reader = spoken.reader(ask)
        self._writer = heard.writer(ask, created)
        self._held = b""  # what a writer shows before there is content
        self.begun = False
        self.finish: str | None = None
        self.usage: Usage | None = None

    @property
    def done(self) -> bool:
        return self._reader.done

    @property
    def events(self) -> int:
        return self._reader.events

    def feed(self, data: bytes) -> bytes:
        pieces = self._reader.feed(data)
        if not pieces:
            return b""
        for piece in pieces:
            if piece.finish is not None:
                self.finish = piece.finish
                self.begun = True  # an answer may be empty
            elif not self.begun and piece.says_something:
                self.begun = True
            if piece.usage is not None:
                self.usage = piece.usage
        written = self._writer.write(pieces)
        if not self.begun:
            self._held += written
            return b""
        if self._held:
            written, self._held = self._held + written, b""
        return written

    def close(self, figures: dict[str, Any]) -> bytes:
        if not self._reader.done:
            raise BrokeMidStream("the stream ended without its terminal event")
        if self.finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        return self._held + self._writer.end(self.usage or Usage(completion=self.events, estimated=True), figures)


class Collection:
    """A stream of one dialect, collected into a whole of another (Assembling)."""

    __slots__ = ("_ask", "_created", "_heard", "_pieces", "_reader", "_size", "usage")

    def __init__(self, heard: Heard, spoken: Spoken, ask: Ask, created: int) -> None:
        self._heard = heard
        self._ask = ask
        self._created = created
        self._reader = spoken.reader(ask)
        self._pieces: list[Piece] = []
        self._size = 0
        self.usage: Usage | None = None

    @property
    def done(self) -> bool:
        return self._reader.done

    @property
    def events(self) -> int:
        return self._reader.events

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > assemble.MAX_REPLY:
            raise BrokeMidStream(f"an answer of more than {assemble.MAX_REPLY >> 20} MB")
        self._pieces += self._reader.feed(data)

    def whole(self) -> tuple[bytes, str | None, bool]:
        if not self._reader.done:
            raise BrokeMidStream("the stream ended without its terminal event")
        answer: Answer = gather(self._pieces)
        if answer.finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        answer.usage = self.usage = answer.usage or Usage(completion=self.events, estimated=True)
        return self._heard.whole(self._ask, answer, self._created), answer.finish, answer.empty


SURFACES: dict[str, tuple[Surface, ...]] = {
    "openai": (CHAT, COMPLETIONS, EMBEDDINGS),
    "responses": (RESPONSES,),
    "anthropic": (MESSAGES, COUNT_TOKENS),
    "ollama": (OLLAMA_CHAT, GENERATE, EMBED, OLD_EMBED),
}
EMBEDS = frozenset({EMBEDDINGS, EMBED, OLD_EMBED})
_SAME: dict[str, Bridge] = {"openai": OpenAI("openai"), "ollama": Ollama("ollama"), "anthropic": Anthropic("anthropic")}


def _between(dialect: str, surface: Surface, backend: str) -> Bridge:
    if surface is COUNT_TOKENS:
        return Counting(backend)
    return _SAME[dialect] if dialect == backend else Across(HEARD[dialect], SPOKEN[backend])


BRIDGES: dict[str, dict[Surface, Bridge]] = {
    backend: {surface: _between(dialect, surface, backend) for dialect, surfaces in SURFACES.items() for surface in surfaces} for backend in SPOKEN
}
"""By the backend's dialect, then by the surface that was asked."""
