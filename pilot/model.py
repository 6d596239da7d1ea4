"""The pilot's network in JAX: a llama-shaped decoder (RMSNorm, interleaved RoPE, SwiGLU, tied embeddings)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Weights = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """The sizes of the network; every row length is a multiple of 32, so that Q8_0 can hold it."""

    vocabulary: int = 2048
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 352
    context: int = 2048
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def parameters(weights: Weights) -> int:
    """How many numbers the network has."""
    return sum(int(value.size) for value in weights.values())


def initial(shape: Shape, seed: int) -> Weights:
    """Fresh weights. Matrices are stored (output, input), as GGUF wants them; layers are stacked in front."""
    random = np.random.default_rng(seed)
    n, d, f = shape.layers, shape.width, shape.hidden

    def normal(*size: int, scale: float = 0.02) -> jax.Array:
        return jnp.asarray(random.normal(0.0, scale, size), jnp.float32)

    inner, outer = d**-0.5, d**-0.5 / (2 * n) ** 0.5
    return {
        "embed": normal(shape.vocabulary, d, scale=0.05),
        "q": normal(n, d, d, scale=inner),
        "k": normal(n, d, d, scale=inner),
        "v": normal(n, d, d, scale=inner),
        "o": normal(n, d, d, scale=outer),
        "gate": normal(n, f, d, scale=inner),
        "up": normal(n, f, d, scale=inner),
        "down": normal(n, d, f, scale=f**-0.5 / (2 * n) ** 0.5),
        "attention_norm": jnp.ones((n, d), jnp.float32),
        "ffn_norm": jnp.ones((n, d), jnp.float32),
        "norm": jnp.ones((d,), jnp.float32),
    }


def _normed(x: jax.Array, gain: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def _rotated(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def states(weights: Weights, tokens: jax.Array, shape: Shape) -> jax.Array:
    """The final hidden states (batch, time, width) of a batch of token rows."""
    batch, time = tokens.shape
    inverse = shape.rope_base ** (-np.arange(0, shape.head, 2) / shape.head)
    angle = np.outer(np.arange(time), inverse)
    cos, sin = (jnp.asarray(f(angle), jnp.float32)[None, :, None, :] for f in (np.cos, np.sin))
    mask = jnp.asarray(np.where(np.tril(np.ones((time, time), bool)), 0.0, -1e9), jnp.float32)
    x = weights["embed"][tokens]
    heads = (batch, time, shape.heads, shape.head)
    for i in range(shape.layers):
        h = _normed(x, weights["attention_norm"][i], shape.epsilon)
        q = _rotated((h @ weights["q"][i].T).reshape(heads), cos, sin)
        k = _rotated((h @ weights["k"][i].T).reshape(heads), cos, sin)
        v = (h @ weights["v"][i].T).reshape(heads)
        scores = jnp.einsum("bthc,bshc->bhts", q, k) * shape.head**-0.5 + mask
        mixed = jnp.einsum("bhts,bshc->bthc", jax.nn.softmax(scores, axis=-1), v).reshape(batch, time, shape.width)
        x = x + mixed @ weights["o"][i].T
        h = _normed(x, weights["ffn_norm"][i], shape.epsilon)
        x = x + (jax.nn.silu(h @ weights["gate"][i].T) * (h @ weights["up"][i].T)) @ weights["down"][i].T
    return _normed(x, weights["norm"], shape.epsilon)


def loss(weights: Weights, rows: jax.Array, counted: jax.Array, shape: Shape) -> jax.Array:
    """Mean cross-entropy (nats a token) over the places where `counted` is 1.

    rows: (batch, time + 1) token ids. counted: (batch, time + 1), 1.0 where that token is to be predicted.
    """
    hidden = states(weights, rows[:, :-1], shape)
    logits = hidden @ weights["embed"].T
    target = jnp.take_along_axis(logits, rows[:, 1:, None], axis=-1)[..., 0]
    each = jax.nn.logsumexp(logits, axis=-1) - target
    weight = counted[:, 1:]
    return jnp.sum(each * weight) / jnp.maximum(jnp.sum(weight), 1.0)
