"""How much memory a model needs, from its header, and how much this machine has.

    memory = the file
           + KV cache:   tokens × Σ over layers of  KV heads × (key length + value length) × 2 bytes (f16)
           + batch:      batch × (vocabulary + 8 × width + feed-forward width) × 4 bytes
           + 32 MiB for the engine's process

`tokens` is slots × context, which llama.cpp sets aside at the start. A layer that attends to a window only, or keeps a state in place
of a cache, needs less, so the sum is the most that it can be. With latent attention (`attention.kv_lora_rank`) a layer keeps the rank and
the rotary dimensions in place of heads. The prompt cache (a sixteenth of the memory at most) comes on top, once prompts have come.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from homeport.pull.gguf import Header

SLOTS, CONTEXT = 4, 4096  # of a pulled model, and the defaults of kind "engine"
BATCH = (2048, 512)  # tokens read at once: files up to 1 GiB, and larger ones
PROCESS = 32 * 2**20  # bytes of an engine with nothing in it
BYTES = 2  # of a number in the KV cache


class Need(NamedTuple):
    """Bytes."""

    weights: int
    cache: int
    batch: int
    process: int = PROCESS

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.batch + self.process


def need(header: Header, size: int, *, slots: int = SLOTS, context: int = CONTEXT) -> Need:
    """What the model of a file of `size` bytes needs with so many slots, each of so many tokens."""
    batch = min(context, BATCH[0] if size <= 2**30 else BATCH[1])
    vocabulary = header.lengths.get("tokenizer.ggml.tokens") or header.whole("vocab_size")
    width = header.whole("embedding_length")
    hidden = max(header.each("feed_forward_length", 1, 0))
    return Need(size, per_token(header) * slots * context, batch * (vocabulary + 8 * width + hidden) * 4)


def per_token(header: Header) -> int:
    """Bytes of KV cache for one token."""
    layers = min(header.whole("block_count"), 10_000)
    rank = header.whole("attention.kv_lora_rank")
    if rank:
        return layers * (rank + header.whole("rope.dimension_count", 64)) * BYTES
    heads = header.each("attention.head_count", layers, 1)
    kept = header.each("attention.head_count_kv", layers, 0) if f"{header.architecture}.attention.head_count_kv" in header.fields else heads
    usual = header.whole("embedding_length") // max(1, *heads, 1)
    both = header.whole("attention.key_length", usual) + header.whole("attention.value_length", usual)
    return sum(kept) * both * BYTES


def installed() -> int | None:
    """Bytes of memory that this process may use: the machine's, or its container's where that is less; None where the system does not say."""
    if sys.platform == "win32":
        return _windows()
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    with contextlib.suppress(OSError, ValueError):
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return found


def _windows() -> int | None:
    import ctypes

    kernel = getattr(ctypes, "windll", None)
    size = ctypes.c_ulonglong()
    if kernel is None or not kernel.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(size)):
        return None
    return size.value * 1024
