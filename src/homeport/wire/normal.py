"""One normal form of prompts and answers: what is read from one dialect and written in another where the two differ.

Caller and backend that speak the same dialect never meet it: there the bytes pass through. A dialect's modules offer

    understand(ask) -> Prompt | Texts            what the caller asked, from `ask.fields`; raises Malformed or Uncarried
    compose(prompt, model=, stream=, options=)   the body of a backend's request; raises Uncarried
    Reader                                       a backend's stream, as Pieces
    pieces(body)                                 a backend's whole reply, as Pieces
    Writer                                       Pieces, as the caller's stream
    whole(ask, answer)                           an Answer, as the caller's whole reply

so N dialects need N readers and N writers, not N times N.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from homeport.vocabulary import NOTHING, Usage


class Image(Struct, gc=False):
    """A picture in a turn: base64 `data` with its media type, or a `url` where somebody else has it."""

    data: str = ""
    media_type: str = ""  # "image/png" …; "" where the caller did not say
    url: str = ""


class Call(Struct, gc=False):
    """A whole tool call. `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


class Turn(Struct):
    """One turn of a conversation. A tool's result is a turn of its own, with `answers` the id of its call."""

    role: Literal["system", "user", "assistant", "tool"]  # OpenAI's "developer" is "system"
    parts: list[str | Image] = []  # in order
    reasoning: str = ""  # of an assistant
    calls: list[Call] = []  # of an assistant
    answers: str = ""  # of a tool: the id of the call it answers
    name: str = ""  # of a tool: the tool's name, where the dialect says it
    failed: bool = False  # of a tool: it reports an error

    @property
    def text(self) -> str:
        """All text of the turn; images left out."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> list[Image]:
        return [part for part in self.parts if isinstance(part, Image)]


class Tool(Struct):
    """A function the model may call. `parameters` is a JSON Schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Schema(Struct):
    """A JSON Schema that the answer must meet."""

    schema: dict[str, Any]
    name: str = "answer"
    strict: bool | None = None


class Prompt(Struct):
    """What a model is asked, in no dialect. None everywhere means: the caller did not say.

    With `raw`, the text of the only turn goes to the model as it is, without the chat template (OpenAI's completions,
    Ollama's `raw`).
    """

    turns: list[Turn]
    raw: bool = False
    suffix: str = ""  # what comes after the gap to fill; only with `raw`, or Ollama's generate
    tools: list[Tool] = []
    tool_choice: str | None = None  # "auto" "none" "required"; or "tool", and then `tool_name` says which
    tool_name: str = ""
    parallel_calls: bool | None = None
    format: Literal["json"] | Schema | None = None
    stop: list[str] = []
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    thinking: bool | str | None = None  # whether to think; or how hard: "low" "medium" "high" …
    thinking_tokens: int | None = None  # at most, where the dialect counts them


class Texts(Struct):
    """What is to be embedded."""

    texts: list[str]
    dimensions: int | None = None
    truncate: bool = False  # cut what is too long, rather than refuse it
    base64: bool = False  # OpenAI's encoding_format: vectors as base64 of little-endian float32


class Vectors(Struct):
    """Embeddings, one a text, in order."""

    vectors: list[list[float]]
    usage: Usage = NOTHING


class CallPiece(Struct, gc=False):
    """A piece of a tool call: the first one of an `index` has its id and name; `arguments` add up."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Piece(Struct, gc=False):
    """A piece of an answer. A backend's event makes one, or none."""

    text: str = ""
    reasoning: str = ""
    calls: list[CallPiece] | None = None
    finish: str | None = None  # OpenAI's words: "stop" "length" "tool_calls" "content_filter"
    stopped_by: str | None = None  # the stop sequence that ended it, where the backend says
    usage: Usage | None = None  # may come more than once: the last one counts

    @property
    def says_something(self) -> bool:
        """Whether it holds content: text, reasoning or a tool call."""
        return bool(self.text or self.reasoning or self.calls)


class Answer(Struct):
    """All pieces of an answer, put together."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = []
    finish: str | None = None
    stopped_by: str | None = None
    usage: Usage | None = None

    @property
    def empty(self) -> bool:
        return not (self.text or self.reasoning or self.calls)


def object_of(arguments: str) -> dict[str, Any] | None:
    """The arguments of a call, decoded; none at all are an empty object. None where they are no JSON object."""
    if not arguments or arguments.isspace():
        return {}
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def gather(pieces: Iterable[Piece]) -> Answer:
    """The answer that pieces amount to."""
    answer = Answer()
    texts: list[str] = []
    thoughts: list[str] = []
    calls: dict[int, tuple[CallPiece, list[str]]] = {}
    for piece in pieces:
        if piece.text:
            texts.append(piece.text)
        if piece.reasoning:
            thoughts.append(piece.reasoning)
        for call in piece.calls or ():
            first, arguments = calls.setdefault(call.index, (CallPiece(call.index), []))
            first.id = first.id or call.id
            first.name = first.name or call.name
            arguments.append(call.arguments)
        answer.finish = piece.finish or answer.finish
        answer.stopped_by = piece.stopped_by or answer.stopped_by
        answer.usage = piece.usage or answer.usage
    answer.text, answer.reasoning = "".join(texts), "".join(thoughts)
    answer.calls = [Call(first.id, first.name, "".join(arguments)) for _, (first, arguments) in sorted(calls.items())]
    return answer


class Reader(Protocol):
    """Reads a backend's stream."""

    @property
    def done(self) -> bool:
        """Its terminal event came; without it the stream is cut."""

    @property
    def events(self) -> int:
        """Events so far that carried content; about one token each."""

    def feed(self, data: bytes) -> list[Piece]:
        """What the next bytes hold, wherever they were split. Raises BrokeMidStream where the stream says it failed."""


class Writer(Protocol):
    """Writes a caller's stream."""

    def write(self, pieces: list[Piece]) -> bytes:
        """The pieces as events; b"" where they show nothing yet. A finish is kept for `end`."""

    def end(self, usage: Usage, figures: dict[str, Any]) -> bytes:
        """The last events: finish, usage, Homeport's figures in the last record, the dialect's terminal event."""
