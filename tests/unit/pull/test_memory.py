"""The memory that a model needs, by the documented formula."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.pull.gguf import Header
from homeport.pull.memory import Need, installed, need, per_token


def header(architecture: str = "qwen3", vocabulary: int = 0, **fields: Any) -> Header:
    named = {f"{architecture}.{name.replace('__', '.')}": value for name, value in fields.items()}
    return Header({"general.architecture": architecture, **named}, {"tokenizer.ggml.tokens": vocabulary}, 0, 0)


QWEN3_8B = header(
    vocabulary=151_936,
    block_count=36,
    embedding_length=4096,
    feed_forward_length=12_288,
    attention__head_count=32,
    attention__head_count_kv=8,
    attention__key_length=128,
    attention__value_length=128,
)


def test_grouped_heads() -> None:
    assert per_token(QWEN3_8B) == 36 * 8 * 256 * 2
    found = need(QWEN3_8B, 5_027_783_488)
    assert found == Need(5_027_783_488, 36 * 8 * 256 * 2 * 16_384, 512 * (151_936 + 8 * 4096 + 12_288) * 4, 32 * 2**20)
    assert found.total == sum(found)


def test_slots_and_context_count() -> None:
    assert need(QWEN3_8B, 1, slots=1, context=1024).cache * 16 == need(QWEN3_8B, 1).cache


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (header(block_count=2, embedding_length=64, attention__head_count=4), 2 * 4 * 32 * 2),  # no groups: as many KV heads as heads
        (header(block_count=3, embedding_length=64, attention__head_count=4, attention__head_count_kv=[4, 0, 2]), 6 * 32 * 2),  # a number a layer
        (header(block_count=2, attention__kv_lora_rank=512, rope__dimension_count=64), 2 * 576 * 2),  # latent attention
        (header(), 0),
        (header(block_count=2**52, embedding_length=64, attention__head_count=0), 0),
    ],
)
def test_kinds_of_attention(given: Header, expected: int) -> None:
    assert per_token(given) == expected


def test_this_machine_has_memory() -> None:
    found = installed()
    assert found is None or found > 10**8
