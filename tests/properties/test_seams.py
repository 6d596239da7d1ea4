"""However an answer was cut into tokens, parts and reads: two parts make one stream, and its text is the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream
from homeport.vocabulary import CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES, Route, Surface
from homeport.wire.continuing import SURE, Plan, Telling
from homeport.wire.prefill import given as prefill
from tests.dialects import ask, told
from tests.faults.engines import data, openai

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
END = (
    openai(CHAT.value, None, finish="stop") + data({"id": "c", "object": "x", "created": 1, "model": "m", "choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"
)
WORDS = st.text(st.sampled_from("ab \n\t“é🚢<>\\\"'"), min_size=1, max_size=12)


def fed(answer: Telling, stream: bytes, cuts: list[int]) -> bytes:
    """What comes of a stream that arrives in reads that end at `cuts`."""
    places = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return b"".join(answer.feed(stream[start:end]) for start, end in zip([0, *places], places, strict=False))


@pytest.mark.parametrize("surface", [CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES])
@pytest.mark.parametrize("engine", ["llama.cpp", "vllm"])
def test_every_byte(surface: Surface, engine: str) -> None:
    """A first part that ends behind any byte of its stream, up to the finish, and a second one that says the rest."""
    tokens = ["A café", " 🚢\n", "\n", "“end”", " of\tit"]
    first = openai(CHAT.value, "") + b"".join(openai(CHAT.value, token) for token in tokens) + END
    for at in range(len(openai(CHAT.value, "")), first.index(b"\n\n", first.index(b'"stop"')) + 1):
        answer = Telling(ask(surface, stream=True), Plan(), "openai", 0)
        heard = answer.feed(first[:at])
        begun = answer.beginning
        if begun is None:
            assert heard == b""  # nothing was told yet: another backend may begin anew
            continue
        answer.go_on(Route("b", "m", engine=engine, begun=begun), "openai")
        rest = "".join(tokens)[len(prefill(begun.text, engine)[0]) :]
        heard += answer.feed(openai(CHAT.value, "") + b"".join(openai(CHAT.value, character) for character in rest) + END)
        said = told(surface, heard + answer.close({}), stream=True)
        assert (said.text, said.whole) == ("".join(tokens), True), at


@settings(deadline=None)
@given(
    st.lists(WORDS, min_size=1, max_size=6),
    st.lists(WORDS, max_size=6),
    st.lists(st.integers(0, 3000), max_size=5),
    st.lists(st.integers(0, 3000), max_size=5),
    st.integers(0, 400),
    st.sampled_from(["llama.cpp", "vllm"]),
    st.sampled_from([CHAT, MESSAGES, OLLAMA_CHAT, RESPONSES]),
    st.booleans(),
)
def test_the_text_is_the_text(
    before: list[str], after: list[str], cuts: list[int], more_cuts: list[int], lost: int, engine: str, surface: Surface, repeats: bool
) -> None:
    """The first part loses its last bytes. The second one begins with the blanks it was not given, and may repeat all in one piece."""
    before = before * (60 if repeats else 1)
    answer = Telling(ask(surface, stream=True), Plan(), "openai", 0)
    first = openai(CHAT.value, "") + b"".join(openai(CHAT.value, token) for token in before)
    heard = fed(answer, first[: len(first) - min(lost, len(first))], cuts)
    begun = answer.beginning
    if begun is None:  # nothing that could be gone on from, which is an error or another beginning
        return
    assert told(surface, heard, stream=True).text == begun.text
    assert "".join(before).startswith(begun.text)
    answer.go_on(Route("b", "m", engine=engine, begun=begun), "openai")
    text, owed = prefill(begun.text, engine)
    rest = "".join(before)[len(begun.text) :] + "".join(after)
    pieces = [piece for piece in (owed, *(rest[at : at + 100] for at in range(0, len(rest), 100))) if piece]
    repeated = repeats and len(text) >= SURE
    if repeated:
        pieces = [text, *pieces]
    second = openai(CHAT.value, "") + b"".join(openai(CHAT.value, piece) for piece in pieces) + END
    try:
        heard += fed(answer, second, more_cuts)
    except BrokeMidStream:  # it might have been a repetition: then nothing of it was told that was not the text
        assert (owed + rest).startswith(text) and not repeated
        assert (begun.text + rest).startswith(told(surface, heard, stream=True).text)
        return
    said = told(surface, heard + answer.close({}), stream=True)
    assert (said.text, said.finish, said.whole) == (begun.text + rest, "stop", True)
