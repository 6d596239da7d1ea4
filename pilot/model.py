"""The pilot's network in JAX: a llama-shaped decoder (RMSNorm, interleaved RoPE, SwiGLU, tied embeddings), in two sizes."""

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

    vocabulary: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 8
    hidden: int = 704
    context: int = 4096
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


SIZES = {"pilot": Shape(), "pilot-mini": Shape(width=128, layers=4, heads=4, hidden=352)}


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
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + epsilon) * gain).astype(x.dtype)


def _rotated(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = jnp.stack((even * cos - odd * sin, even * sin + odd * cos), axis=-1)
    return turned.reshape(x.shape)


def states(weights: Weights, tokens: jax.Array, shape: Shape, segments: jax.Array | None = None, kind: Any = jnp.float32) -> jax.Array:
    """The last hidden states (batch, time, width) of a batch of token rows.

    segments: (batch, time), the document each token belongs to; a token sees its own document only. kind: the type computed in.
    """
    batch, time = tokens.shape
    inverse = shape.rope_base ** (-np.arange(0, shape.head, 2) / shape.head)
    angle = np.outer(np.arange(time), inverse)
    cos, sin = (jnp.asarray(f(angle), kind)[None, :, None, :] for f in (np.cos, np.sin))
    seen = jnp.asarray(np.tril(np.ones((time, time), bool)))[None]
    if segments is not None:
        seen = seen & (segments[:, :, None] == segments[:, None, :])
    mask = jnp.where(seen, 0.0, -1e9).astype(jnp.float32)[:, None]
    heads = (batch, time, shape.heads, shape.head)

    @jax.checkpoint  # made again on the way back: the scores of long rows would fill the memory
    def attended(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        scores = jnp.einsum("bthc,bshc->bhts", q, k, preferred_element_type=jnp.float32) * shape.head**-0.5 + mask
        return jnp.einsum("bhts,bshc->bthc", jax.nn.softmax(scores, axis=-1).astype(kind), v)

    def layer(x: jax.Array, held: Weights) -> tuple[jax.Array, None]:
        part = {name: value if "norm" in name else value.astype(kind) for name, value in held.items()}
        h = _normed(x, part["attention_norm"], shape.epsilon)
        q = _rotated((h @ part["q"].T).reshape(heads), cos, sin)
        k = _rotated((h @ part["k"].T).reshape(heads), cos, sin)
        v = (h @ part["v"].T).reshape(heads)
        x = x + attended(q, k, v).reshape(batch, time, shape.width) @ part["o"].T
        h = _normed(x, part["ffn_norm"], shape.epsilon)
        return x + (jax.nn.silu(h @ part["gate"].T) * (h @ part["up"].T)) @ part["down"].T, None

    stacked = {name: value for name, value in weights.items() if name not in ("embed", "norm")}
    x, _ = jax.lax.scan(layer, weights["embed"].astype(kind)[tokens], stacked)
    return _normed(x, weights["norm"], shape.epsilon)


def logits(weights: Weights, hidden: jax.Array) -> jax.Array:
    """What the next token may be: (…, vocabulary), in 32 bits."""
    return jnp.matmul(hidden, weights["embed"].astype(hidden.dtype).T, preferred_element_type=jnp.float32)


def loss(weights: Weights, rows: jax.Array, counted: jax.Array, segments: jax.Array, shape: Shape, kind: Any) -> jax.Array:
    """Mean cross-entropy (nats a token), each place weighted by `counted`.

    rows, segments: (batch, time + 1) token ids and document numbers. counted: (batch, time + 1), how much that token is to be predicted.
    """
    found = logits(weights, states(weights, rows[:, :-1], shape, segments[:, :-1], kind))
    target = jnp.take_along_axis(found, rows[:, 1:, None], axis=-1)[..., 0]
    each = jax.nn.logsumexp(found, axis=-1) - target
    weight = counted[:, 1:].astype(jnp.float32)
    return jnp.sum(each * weight) / jnp.maximum(jnp.sum(weight), 1.0)
