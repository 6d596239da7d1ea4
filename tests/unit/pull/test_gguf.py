"""The header of a GGUF file: of real ones from any number of first bytes, and of damaged ones without a fault of our own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport import pilot
from homeport.pull.gguf import Header, NotGguf, TooShort, begins, read_header
from homeport.testing.talker import write_talker


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_talker(tmp_path_factory.mktemp("talker") / "a.gguf", "Hello there.").read_bytes()


def test_a_header_says_what_the_model_is(talker: bytes) -> None:
    header = read_header(talker)
    assert header.architecture == "llama"
    assert (header.whole("context_length"), header.whole("block_count"), header.whole("nothing", 7)) == (131072, 1, 7)
    assert header.lengths["tokenizer.ggml.tokens"] > 256
    assert header.tensors == 12
    vocabulary = header.lengths["tokenizer.ggml.tokens"]
    assert header.parameters == 2 * 256 * vocabulary + 3 * 256 + 2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 32


def test_the_bundled_model_is_read() -> None:
    header = read_header(pilot.PATH.read_bytes())
    assert header.architecture == "llama"
    assert header.parameters > 100_000


def test_any_first_bytes_are_too_short_until_they_are_enough(talker: bytes) -> None:
    size = next(count for count in range(1024, len(talker), 1024) if _enough(talker[:count]))
    whole = read_header(talker)
    for count in [*range(64), *range(64, size - 1024, 509)]:
        with pytest.raises(TooShort):
            read_header(talker[:count])
    assert read_header(talker[:size]) == whole


def _enough(data: bytes) -> bool:
    try:
        read_header(data)
    except TooShort:
        return False
    return True


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"\n  <html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of git LFS"),
        (b'{"error": "x"}', "it is JSON"),
        (b"PK\x03\x04", "it begins in another way"),
        (b"GGUF\x00\x00\x00\x03", "big-endian"),
        (b"GGUF\x01\x00\x00\x00", "version 1; 2 and 3 can be used"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 1), "its counts make no sense"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40), "longer than 16 MB"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "unknown type"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**60), "longer than makes sense"),
    ],
)
def test_what_is_none_is_named(data: bytes, told: str) -> None:
    with pytest.raises(NotGguf, match=told):
        read_header(data)


def test_a_beginning_is_enough_to_refuse() -> None:
    with pytest.raises(NotGguf):
        begins(b"<h")
    with pytest.raises(TooShort):
        begins(b"GG")


@given(place=st.integers(8, 20_000), byte=st.integers(0, 255), cut=st.integers(8, 20_000))
def test_damage_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int) -> None:
    data = bytearray(_data(tmp_path_factory))
    data[place] = byte
    try:
        header = read_header(bytes(data[: 2 * cut]))
    except (NotGguf, TooShort):
        return
    assert isinstance(header, Header)
    header.whole("context_length")
    header.each("attention.head_count", 4, 1)


def _data(factory: pytest.TempPathFactory, _known: dict[str, bytes] = {}) -> bytes:  # noqa: B006 - written once for all examples
    if "talker" not in _known:
        _known["talker"] = write_talker(Path(factory.mktemp("damage")) / "a.gguf", "Hello there.").read_bytes()
    return _known["talker"]
