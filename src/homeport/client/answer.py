"""What a gateway answered: JSON, whose fields are attributes too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Answer(dict[str, Any]):
    """A JSON object: `reply.choices[0].message.content` is `reply["choices"][0]["message"]["content"]`.

    A field with the name of a method of `dict` (`items`, `keys` …) is had by its key only.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this answer has no field {name!r}; it has {', '.join(self) or 'none'}") from None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a whole answer: who gave it, and how fast (`x-homeport-backend`, `x-tok-per-s` …)."""
        found: Mapping[str, str] = self["headers"] if "headers" in self else self.__dict__.get("_headers", {})
        return found

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same answer, knowing its headers."""
        self.__dict__["_headers"] = headers
        return self

    @property
    def text(self) -> str:
        """The text of the first choice: of a whole answer, or of a piece of a stream; empty where there is none, as with tool calls."""
        if isinstance(self.get("text"), str):
            return str(self["text"])
        for choice in self.get("choices") or ():
            said = choice.get("message") or choice.get("delta") or choice
            return said.get("content") or (choice.get("text") or "")
        return ""

    @property
    def vectors(self) -> list[list[float]]:
        """The embeddings, in the order of what was embedded."""
        return [row["embedding"] for row in sorted(self.get("data") or (), key=lambda row: row["index"])]


def read(data: bytes | str) -> Any:
    """JSON with every object an Answer. Raises ValueError."""
    return json.loads(data, object_hook=Answer)
