"""The bridge between two dialects: everything goes through the normal form."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream, Malformed, Uncarried
from homeport.vocabulary import (
    EMBED,
    EMBEDDINGS,
    NOTHING,
    OLD_EMBED,
    Ask,
    Route,
    Usage,
)
from homeport.wire import assemble
from homeport.wire.crossing import Assembling, Streaming, Whole
from homeport.wire.dialects import Heard, Spoken
from homeport.wire.normal import Answer, Piece, Texts, gather
from homeport.wire.prefill import prefilled

_encode = msgspec.json.Encoder().encode
EMBEDS = frozenset({EMBEDDINGS, EMBED, OLD_EMBED})


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
        if self._heard.loads(ask):
            raise Uncarried("Only an Ollama loads and unloads models. Send a prompt.", param="keep_alive")
        asked = self._heard.understand(ask)
        if ask.surface in EMBEDS and self._spoken.vectors is None:
            raise Uncarried("The backend of this model makes no embeddings. Name a model that does; GET /v1/models lists what is served.", param="model")
        if isinstance(asked, Texts) and not asked.texts:
            raise Malformed("`input` is empty. Send at least one text.", param="input")
        surface, body = self._spoken.compose(asked, model=route.model, stream=stream, options=route.options)
        written = _encode(body)
        return surface.value, written if route.begun is None else prefilled(written, route)

    def stream(self, ask: Ask, created: int) -> Streaming:
        return Translation(self._heard, self._spoken, ask, created)

    def assembly(self, ask: Ask, created: int) -> Assembling:
        return Collection(self._heard, self._spoken, ask, created)

    def whole(self, body: bytes, ask: Ask, created: int) -> Whole:
        if ask.surface in EMBEDS:
            assert self._spoken.vectors is not None
            assert self._heard.embeddings is not None
            vectors = self._spoken.vectors(body)
            asked = self._heard.understand(ask)
            if isinstance(asked, Texts) and len(vectors.vectors) != len(asked.texts):
                raise BrokeMidStream(f"{len(asked.texts)} texts came back as {len(vectors.vectors)} vectors")
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

    def timed(self, body: bytes, figures: dict[str, Any]) -> bytes:
        return self._heard.timed(body, figures) if self._heard.timed is not None else body

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
