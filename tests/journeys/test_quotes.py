"""Quotes on every kind of engine, with models that would rather invent: no value that is not in the input ever comes out."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.errors import TaskFailed
from homeport.tasks.shipped import extract
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from homeport.testing.shapes import STYLES
from tests.figures import THOROUGH
from tests.gateway import Running, config, soon

INPUTS = 1000 if THOROUGH else 340  # for each kind of engine
FIELDS = ("name", "email", "amount", "date", "invoice")
WORDS = ["Ann", "Berg", "paid", "€1.250,00", "for", "RG-17", "on", "2", "May", "mail", "ann@berg.example", "Zoë's", "invoice", "日本", "is", "late"]
KINDS = {"vllm": "openai", "llama.cpp": "openai", "ollama": "ollama"}


def written(text: str, rng: random.Random) -> str:
    """What a model that would rather invent says: a run of the words, or one that is put together, changed, cut or made up."""
    words = text.split()
    begin = rng.randrange(len(words))
    run = " ".join(words[begin : begin + rng.randint(1, 4)])
    return rng.choice(
        [run, run, run.upper(), run[::-1], f"{run} {rng.choice(WORDS)}", rng.choice(WORDS), run.replace(" ", "  "), "John Doe", "", " ", run + "."]
    )


def answered(seen: Any) -> Answer:
    """The reply to one request; the same for the same text, so that a repair turn does not help."""
    text = json.dumps(seen.fields, ensure_ascii=False).partition("Text: ")[2].partition('"}')[0].removesuffix("\\n")
    rng = random.Random(text)
    values = {name: None if rng.random() < 0.4 else written(text, rng) for name in FIELDS}
    return Answer(text=json.dumps(values, ensure_ascii=False))


@pytest.mark.slow
@pytest.mark.parametrize("style", sorted(STYLES))
def test_no_value_comes_out_that_is_not_in_the_input(style: Any, tmp_path: Path) -> None:
    rng = random.Random(5)
    texts = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 30))) for _ in range(INPUTS)]
    with ScriptedBackend(answered, style=style, models=["m"]) as backend:
        path = config(tmp_path, {"only": {"kind": KINDS[style], "url": backend.url}}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
        with Running(path) as gateway:
            assert soon(lambda: (gateway.status()["models"][0]["routes"][0]["card"] or {}).get("engine") == style)
            held, refused = asyncio.run(asked(gateway.url, texts))
    assert len(held) + refused == INPUTS
    assert len(held) > 20 and refused > 100
    assert [(text, value) for text, found in held for value in found.values() if value is not None and (value not in text or not value.strip())] == []
    fields = [seen.fields for seen in backend.asks]
    constrained = {"llama.cpp": "grammar", "vllm": "structured_outputs", "ollama": "format"}[style]
    assert all(constrained in body for body in fields)


async def asked(url: str, texts: list[str]) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """What came out, and how many were refused."""
    held: list[tuple[str, dict[str, Any]]] = []
    gate = asyncio.Semaphore(8)

    async def one(text: str, client: homeport.AsyncClient) -> bool:
        async with gate:
            try:
                held.append((text, await extract.over(client).aio(text)))
            except TaskFailed as error:
                assert {attempt["check"] for attempt in error.attempts} == {"quote"}
                return False
            return True

    async with homeport.AsyncClient(urls=url) as client:
        done = await asyncio.gather(*(one(text, client) for text in texts))
    return held, done.count(False)
