"""The tasks that hand on what a model gives: complete and embed."""

from __future__ import annotations

import functools
from typing import Any

from homeport.errors import Malformed
from homeport.tasks.declared import Task, planned
from homeport.tasks.fault import Fault
from homeport.tasks.plan import COMPLETIONS, EMBEDDINGS, Call, Plan, Ready
from homeport.vocabulary import Said


@planned(str)
def complete(task: Task[Any, Any], text: str, max_tokens: int = 64) -> Call:
    """How the text goes on."""
    if max_tokens < 1:
        raise Malformed("`max_tokens` takes 1 or more.", param="input")
    body = {"prompt": text, "max_tokens": max_tokens, "temperature": 0, **task.told.body}
    return Plan(path=COMPLETIONS, body=body, take=_text, whole=False)


@planned(list[list[float]])
def embed(task: Task[Any, Any], texts: list[str]) -> Call:
    """A vector for each text."""
    if not texts:
        return Ready([])
    return Plan(path=EMBEDDINGS, body={"input": texts, **task.told.body}, take=functools.partial(_vectors, count=len(texts)), whole=False)


def _text(said: Said) -> str:
    if not said.text:
        raise Fault("empty", "the answer has no text")
    return said.text


def _vectors(said: Said, *, count: int) -> list[list[float]]:
    rows = said.body.get("data")
    rows = sorted(rows, key=lambda row: row["index"]) if isinstance(rows, list) else []
    if len(rows) != count or not all(isinstance(row.get("embedding"), list) and row["embedding"] for row in rows):
        raise Fault("schema", f"{len(rows)} vectors for {count} texts")
    return [row["embedding"] for row in rows]
