"""A gateway that says what the test chose (port Asker), and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeport.errors import HomeportError
from homeport.vocabulary import Errand, Said

HEADS = {"x-homeport-backend": "home", "x-homeport-model": "m", "x-homeport-location": "local", "x-tokens": "3"}
Place = tuple[str | None, str]
Saying = str | HomeportError | Mapping[str, Any]


class Scripted:
    """Gives each of `says` in turn, the last one again and again: a text, an error, or the fields of a Said. Each model may have its own."""

    blocking = True

    def __init__(
        self, *says: Saying, places: Sequence[tuple[str | None, str]] = ((None, "local"),), models: Mapping[str, Sequence[Saying]] | None = None
    ) -> None:
        self._says = {"": list(says), **{name: list(told) for name, told in (models or {}).items()}}
        self._places = places
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.errands: list[Errand] = []

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: Callable[[str], None] | None = None) -> Said:
        self.paths.append(path)
        self.asked.append(json.loads(json.dumps(body)))
        self.errands.append(errand)
        says = self._says.get(str(body["model"]), self._says[""])
        said = says.pop(0) if len(says) > 1 else says[0]
        if isinstance(said, HomeportError):
            raise said
        fields = {"text": said} if isinstance(said, str) else dict(said)
        text = fields.get("text", "")
        if hear is not None:
            for piece in text:
                hear(piece)
        return Said(fields.get("body", {}), text, fields.get("finish", "stop"), HEADS)

    async def places(self, model: str, *, private: bool = False) -> Sequence[tuple[str | None, str]]:
        return self._places
