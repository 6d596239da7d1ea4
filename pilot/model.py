"""The pilot's network in JAX: a llama-shaped decoder (RMSNorm, interleaved RoPE, SwiGLU, tied embeddings), in two sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Weights = dict[str, Any]
_HELD = 256  # longer rows have their scores made again on the way back: they would fill the memory


@dataclass(frozen=True)
class Shape:
    """The sizes of the network; every row length is a multiple of 32, so that Q8_0 can hold it."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
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


def deepened(held: Weights, layers: int) -> Weights:
    """The weights, or their moments, of a shallower network put on top of itself until it has `layers`.

    Du et al. 2024, "Stacking Your Transformers": copies as they are train on sooner than ones made to change nothing.
    """
    return {name: value if value.ndim < 2 or name == "embed" else jnp.concatenate([value] * (layers // len(value))) for name, value in held.items()}


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

    def attended(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
        scores = jnp.matmul(q * shape.head**-0.5, k.swapaxes(-1, -2), preferred_element_type=jnp.float32) + mask
        return jnp.matmul(jax.nn.softmax(scores, axis=-1).astype(kind), v).swapaxes(1, 2)

    if time > _HELD:
        attended = jax.checkpoint(attended)

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


def loss(weights: Weights, rows: jax.Array, segments: jax.Array, places: jax.Array, counted: jax.Array, shape: Shape, kind: Any) -> jax.Array:
    """Mean cross-entropy (nats a token) over some places, each weighted by `counted`.

    rows, segments: (batch, time + 1) token ids and document numbers. places, counted: (count,), which tokens of the flattened (batch, time) are to be
    predicted, and how much. Most tokens are of prompts, and the logits of all would take longer than a layer.
    """
    hidden = states(weights, rows[:, :-1], shape, segments[:, :-1], kind).reshape(-1, shape.width)[places]
    found = logits(weights, hidden)
    target = jnp.take_along_axis(found, rows[:, 1:].reshape(-1)[places][:, None], axis=-1)[:, 0]
    each = jax.nn.logsumexp(found, axis=-1) - target
    return jnp.sum(each * counted) / jnp.maximum(jnp.sum(counted), 1e-6)
