"""One answer that code makes, with the engine's help: who makes it, and how it looks like an engine's on the way to the caller."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol

import msgspec

from homeport.errors import BackendError, Malformed, Refused, Uncarried
from homeport.pilot import Spoilt
from homeport.runner import drive
from homeport.skills import classification, drafting, extracting, reading, scattering, talk
from homeport.skills.mind import Mind, Page
from homeport.tasks.quoting import literal
from homeport.tasks.shipped import prompts
from homeport.vocabulary import CHAT, Ask, Route
from homeport.wire.dialects import HEARD
from homeport.wire.normal import Prompt

FORMS = frozenset({"grammar", "response_format", "structured_outputs", "json_schema"})  # how a task asks for the form of its answer
REPAIR = "That answer cannot be used ("  # how tasks begin the turn that says what was wrong
LIMIT = 4096  # tokens; no answer made here is longer
KEYS: dict[str, tuple[str, ...]] = {"ask": ("answer",), "scatter": prompts.BANDS, "draft": ("subject", "body")}  # of the objects they answer with
NAMES = 100  # labels or fields, as many as the tasks take
COUNTED = 100_000  # characters of a prompt whose tokens are counted; those of a longer one are guessed
_TOKENISH = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")

_encode = msgspec.json.Encoder().encode


class Work(NamedTuple):
    """What is to be answered: `make` says it, asking the engine where it needs to."""

    make: Callable[[Mind], Coroutine[Any, Any, str]]
    said: str  # what the model is told, for its count of tokens
    stop: list[str]
    most: int | None  # tokens


class Skill(Protocol):
    """Answers one task."""

    def __call__(self, asked: prompts.Asked, mind: Mind) -> Awaitable[str]:
        """The answer as JSON."""
        ...


SKILLS: dict[str, Skill] = {
    "classify": classification.answer,
    "extract": extracting.answer,
    "ask": reading.answer,
    "scatter": scattering.answer,
    "draft": drafting.answer,
}


def work(ask: Ask, *, decoder: bool = True) -> Work | None:
    """What code answers of a chat: a task that ships, or what is beyond the pilot. None where the engine answers alone."""
    prompt = understood(ask)
    if prompt is None:
        return None
    forms = formed(ask)
    shaped = prompt.format is not None or bool(forms)
    users = [turn for turn in prompt.turns if turn.role == "user"]
    last = next((turn for turn in reversed(users) if not turn.text.startswith(REPAIR)), None)
    asked = prompts.read(last.text) if last is not None else None
    said = "\n".join(turn.text for turn in prompt.turns)
    if asked is not None and fits(asked, forms):
        skill, known = SKILLS[asked.task], asked

        async def make(mind: Mind) -> str:
            answer: str = await skill(known, mind if decoder else mind.silent())
            return answer

        return Work(make, said, prompt.stop, prompt.max_tokens)
    if shaped or prompt.tool_choice in ("required", "tool") or (prompt.turns and prompt.turns[-1].role == "assistant"):
        return None
    if last is not None and prompt.turns[-1] is last and talk.known(last.text):
        return None

    async def beyond(mind: Mind) -> str:
        return talk.BEYOND

    return Work(beyond, said, prompt.stop, prompt.max_tokens)


def understood(ask: Ask) -> Prompt | None:
    """A chat in the normal form, whatever form its answer is to have; None where it asks for what only the engine can do."""
    fields = {name: value for name, value in ask.fields.items() if name not in FORMS} if ask.surface is CHAT else ask.fields
    try:
        prompt = HEARD[ask.dialect].understand(msgspec.structs.replace(ask, fields=fields))
    except (Malformed, Uncarried):
        return None
    if not isinstance(prompt, Prompt) or prompt.raw or prompt.suffix or any(turn.images for turn in prompt.turns):
        return None
    return prompt


def formed(ask: Ask) -> dict[str, Any]:
    """What a chat says of the form of its answer, by field; null, and "text", say nothing of it."""
    said = {name: msgspec.json.decode(form) for name, form in ask.fields.items() if name in FORMS}
    return {name: form for name, form in said.items() if form and form != {"type": "text"}}


def fits(asked: prompts.Asked, forms: dict[str, Any]) -> bool:
    """Whether the form that the answer is to have names the same labels or fields as the prompt does, as far as that can be seen."""
    if len(asked.names) > NAMES:
        return False
    said = forms.get("grammar") or forms.get("response_format")
    if said is None:
        return True
    if said == {"type": "json_object"}:
        return asked.task != "classify"
    names = asked.names or KEYS[asked.task]
    if isinstance(said, str):  # GBNF, where each label is a literal, and each field one with its colon
        colon = "" if asked.task == "classify" else ":"
        return all(literal(prompts.packed(name) + colon)[1:-1] in said for name in names)
    text = _encode(said).decode()
    return all(_encode(name).decode() in text for name in names)


class Composed:
    """An answer made here (port Upstream). It is made in a task of its own, and sent a token at a time."""

    def __init__(self, wanted: Work, ask: Ask, route: Route, page: Page) -> None:
        self.status = 0
        self.begun = False
        self.streamed = True  # it ends at once where its caller leaves
        self.headers: dict[bytes, bytes] = {}
        self._ask, self._route, self._work = ask, route, wanted
        self._page = page
        self._parts: list[bytes] = []
        self._task = asyncio.ensure_future(self._make())

    async def head(self) -> bytes | None:
        """Wait until it is made. Raises BackendError where the engine cannot be reached."""
        self._parts = await self._task
        self.status = 200
        self.headers = {b"content-type": b"text/event-stream" if self._ask.stream else b"application/json"}
        return None if self._ask.stream else self._parts[0]

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Hand it over, a token at a time."""
        while self._parts:
            if take(self._parts.pop(0)):
                return True
        return False

    def progress(self) -> None:
        """A token came."""
        self.begun = True

    def wait(self) -> None:
        """The caller reads slower: nothing is lost."""

    async def whole(self) -> bytes:
        """All of it."""
        self.begun = True
        return b"".join(self._parts)

    def finish(self) -> None:
        """Done with it."""

    def close(self) -> None:
        """Done with it, made or not."""
        self._task.cancel()

    async def _make(self) -> list[bytes]:
        mind = Mind(self._page, self._route.model)
        try:
            text = await self._work.make(mind)
        except Spoilt as error:
            raise Refused(str(error)) from None
        cut = min((at for stop in self._work.stop if stop and (at := text.find(stop)) >= 0), default=None)
        text = text if cut is None else text[:cut]
        tokens, told = await asyncio.gather(self._tokens(text), self._count("" if mind.prompt_tokens else self._work.said))
        most = min(self._work.most or LIMIT, LIMIT)
        finish = "stop" if len(tokens) <= most else "length"
        tokens = tokens[:most]
        prompt = mind.prompt_tokens or told
        usage = {"prompt_tokens": prompt, "completion_tokens": len(tokens), "total_tokens": prompt + len(tokens)}
        head = {"id": f"chatcmpl-{self._ask.id.removeprefix('req-')}", "created": int(time.time()), "model": self._route.model}
        return streamed(head, tokens, finish, usage) if self._ask.stream else [whole(head, "".join(tokens), finish, usage)]

    async def _count(self, text: str) -> int:
        return len(await self._tokens(text)) if len(text) <= COUNTED else len(text) // 4

    async def _tokens(self, text: str) -> list[str]:
        """A text in the model's own tokens, by its engine; about so, where it does not say."""
        if not text:
            return []
        body: Any = None
        try:
            page = await drive(self._page("/tokenize", _encode({"content": text, "with_pieces": True, "add_special": False})))
            body = msgspec.json.decode(page) if page else None
        except (BackendError, msgspec.DecodeError):
            body = None
        found: list[str] = []
        held = b""  # of a character whose bytes are tokens of their own
        for row in body.get("tokens", []) if isinstance(body, dict) else []:
            piece = row.get("piece") if isinstance(row, dict) else None
            held += piece.encode() if isinstance(piece, str) else bytes(piece or ())
            try:
                found.append(held.decode())
                held = b""
            except UnicodeDecodeError:
                found.append("")
        return found if "".join(found) == text else _TOKENISH.findall(text)


def whole(head: dict[str, Any], text: str, finish: str, usage: dict[str, int]) -> bytes:
    """A chat completion as an engine answers it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": finish}
    return _encode(head | {"object": "chat.completion", "choices": [choice], "usage": usage})


def streamed(head: dict[str, Any], tokens: list[str], finish: str, usage: dict[str, int]) -> list[bytes]:
    """The same as events, one a token."""
    known = head | {"object": "chat.completion.chunk"}

    def event(delta: dict[str, str], end: str | None = None) -> bytes:
        return b"data: " + _encode(known | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]}) + b"\n\n"

    return [
        event({"role": "assistant", "content": ""}),
        *(event({"content": token}) for token in tokens if token),
        event({}, finish) + b"data: " + _encode(known | {"choices": [], "usage": usage}) + b"\n\n" + b"data: [DONE]\n\n",
    ]
