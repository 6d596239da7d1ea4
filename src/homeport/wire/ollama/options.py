"""Ollama's `options`, and where the options of a route go in a request to it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from homeport.errors import Uncarried

Number = int | float | None
NULL = Raw(b"null")
_TOP = ("think", "keep_alive", "format", "truncate", "shift")  # beside `options`, not in it
_HELD = frozenset({"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"})  # how a model is held: apply to embedding too
_NAMES = {"max_tokens": "num_predict", "max_completion_tokens": "num_predict", "repetition_penalty": "repeat_penalty"}
_LEVELS: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}
_options = msgspec.json.Decoder(dict[str, Raw])


class Options(Struct):
    """The options that shape an answer. Ollama answers one of the wrong type with status 500, and Homeport with 400."""

    num_predict: Number = None  # tokens at most; 0 and less: no limit
    stop: list[str] | str | None = None
    temperature: Number = None
    top_p: Number = None
    top_k: Number = None
    min_p: Number = None
    seed: Number = None
    repeat_penalty: Number = None
    frequency_penalty: Number = None
    presence_penalty: Number = None
    # carried nowhere, unless they ask for what is so anyway
    typical_p: Number = None
    tfs_z: Number = None
    mirostat: Number = None
    repeat_last_n: Number = None
    # hints: how the model is held and run
    num_ctx: Number = None
    num_batch: Number = None
    num_keep: Number = None
    num_thread: Number = None
    num_gpu: Any = None
    main_gpu: Any = None
    use_mmap: Any = None
    use_mlock: Any = None
    low_vram: Any = None
    numa: Any = None
    f16_kv: Any = None
    vocab_only: Any = None
    logits_all: Any = None
    embedding_only: Any = None
    penalize_newline: Any = None  # Ollama ignores it
    mirostat_tau: Number = None  # nothing without `mirostat`
    mirostat_eta: Number = None


class KnownOptions(Options, forbid_unknown_fields=True):
    """The same, where all of them are to be carried into another dialect."""


NEUTRAL: dict[str, float] = {"typical_p": 1, "tfs_z": 1, "mirostat": 0, "repeat_last_n": 64}  # values that change nothing


def level(thinking: bool | str) -> bool | str:
    """`think` for a level in anybody's words. Raises Uncarried for a word that nobody knows."""
    if isinstance(thinking, bool):
        return thinking
    think = _LEVELS.get(thinking.lower())
    if think is None:
        known = ", ".join(_LEVELS)
        raise Uncarried(f"A thinking level of {thinking[:40]!r} has no counterpart in Ollama. Use one of {known}.", param="reasoning_effort")
    return think


def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a route as (fields of the body, fields of its `options`). A few of OpenAI's names are turned into Ollama's."""
    top: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for name, value in options.items():
        if name == "reasoning_effort":
            top.setdefault("think", level(value))
        elif name in _TOP:
            top[name] = value
        elif name == "stop":
            inner[name] = [value] if isinstance(value, str) else value
        else:
            inner[_NAMES.get(name, name)] = value
    return top, inner


def split_for_embedding(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same where nothing is sampled: only how long and how the model is held applies."""
    top, inner = split(options)
    keep = {name: value for name, value in top.items() if name in ("keep_alive", "truncate")}
    return keep, {name: value for name, value in inner.items() if name in _HELD}


def merged(inner: dict[str, Any], given: Raw | None) -> dict[str, Any]:
    """Defaults with the caller's `options` over them; a null of the caller's counts as absent."""
    if given is None or given == NULL:
        return inner
    return {**inner, **{name: value for name, value in _options.decode(given).items() if value != NULL}}
