"""The engine's part in an answer that code makes: one question to the decoder, held to a grammar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import msgspec

from homeport.errors import Stalled
from homeport.runner import drive
from homeport.tasks.quoting import literal
from homeport.tasks.shipped import prompts

Page = Callable[[str, bytes | None], Coroutine[Any, Any, bytes]]
"""A path of the engine, and a body to post there: what it answers, b"" where that is not status 200. Raises BackendError."""

P = ParamSpec("P")
R = TypeVar("R")
STRING = r'string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] ) )* "\""'
MOST = 400  # tokens of one of the decoder's answers
LONGEST = 12_000  # characters of a prompt: a longer one would not fit into its context
SLOW = 3000  # characters from which on code works in a thread, and others need not wait
_encode = msgspec.json.Encoder().encode


class Mind:
    """The decoder of one pilot."""

    def __init__(self, page: Page, model: str, *, speaks: bool = True) -> None:
        self.prompt_tokens = 0  # of what it was asked, once it was
        self.speaks = speaks
        self._page = page
        self._model = model

    def silent(self) -> Mind:
        """One that is never asked."""
        return Mind(self._page, self._model, speaks=False)

    async def say(self, prompt: str, grammar: str, most: int = MOST) -> str | None:
        """The likeliest answer of a grammar; None where it is not to be asked, does not end in time, or cannot. Raises BackendError.

        It is asked for a stream, for only then does the engine notice that nobody waits any more.
        """
        if not self.speaks or len(prompt) > LONGEST:
            return None
        asked = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": most, "grammar": grammar, "model": self._model}
        more = {"stream": True, "stream_options": {"include_usage": True}}
        try:
            page = await drive(self._page("/v1/chat/completions", _encode(asked | more)))
        except Stalled:  # it has much to do: code answers alone
            return None
        text, finish = [], None
        try:
            for line in page.split(b"\n"):
                if line.startswith(b"data: {"):
                    event = msgspec.json.decode(line[6:])
                    for choice in event.get("choices") or ():
                        text.append(choice["delta"].get("content") or "")
                        finish = choice.get("finish_reason") or finish
                    self.prompt_tokens = int((event.get("usage") or {}).get("prompt_tokens", self.prompt_tokens))
            return "".join(text) if finish == "stop" else None
        except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError):
            return None

    async def choice(self, prompt: str, of: list[str]) -> str | None:
        """One of some JSON texts."""
        return await self.say(prompt, f"root ::= {' | '.join(literal(one) for one in of)}\n", 64)


def size(asked: prompts.Asked) -> int:
    """How much work an ask is for code, in characters: each label or field is as much as a hundred of them."""
    return len(asked.text) + len(asked.question) + sum(len(name) + 100 for name in asked.names)


async def worked(size: int, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What `work` returns, for a text of so many characters."""
    return work(*args, **kwargs) if size < SLOW else await asyncio.to_thread(work, *args, **kwargs)
