"""However an OpenAI stream's bytes are cut into reads, it comes to the same Pieces put together, in any dialect they are written in."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.testing.script import Answer, ToolCall
from homeport.testing.shapes import STYLES, StyleName
from homeport.vocabulary import Usage
from homeport.wire.normal import Answer as Gathered
from homeport.wire.normal import Piece, gather
from homeport.wire.openai.pieces import Reader
from homeport.wire.openai.writer import Writer
from homeport.wire.responses.stream import Writer as ResponsesWriter
from tests.captures import surprises
from tests.unit.wire.openai_samples import chat, completion, events, response, wire

TEXT = 'Příliš žluťoučký kůň 🐴 says "data: [DONE]"\n\nand \\"usage\\":{} twice. 日本語。'
ANSWERS = {
    "text": Answer(text=TEXT),
    "reasoning and tools": Answer(
        reasoning=("Let", " me"), tool_calls=(ToolCall(name="weather", arguments='{"city": "Ålesund"}'), ToolCall(name="time", id="call_2"))
    ),
    "tags": Answer(tokens=(" <th", "ink>", "\nhm ", " </thin", "k", "> \n", "</think>\n\n", TEXT, "<think>")),
    "tokens that look like the wire": Answer(tokens=("data: ", "\n\n", "[DONE]", '"error"', '{"choices":[]}', ": ping", "\r\n\r\n")),
}
BODIES = {f"{style}, {name}": wire(style, answer) for style in STYLES for name, answer in ANSWERS.items()}
BODIES |= {f"{style}, completions": wire(style, ANSWERS["text"], chat_surface=False) for style in STYLES}
BODIES |= {f"{style}, CR LF": wire(style, ANSWERS["text"]).replace(b"\n", b"\r\n") for style in STYLES}
BODIES |= {name: "".join(text for _, text in row.response.pieces).encode() for name, row in surprises().items() if row.response.framing == "chunked"}


def read(body: bytes, cuts: list[int]) -> tuple[list[Piece], int, bool] | None:
    """The pieces, the count of content events, and whether it is done; None where it broke."""
    reader = Reader()
    pieces: list[Piece] = []
    try:
        for a, b in itertools.pairwise([0, *sorted(cuts), len(body)]):
            pieces += reader.feed(body[a:b])
    except BrokeMidStream:
        return None
    return pieces, reader.events, reader.done


def sum_of(told: tuple[list[Piece], int, bool] | None) -> tuple[Gathered, int, bool] | None:
    return None if told is None else (gather(told[0]), *told[1:])


@pytest.mark.parametrize("name", BODIES)
def test_one_cut_anywhere_and_every_byte_alone(name: str) -> None:
    body = BODIES[name]
    expected = sum_of(read(body, []))
    for at in range(0, len(body), max(1, len(body) // 150)):
        assert sum_of(read(body, [at])) == expected, at
    assert sum_of(read(body, list(range(1, len(body))))) == expected


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(BODIES)), st.lists(st.integers(0, 100_000), max_size=30))
def test_any_cuts(name: str, cuts: list[int]) -> None:
    body = BODIES[name]
    assert sum_of(read(body, [cut % (len(body) + 1) for cut in cuts])) == sum_of(read(body, []))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(STYLES)),
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=12),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.sampled_from(["chat", "completions", "responses"]),
)
def test_any_text_arrives_as_it_was_said(style: StyleName, tokens: list[str], cuts: list[int], dialect: str) -> None:
    """From an engine's stream through the normal form into a caller's: quotes, escapes, line ends and astral characters included."""
    tokens = ["."] if "".join(tokens).lstrip().startswith("<") else tokens
    body = wire(style, Answer(tokens=tuple(tokens)), chat_surface=dialect != "completions")
    told = read(body, [cut % len(body) for cut in cuts])
    assert told is not None and told[1] == len(tokens) and told[2]
    writer: Writer | ResponsesWriter = (
        ResponsesWriter(response(stream=True), 1) if dialect == "responses" else Writer((chat if dialect == "chat" else completion)(stream=True), 1)
    )
    said = b"".join(writer.write([piece]) for piece in told[0]) + writer.end(Usage(), {})
    found = events(said)
    if dialect == "responses":
        texts = [event["delta"] for event in found if event["type"] == "response.output_text.delta"]
        assert found[-1]["response"]["output"][0]["content"][0]["text"] == "".join(tokens)
    else:
        texts = [choice["delta"].get("content") if dialect == "chat" else choice["text"] for event in found for choice in event["choices"]]
    assert "".join(text or "" for text in texts) == "".join(tokens)
