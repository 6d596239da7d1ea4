"""Writes a talker: a GGUF model whose weights are set by hand, so that a real engine says a text that the test chose.

A talker is a llama whose attention and feed-forward weights are zero, so what it says next depends on its last token only.
Every token carries a code of ±1 that stands for its successor, and the output head holds the same code in that successor's
row: the logit of the right token is `CODE`, that of any other stays near 0, whatever the temperature and the seed.
For this each piece of a text occurs once in the vocabulary, so a word said before is joined to its neighbour.
Prompts are read byte by byte, at a token a byte, because no piece can be put together from them.

The file format is the one that ggml describes in its `docs/gguf.md` (GGUF, version 3, little-endian): magic, counts, typed
key-value pairs, tensor descriptions, then the tensors, each aligned to 32 bytes. Tensors of zeros are holes in the file.
"""

from __future__ import annotations

import random
import re
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

CODE = 128  # dimensions that say which token comes next
WIDTH = 2 * CODE  # the other half tells tokens apart, so that embeddings of different texts differ
HEADS = 4
SLOW_WIDTH = 32768  # feed-forward width where layers are there to take time
ALIGNMENT = 32  # bytes

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6  # tokenizer.ggml.token_type
UINT32, FLOAT32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9  # metadata value types
INT32 = 5
F32, F16, IQ3_XXS = 0, 1, 18  # tensor types
BYTES = {F32: (1, 4), F16: (1, 2), IQ3_XXS: (256, 98)}  # weights in a block, and its bytes

