"""How many answers an engine is computing at this moment, by its own pages; none of them costs it anything."""

from __future__ import annotations

import re

import msgspec

from homeport.backends.cards import Page

_VLLM = re.compile(rb"^vllm:num_requests_(?:running|waiting)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
_LLAMA = re.compile(rb"^llamacpp:requests_(?:processing|deferred) ([0-9.e+]+)$", re.MULTILINE)


async def running(engine: str | None, page: Page) -> int | None:
    """Answers under way or waiting inside of it, whoever asked; None where it does not say. Raises BackendError.

    llama.cpp says it at `/slots` (`is_processing`), or at `/metrics` where that was switched on; vLLM at `/metrics`; Ollama nowhere.
    """
    if engine == "vllm":
        return _sum(_VLLM, await page("/metrics", None))
    if engine == "llama.cpp":
        found = _slots(await page("/slots", None))
        return found if found is not None else _sum(_LLAMA, await page("/metrics", None))
    return None


def _slots(body: bytes) -> int | None:
    try:
        slots = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(slots, list) or not slots:
        return None
    return sum(isinstance(slot, dict) and slot.get("is_processing") is True for slot in slots)


def _sum(pattern: re.Pattern[bytes], body: bytes) -> int | None:
    found = pattern.findall(body)
    return int(sum(float(value) for value in found)) if found else None
