"""Reads the header of a GGUF file from its first bytes: what the model is, without its weights.

The format is the one of ggml's `docs/gguf.md`, versions 2 and 3, little-endian: magic, counts, typed key-value pairs, then a
description of each tensor. A header has from some kilobytes to some tens of megabytes, most of them the vocabulary.
"""

from __future__ import annotations

import struct
from typing import Any

from msgspec import Struct

STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}  # by value type
LONGEST_STRING = 16 * 2**20  # bytes
MOST_PAIRS, MOST_TENSORS, MOST_ITEMS = 10_000, 1_000_000, 50_000_000
KEPT_ITEMS = 4096  # of an array of numbers, such as one a layer; of longer ones only the length is kept


class NotGguf(ValueError):
    """These bytes begin no GGUF file that can be used; the message says what they are."""


class TooShort(Exception):
    """The header goes on beyond the bytes given."""


class Header(Struct, frozen=True):
    """What a GGUF file says of itself."""

    fields: dict[str, Any]  # numbers, texts, and lists of at most 4,096 numbers
    lengths: dict[str, int]  # of every array
    tensors: int
    parameters: int  # weights in all tensors of this file

    @property
    def architecture(self) -> str:
        """Such as "llama" or "qwen3"."""
        return str(self.fields.get("general.architecture", ""))

    def whole(self, key: str, default: int = 0) -> int:
        """A number of `ARCHITECTURE.key`."""
        value = self.fields.get(f"{self.architecture}.{key}")
        return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else default

    def each(self, key: str, layers: int, default: int) -> list[int]:
        """A number of each layer, where the file may give one for all."""
        value = self.fields.get(f"{self.architecture}.{key}")
        if isinstance(value, list) and value and all(isinstance(item, int) and 0 <= item < 2**31 for item in value):
            return (value * layers)[:layers] if len(value) < layers else value[:layers]
        return [self.whole(key, default)] * layers


def read_header(data: bytes) -> Header:
    """The header that `data` begins with. Raises NotGguf, and TooShort where more bytes are needed."""
    begins(data)
    reader = _Reader(data)
    reader.place = 8
    tensors, pairs = reader.number("<Q"), reader.number("<Q")
    if tensors > MOST_TENSORS or pairs > MOST_PAIRS:
        raise NotGguf("its counts make no sense: the file is damaged")
    fields: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for _ in range(pairs):
        key = reader.text()
        value, length = reader.value(reader.number("<I"))
        if length is not None:
            lengths[key] = length
        if value is not None:
            fields[key] = value
    parameters = 0
    for _ in range(tensors):
        reader.text()
        dimensions = reader.number("<I")
        if dimensions > 8:
            raise NotGguf("a tensor has more than 8 dimensions: the file is damaged")
        count = 1
        for _ in range(dimensions):
            count *= reader.number("<Q")
        reader.skip(12)
        parameters += count
    return Header(fields, lengths, tensors, parameters)


def begins(data: bytes) -> None:
    """Raises NotGguf where the first bytes are something else, saying what; TooShort where they are less than 8."""
    if data[:4] != b"GGUF"[: len(data[:4])]:
        begin = data[:512].lstrip().lower()
        if begin.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
            raise NotGguf("it is a web page, perhaps one that asks to log in")
        if begin.startswith(b"version https://git-lfs"):
            raise NotGguf("it is a pointer of git LFS, not the file that it points to")
        if begin.startswith((b"{", b"[")):
            raise NotGguf("it is JSON")
        raise NotGguf("it begins in another way")
    if len(data) < 8:
        raise TooShort
    version = struct.unpack_from("<I", data, 4)[0]
    if version not in (2, 3):
        raise NotGguf("it is for big-endian machines" if version > 0xFFFF else f"it is GGUF version {version}; 2 and 3 can be used")


class _Reader:
    """Reads on from a place in the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def skip(self, count: int) -> int:
        """The place before; TooShort where it would go beyond the end."""
        place = self.place
        if place + count > len(self.data):
            raise TooShort
        self.place = place + count
        return place

    def number(self, form: str) -> int:
        found: int = struct.unpack_from(form, self.data, self.skip(struct.calcsize(form)))[0]
        return found

    def passage(self) -> int:
        """Passes over a text; its place."""
        length = self.number("<Q")
        if length > LONGEST_STRING:
            raise NotGguf("a text in it is longer than 16 MB: the file is damaged")
        return self.skip(length)

    def text(self) -> str:
        place = self.passage()
        return self.data[place : self.place].decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> tuple[Any, int | None]:
        """A value where it is worth keeping, and the length where it is an array."""
        if kind in SCALARS:
            return self.number(SCALARS[kind]), None
        if kind == STRING:
            return self.text(), None
        if kind != ARRAY or depth > 3:
            raise NotGguf("a value in it has an unknown type: the file is damaged, or newer than this program")
        inner, count = self.number("<I"), self.number("<Q")
        if count > MOST_ITEMS:
            raise NotGguf("a list in it is longer than makes sense: the file is damaged")
        if inner in SCALARS:
            form = SCALARS[inner]
            place = self.skip(count * struct.calcsize(form))
            few = count <= KEPT_ITEMS
            return list(struct.unpack_from(f"<{count}{form[1]}", self.data, place)) if few else None, count
        for _ in range(count):
            if inner == STRING:  # hundreds of thousands in a vocabulary
                self.passage()
            else:
                self.value(inner, depth + 1)
        return None, count
