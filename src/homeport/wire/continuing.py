"""The stream of an answer that another attempt may go on with: what the caller has of it, and the seam where the next part begins."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from homeport.errors import BrokeMidStream, CallerError
from homeport.vocabulary import Ask, Begun, Route, Usage
from homeport.wire.dialects import HEARD, SPOKEN
from homeport.wire.normal import Piece, Prompt
from homeport.wire.prefill import given, kept

SURE = 256  # characters: no token is that long (runs of one character reach 128), so a piece that begins with so much of the text repeats it
_BINDING = frozenset(  # options of a route that say more of an answer than a second part could keep to
    {"response_format", "json_schema", "grammar", "structured_outputs", "format", "n", "best_of", "logprobs", "top_logprobs", "echo", "tool_choice", "suffix"}
    | {"continue_final_message", "add_generation_prompt", "reasoning_format", "stream_options"}
)
_LIMITS = ("max_tokens", "max_completion_tokens")


class Plan(Struct, frozen=True, gc=False):
    """What counts for the second part of an answer."""

    limit: float = math.inf  # tokens that all of it may have
    raw: bool = False  # the prompt goes around the chat template


def plan(ask: Ask, options: dict[str, Any]) -> Plan | None:
    """How the answer to a request could be gone on with; None where it could not.

    Not where all of it must meet a form (schema, grammar) or call a tool, nor with several choices, log-probabilities, thinking
    that was asked for, an answer that the caller began, a gap to fill, or fields that Homeport does not know. A prompt
    without a chat template needs a limit of its own, for engines differ in what they do without. `options` are the route's.
    """
    try:
        prompt = HEARD[ask.dialect].understand(ask)
    except CallerError:
        return None
    if not isinstance(prompt, Prompt) or not prompt.turns or not _BINDING.isdisjoint(options):
        return None
    bound = prompt.format is not None or prompt.suffix or prompt.thinking or prompt.tool_choice not in (None, "auto", "none")
    if bound or (prompt.turns[-1].role == "assistant" and not prompt.raw):
        return None
    limit = prompt.max_tokens
    if limit is None:
        limit = next((options[name] for name in _LIMITS if isinstance(options.get(name), int)), None)
    if limit is not None and limit > 0:
        return Plan(limit, prompt.raw)
    return None if prompt.raw else Plan()


class Seam:
    """What comes behind the text that a caller has: passes what is new, each character once.

    `text` is what the engine was given, `owed` the blanks behind it that it was not given. Held back is only what could
    still be a repetition. An engine that repeats the text does so in one piece: it is cut off, to the character. A
    repetition token by token may be the model's own words as well as another beginning: nobody can tell, so it is refused.
    """

    __slots__ = ("_held", "_owed", "_pieces", "_text")

    def __init__(self, text: str, owed: str = "") -> None:
        self._text = text  # "" once it is known not to be repeated
        self._owed = owed
        self._held = ""
        self._pieces = 0

    def take(self, piece: str) -> str:
        """What of the text so far may pass. Raises BrokeMidStream where the two parts do not fit."""
        if not (self._text or self._owed or self._held):
            return piece
        if not piece:
            return ""
        self._held += piece
        self._pieces += 1
        if self._text:
            held, text = self._held, self._text
            if len(held) < len(text) and text.startswith(held):
                return ""
            if held.startswith(text):
                if self._pieces > 1 or len(text) < SURE:
                    raise BrokeMidStream("the engine began the answer again, or repeats itself: nobody could tell")
                self._held = held[len(text) :]
            self._text = ""
        return self._settle()

    def end(self) -> str:
        """What was held back, where the answer ends. Raises BrokeMidStream where it does not say the blanks that are owed."""
        self._text = ""
        passed = self._settle()
        if self._owed:
            raise BrokeMidStream("the engine went on otherwise than the text that the caller has")
        return passed

    def _settle(self) -> str:
        held, owed = self._held, self._owed
        if len(held) < len(owed) and owed.startswith(held):
            return ""
        if not held.startswith(owed):
            raise BrokeMidStream("the engine went on otherwise than the text that the caller has")
        self._held = self._owed = ""
        return held[len(owed) :]


class Telling:
    """An answer on its way to one caller, in one open stream, told by one attempt or by several in turn (Streaming).

    It is written anew from the normal form whatever the backend speaks, so that a second part fits the first.
    """

    __slots__ = ("_ask", "_counted", "_held", "_only_text", "_plan", "_reader", "_seam", "_texts", "_told", "_writer", "begun", "finish", "parts")

    def __init__(self, ask: Ask, plan: Plan, dialect: str, created: int) -> None:
        """`dialect` is the backend's; `created` in seconds since the epoch."""
        self._ask = ask
        self._reader = SPOKEN[dialect].reader(ask)
        self._writer = HEARD[ask.dialect].writer(ask, created)
        self._plan = plan
        self._seam: Seam | None = None
        self._held = b""  # what a writer shows before there is content
        self._texts: list[str] = []
        self._told = 0  # tokens of the parts before
        self._counted: Usage | None = None
        self._only_text = True
        self.parts = 1
        self.begun = False
        self.finish: str | None = None

    @property
    def done(self) -> bool:
        return self._reader.done

    @property
    def events(self) -> int:
        """Of the part under way."""
        return self._reader.events

    @property
    def usage(self) -> Usage | None:
        """All parts together. An engine counts what it was given as prompt, so the sum is right and the division an estimate."""
        counted, told = self._counted, self._told
        if not told:
            return counted
        if counted is None:
            return Usage(completion=told + self.events, estimated=True)
        prompt = max(0, counted.prompt - told)
        return Usage(prompt, counted.completion + told, min(counted.cached, prompt), counted.reasoning, estimated=True)

    @property
    def told(self) -> bool:
        """Whether the caller has text of it."""
        return bool(self._texts)

    @property
    def beginning(self) -> Begun | None:
        """What the caller has, where an engine could go on from there: text and no more, not at its end, and whole characters."""
        text = "".join(self._texts)
        counted = self._counted
        tokens = self._told + (max(self.events, counted.completion) if counted is not None else self.events)
        if not self._only_text or self.finish is not None or tokens >= self._plan.limit:
            return None
        if not text.strip() or text.endswith("\ufffd") or text.lstrip().startswith("<think"):
            return None
        return Begun(text, tokens)

    def go_on(self, route: Route, dialect: str) -> None:
        """Another attempt tells what comes behind `route.begun`; its stream is fed from here on."""
        begun = route.begun
        assert begun is not None
        self._told = begun.tokens if self._plan.raw else kept(begun, route.engine)
        self._counted = None
        self._reader = SPOKEN[dialect].reader(self._ask)
        self._seam = Seam(begun.text) if self._plan.raw else Seam(*given(begun.text, route.engine))
        self.parts += 1

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises BrokeMidStream where the stream says that it failed, or a second part does not fit the first."""
        pieces = self._reader.feed(data)
        if not pieces:
            return b""
        if self._seam is not None:
            for piece in pieces:
                self._join(piece, self._seam)
        written = self._writer.write(pieces)
        for piece in pieces:
            if piece.text:
                self._texts.append(piece.text)
            if piece.reasoning or piece.calls:
                self._only_text = False
            if piece.finish is not None:
                self.finish = piece.finish
                self.begun = True  # an answer may be empty
            elif not self.begun and piece.says_something:
                self.begun = True
            self._counted = piece.usage or self._counted
        if not self.begun:
            self._held += written
            return b""
        if self._held:
            written, self._held = self._held + written, b""
        return written

    @staticmethod
    def _join(piece: Piece, seam: Seam) -> None:
        if piece.reasoning.strip():
            raise BrokeMidStream("the engine thinks where the answer should go on")
        piece.reasoning = ""
        piece.text = seam.take(piece.text)
        if piece.finish is not None or piece.calls:
            piece.text += seam.end()

    def close(self, figures: dict[str, Any]) -> bytes:
        """The end of a whole stream. Raises BrokeMidStream where it is cut."""
        if not self._reader.done:
            raise BrokeMidStream("the stream ended without its terminal event")
        if self.finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        return self._held + self._writer.end(self.usage or Usage(completion=self.events, estimated=True), figures)
