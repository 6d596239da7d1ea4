"""The linear model of messages, as `pilot/linear.py` writes it: which of four kinds a message is, and how sure that is."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from homeport.pilot import FIX, INTENT, Spoilt, read
from homeport.skills import features

LABELS = ("question", "request", "complaint", "other")
_HEAD = struct.Struct("<4sI5f")
_MAGIC = b"HPL1"


class Model(NamedTuple):
    """Four weights in eight bits for each place of the hash, side by side; what one step of them is worth; the biases."""

    size: int
    scale: float
    bias: tuple[float, ...]
    weights: memoryview  # of signed bytes

    def shares(self, text: str) -> dict[str, float]:
        """How likely each label is; together 1."""
        scores = list(self.bias)
        for found in (features.features(text), features.structure(text)):
            sums = self._sums(found)
            worth = self.scale / math.sqrt(len(found)) if found else 0.0
            scores = [score + worth * one for score, one in zip(scores, sums, strict=True)]
        top = max(scores)
        shares = [math.exp(score - top) for score in scores]
        whole = sum(shares)
        return {label: share / whole for label, share in zip(LABELS, shares, strict=True)}

    def _sums(self, places: Sequence[int]) -> list[int]:
        weights, sums = self.weights, [0, 0, 0, 0]
        for place in places:
            at = 4 * place
            sums[0] += weights[at]
            sums[1] += weights[at + 1]
            sums[2] += weights[at + 2]
            sums[3] += weights[at + 3]
        return sums


@functools.lru_cache(maxsize=1)
def model() -> Model:
    """The one that ships. Raises Spoilt where its file is not as it was made."""
    data = read(INTENT)
    if len(data) != _HEAD.size + 4 * features.SIZE or data[:4] != _MAGIC:
        raise Spoilt(f"{INTENT.name} is no model of messages. {FIX}")
    _, size, scale, *bias = _HEAD.unpack_from(data)
    return Model(size, scale, tuple(bias), memoryview(data)[_HEAD.size :].cast("b"))
