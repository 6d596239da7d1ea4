"""Streams of /v1/responses, event by event, and in the eyes of the official SDK."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Ask, Usage
from homeport.wire.normal import CallPiece, Piece
from homeport.wire.responses.stream import Writer
from tests.unit.wire.openai_samples import events, response
from tests.unit.wire.responses_samples import FIGURES, GROUP, LOOK, OUTPUT, PATCH, PIECES, SEARCH, USAGE, everything, sdk

strict: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def written(asked: Ask, pieces: list[Piece]) -> bytes:
    writer = Writer(asked, 1_795_000_000)
    return b"".join(writer.write([piece]) for piece in pieces) + writer.end(Usage(3, 4, 1, 2), FIGURES)


def test_the_whole_sequence() -> None:
    found = events(written(everything(), PIECES))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    names = [event["type"].removeprefix("response.") for event in found]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "output_item.done",
        "completed",
    ]
    done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert done == OUTPUT
    added = [event["item"] for event in found if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in added] == [item["id"] for item in OUTPUT]
    assert {item["status"] for item in added} == {"in_progress"}
    last = found[-1]["response"]
    assert (last["status"], last["output"], last["usage"], last["homeport"]) == ("completed", OUTPUT, USAGE, FIGURES)
    assert not written(everything(), PIECES).endswith(b"[DONE]\n\n")


def test_what_the_response_says_of_its_request() -> None:
    first = events(written(everything(), PIECES))[0]["response"]
    assert (first["id"], first["object"], first["created_at"], first["model"]) == ("resp_7f-1", "response", 1_795_000_000, "m")
    assert (first["status"], first["output"], first["usage"], first["store"]) == ("in_progress", [], None, False)
    assert (first["metadata"], first["temperature"], first["instructions"]) == ({"k": "v"}, 0.5, "Be brief.")
    assert first["tools"] == [LOOK, PATCH, GROUP, SEARCH]  # and no web_search, which no model was offered


def test_every_event_is_what_the_sdk_declares() -> None:
    for event in events(written(everything(), PIECES)):
        strict.validate_python(event, strict=False)


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    found = events(written(response(stream=True), [Piece(reasoning="hm"), Piece("It is"), Piece(finish=finish)]))
    last = found[-1]
    assert last["type"] == "response.incomplete"
    assert (last["response"]["status"], last["response"]["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]
    assert found[-2]["item"]["status"] == "incomplete"


def test_a_custom_call_that_was_cut_keeps_what_there_is() -> None:
    cut = [Piece(calls=[CallPiece(0, "c", "patch", '{"input": "a')]), Piece(finish="length")]
    output = events(written(everything(), cut))[-1]["response"]["output"]
    assert (output[0]["input"], output[0]["status"]) == ('{"input": "a', "incomplete")
    search = [Piece(calls=[CallPiece(0, "c", "tool_search", '{"query": "a')]), Piece(finish="length")]
    assert events(written(everything(), search))[-1]["response"]["output"][0]["arguments"] == {}


def test_text_after_calls_is_an_item_of_its_own() -> None:
    pieces = [Piece("a"), Piece(calls=[CallPiece(0, "c", "look", "{")]), Piece("b"), Piece(calls=[CallPiece(0, arguments="}")]), Piece(finish="stop")]
    output = events(written(everything(), pieces))[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert (output[1]["arguments"], output[2]["content"][0]["text"]) == ("{}", "b")


def test_what_shows_nothing_writes_nothing() -> None:
    writer = Writer(response(stream=True), 1)
    assert writer.write([]) == writer.write([Piece(), Piece(finish="stop"), Piece(usage=Usage(1))]) == b""
    found = events(writer.end(Usage(), {}))
    assert [event["type"] for event in found] == ["response.created", "response.in_progress", "response.completed"]
    with pytest.raises(BrokeMidStream):
        Writer(response(stream=True), 1).end(Usage(), {})


def test_the_sdk_takes_the_stream() -> None:
    client = sdk(written(everything(), PIECES))
    with client.responses.stream(model="m", input="Hi", tools=[LOOK]) as stream:  # type: ignore[list-item]
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == 'It is "blue".\n🐴'
    assert [item.type for item in final.output] == [item["type"] for item in OUTPUT]
    assert final.usage is not None and final.usage.total_tokens == 7
    plain = list(sdk(written(everything(), PIECES)).responses.create(model="m", input="Hi", stream=True))
    assert plain[-1].type == "response.completed"
