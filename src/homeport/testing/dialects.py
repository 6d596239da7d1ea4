"""What a scripted backend says on one of its surfaces: the port of the dialects, and OpenAI's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from homeport.testing import prefill
from homeport.testing.script import Answer
from homeport.testing.shapes import Json, Style, Told, encode
from homeport.testing.telling import Event, stream, whole

ERROR_STATUS = 500


class Dialect(ABC):
    """How answers look on the paths of one dialect."""

    streams_unasked = False  # a stream unless `"stream": false`
    late_head = False  # a stream's status line comes with its first token

    def __init__(self, style: Style) -> None:
        self.style = style

    def streamed(self, fields: Json) -> bool:
        """Whether the request asks for a stream."""
        wanted = fields.get("stream")
        return wanted is not False if self.streams_unasked else wanted is True

    @abstractmethod
    def head(self, streamed: bool) -> list[tuple[str, str]]:
        """Response headers besides those of the framing."""

    @abstractmethod
    def stream(self, told: Told, answer: Answer, fields: Json, role_only: bool) -> Iterator[Event]:
        """The events of a streamed answer; `role_only`: the opening stands alone, in an HTTP chunk of its own."""

    @abstractmethod
    def whole(self, told: Told, answer: Answer, fields: Json) -> Json:
        """The answer as one document."""

    @abstractmethod
    def computed(self, told: Told, fields: Json) -> Json:
        """What a path answers that makes no text: a vector for each input, or a count of tokens."""

    @abstractmethod
    def error(self, status: int, message: str) -> Json:
        """The body of a refusal."""

    def refusal(self, fields: Json, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and message where a real one refuses such a request before it looks at the prompt."""
        return None

    def unprompted(self, path: str, fields: Json) -> Json | None:
        """The answer to a request that asks for nothing, on a path where a real one takes it; None for all others."""
        return None

    def document(self, body: Json) -> bytes:
        """The bytes of a whole answer."""
        return encode(body)

    def error_event(self, message: str, done: bool) -> list[bytes]:
        """The HTTP chunks of an error amid a stream, and where `done` of the stream's last event after it."""
        data = b"data: " + self.style.error_event(ERROR_STATUS, message) + b"\n\n"
        return [data, b"data: [DONE]\n\n"] if done else [data]

    def garbage(self) -> bytes:
        """The bytes of an event that is no JSON."""
        return b'data: {"choices": [{"delta": \n\n'

    def dying(self, told: Told) -> bytes:
        """What ends a stream that ends properly although it broke."""
        return b""


class OpenAI(Dialect):
    """`/v1/chat/completions`, `/v1/completions` and `/v1/embeddings` of an engine."""

    def head(self, streamed: bool) -> list[tuple[str, str]]:
        return self.style.head(streamed)

    def stream(self, told: Told, answer: Answer, fields: Json, role_only: bool) -> Iterator[Event]:
        return stream(self.style, told, answer, max_tokens(fields), isinstance(fields.get("prompt"), list), role_only)

    def whole(self, told: Told, answer: Answer, fields: Json) -> Json:
        return whole(self.style, told, answer, max_tokens(fields))

    def refusal(self, fields: Json, headers: dict[str, str]) -> tuple[int, str] | None:
        return prefill.refusal(self.style.name, fields)

    def computed(self, told: Told, fields: Json) -> Json:
        return self.style.embeddings(told, texts(fields.get("input")), fields.get("encoding_format") == "base64")

    def error(self, status: int, message: str) -> Json:
        return self.style.error(status, message)

    def unprompted(self, path: str, fields: Json) -> Json | None:
        """The answer to a request that asks for nothing, on a path where a real one takes it; None for all others."""
        return None

    def document(self, body: Json) -> bytes:
        return encode(body) + (b"\n" if self.style.name == "ollama" else b"")

    def dying(self, told: Told) -> bytes:
        return b"".join(b"data: " + encode(row) + b"\n\n" for row in self.style.dying(told))


def texts(given: Any) -> list[str]:
    """The inputs of an embedding."""
    return [str(text) for text in given] if isinstance(given, list) else [str(given)]


def max_tokens(fields: dict[str, Any]) -> int | None:
    """The limit asked for, if any."""
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
    return limit if isinstance(limit, int) and limit > 0 else None