UNK, BOS, EOS, TALK = range(4)
SPECIALS = (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<|talk|>", CONTROL))

TEMPLATE = """\
{%- set said = namespace(last="") -%}
{%- if tools %}{{- "Tools, called as <tool_call>\\n{\\"name\\": \\"...\\", \\"arguments\\": {...}}\\n</tool_call>:" }}
{%- for tool in tools %}{{- "\\n" + (tool | tojson) }}{% endfor %}{{- "\\n" }}{% endif -%}
{%- for message in messages -%}
{%- if message.role == "user" %}{% set said.last = message.content %}{% endif -%}
{{- message.role + ": " + (message.content or "") }}
{%- for call in message.tool_calls or [] %}
{{- "\\n<tool_call>\\n{\\"name\\": \\"" + call.function.name + "\\", \\"arguments\\": " + (call.function.arguments | tojson) + "}\\n</tool_call>" }}
{%- endfor %}{{- "\\n" }}
{%- endfor -%}
{%- if add_generation_prompt -%}%CHOICE%{%- endif -%}"""

PIECE = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")
SHORTEST = 3  # characters; shorter ones could be put together from a prompt's bytes


class Tensor(NamedTuple):
    """One tensor of the file: `data` is None where all of it is zero."""

    name: str
    shape: tuple[int, ...]  # fastest dimension first
    kind: int
    data: array[float] | None

    @property
    def size(self) -> int:
        """Bytes."""
        count = 1
        for length in self.shape:
            count *= length
        weights, size = BYTES[self.kind]
        return count // weights * size


class Walk(NamedTuple):
    """The vocabulary, and which token follows each."""

    tokens: list[str]
    types: list[int]
    follows: list[int]


def babble(tokens: int) -> str:
    """A text that a talker says in exactly `tokens` tokens, one chunk of a stream each; every word in it differs."""
    return " ".join(f"w{number:04}" for number in range(tokens))


def write_talker(
    path: Path | str,
    says: str,
    *,
    prompts: dict[str, str] | None = None,
    slow_layers: int = 0,
    never_ends: bool = False,
    context: int = 131072,
) -> Path:
    """Write a GGUF that says a chosen text, and return its path.

    `says` is what it answers, ended by its end-of-text token (`finish_reason` is "stop"). `prompts` maps names to other
    answers: `{"json": "[1]"}` is said where the last user message holds `[json]` (the first name that fits), or where the
    prompt of a plain completion ends with `[json]`. `slow_layers` adds layers of zeros: on one core each costs some 3 ms a token, and some
    1 ms for each token of the prompt.
    `never_ends` says `says` again and again, with a blank between. `context` is the longest context it may be run with, tokens.

    Raises ValueError for a text that cannot be said: empty, with blanks at an end (engines strip them), or with U+2581.
    """
    answers = {"": says} | (prompts or {})
    for name, text in answers.items():
        if not text or text != text.strip() or "\u2581" in text:
            raise ValueError(f"the answer {name!r} cannot be said: it is empty, begins or ends with a blank, or holds U+2581")
    target = Path(path)
    walk = _walk(answers, never_ends)
    with target.open("wb") as file:
        _write(file, _metadata(walk, list(prompts or {}), 1 + slow_layers, context), list(_tensors(walk, slow_layers)))
    return target


def split(text: str, taken: set[str]) -> list[str]:
    """Cut a text into words with their leading blanks; pieces that are in `taken`, or said before, grow by the next word."""
    pieces: list[str] = []
    piece = ""
    for match in PIECE.finditer(text):
        piece += match.group()
        if len(piece) >= SHORTEST and piece not in taken:
            pieces.append(piece)
            taken.add(piece)
            piece = ""
    while piece:  # what is left at the end is too short or was said before: take the piece before it along
        if piece not in taken and (len(piece) >= SHORTEST or not pieces):
            pieces.append(piece)
            taken.add(piece)
            break
        if not pieces:
            raise ValueError(f"{text!r} cannot be told from another answer")
        before = pieces.pop()
        taken.discard(before)
        piece = before + piece
    return pieces


def _walk(answers: dict[str, str], never_ends: bool) -> Walk:
    tokens = [text for text, _ in SPECIALS] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [kind for _, kind in SPECIALS] + [BYTE] * 256
    markers = {name: f"[{name}]" for name in answers if name}
    tokens += markers.values()
    types += [USER_DEFINED] * len(markers)
    taken = set(tokens)
    follows = [0] * len(tokens)
    starts: dict[str, int] = {}
    for name, text in answers.items():
        endless = never_ends and not name
        pieces = split(text + " " if endless else text, taken)
        first = starts[name] = len(tokens)
        tokens += [piece.replace(" ", "\u2581") for piece in pieces]
        types += [NORMAL] * len(pieces)
        follows += range(first + 1, first + len(pieces))
        follows.append(first if endless else EOS)
    for token in range(len(SPECIALS) + 256):
        follows[token] = starts[""]
    for name, marker in markers.items():
        follows[tokens.index(marker)] = starts[name]
    return Walk(tokens, types, follows)


def _template(names: list[str]) -> str:
    choice = "{{- '<|talk|>' }}"
    for name in reversed(names):
        choice = "{%- if '[" + name + "]' in said.last %}{{- '[" + name + "]' }}{% else %}" + choice + "{% endif %}"
    return TEMPLATE.replace("%CHOICE%", choice)


def _metadata(walk: Walk, names: list[str], layers: int, context: int) -> list[tuple[str, bytes]]:
    return [
        ("general.architecture", _string("llama")),
        ("general.name", _string("talker")),
        ("llama.context_length", _uint32(context)),
        ("llama.embedding_length", _uint32(WIDTH)),
        ("llama.block_count", _uint32(layers)),
        ("llama.feed_forward_length", _uint32(_hidden(layers))),
        ("llama.attention.head_count", _uint32(HEADS)),
        ("llama.attention.head_count_kv", _uint32(1)),
        ("llama.attention.layer_norm_rms_epsilon", struct.pack("<If", FLOAT32, 1e-6)),
        ("llama.rope.dimension_count", _uint32(WIDTH // HEADS)),
        ("tokenizer.ggml.model", _string("llama")),
        ("tokenizer.ggml.tokens", _array(STRING, [_text(token) for token in walk.tokens])),
        ("tokenizer.ggml.scores", _array(FLOAT32, [struct.pack("<f", 0.0)] * len(walk.tokens))),
        ("tokenizer.ggml.token_type", _array(INT32, [struct.pack("<i", kind) for kind in walk.types])),
        ("tokenizer.ggml.bos_token_id", _uint32(BOS)),
        ("tokenizer.ggml.eos_token_id", _uint32(EOS)),
        ("tokenizer.ggml.unknown_token_id", _uint32(UNK)),
        ("tokenizer.ggml.add_bos_token", struct.pack("<I?", BOOL, False)),
        ("tokenizer.ggml.add_space_prefix", struct.pack("<I?", BOOL, False)),
        ("tokenizer.chat_template", _string(_template(names))),
    ]


def _hidden(layers: int) -> int:
    return 32 if layers == 1 else SLOW_WIDTH


def _tensors(walk: Walk, slow_layers: int) -> Iterator[Tensor]:
    chance = random.Random(len(walk.tokens))
    codes = {token: _code(chance) for token in sorted(set(walk.follows))}
    nothing = [0.0] * WIDTH
    embedding, head = array("f"), array("f")
    for token, following in enumerate(walk.follows):
        embedding.extend(codes[following] + _code(chance))
        head.extend((codes[token] + nothing[:CODE]) if token in codes else nothing)
    ones = array("f", [1.0] * WIDTH)
    vocabulary = len(walk.tokens)
    layers = 1 + slow_layers
    hidden = _hidden(layers)
    kind = IQ3_XXS if slow_layers else F16  # slow to unpack, and small
    yield Tensor("token_embd.weight", (WIDTH, vocabulary), F32, embedding)
    yield Tensor("output_norm.weight", (WIDTH,), F32, ones)
    yield Tensor("output.weight", (WIDTH, vocabulary), F32, head)
    for layer in range(layers):
        block = f"blk.{layer}."
        yield Tensor(block + "attn_norm.weight", (WIDTH,), F32, ones)
        yield Tensor(block + "attn_q.weight", (WIDTH, WIDTH), F16, None)
        yield Tensor(block + "attn_k.weight", (WIDTH, WIDTH // HEADS), F16, None)
        yield Tensor(block + "attn_v.weight", (WIDTH, WIDTH // HEADS), F16, None)
        yield Tensor(block + "attn_output.weight", (WIDTH, WIDTH), F16, None)
        yield Tensor(block + "ffn_norm.weight", (WIDTH,), F32, ones)
        yield Tensor(block + "ffn_gate.weight", (WIDTH, hidden), kind, None)
        yield Tensor(block + "ffn_up.weight", (WIDTH, hidden), kind, None)
        yield Tensor(block + "ffn_down.weight", (hidden, WIDTH), kind, None)


def _code(chance: random.Random) -> list[float]:
    bits = chance.getrandbits(CODE)
    return [1.0 if bits >> place & 1 else -1.0 for place in range(CODE)]


def _write(file: BinaryIO, metadata: list[tuple[str, bytes]], tensors: Sequence[Tensor]) -> None:
    file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)))
    for key, value in metadata:
        file.write(_text(key) + value)
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        file.write(_text(tensor.name) + shape + struct.pack("<IQ", tensor.kind, offset))
        offset += _aligned(tensor.size)
    place = _aligned(file.tell())
    for tensor in tensors:
        if tensor.data is not None:
            if sys.byteorder == "big":
                tensor.data.byteswap()
            file.seek(place)
            file.write(tensor.data.tobytes())
        place += _aligned(tensor.size)
    file.truncate(place)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _string(text: str) -> bytes:
    return struct.pack("<I", STRING) + _text(text)


def _uint32(number: int) -> bytes:
    return struct.pack("<II", UINT32, number)


def _array(kind: int, items: Sequence[bytes]) -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(items)
