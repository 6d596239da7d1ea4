"""Whole replies of /v1/responses, and errors there, also in the eyes of the official SDK."""

from __future__ import annotations

import json

import pytest
from openai import APIError
from openai.types.responses import Response

from homeport.errors import BrokeMidStream, NoRouteLeft, Uncarried
from homeport.wire.normal import Answer, Call, Piece
from homeport.wire.responses.reply import error_body, error_event, whole
from homeport.wire.responses.stream import Writer
from tests.unit.wire.openai_samples import events, response
from tests.unit.wire.responses_samples import ANSWER, OUTPUT, USAGE, everything, sdk


def test_a_whole_response() -> None:
    told = json.loads(whole(everything(), ANSWER, 5))
    assert (told["output"], told["usage"], told["status"], told["created_at"]) == (OUTPUT, USAGE, "completed", 5)
    Response.model_validate(told)
    assert json.loads(whole(response(), Answer(calls=[Call("c", "f", "")], finish="stop")))["output"][0]["arguments"] == ""


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    told = json.loads(whole(response(), Answer("It is", "hm", finish=finish)))
    assert told["status"] == "incomplete" and told["incomplete_details"] == {"reason": reason}
    assert [item["status"] for item in told["output"]] == ["completed", "incomplete"]
    with pytest.raises(BrokeMidStream):
        whole(response(), Answer("a"))


def test_the_sdk_takes_a_whole_response() -> None:
    told = sdk(whole(everything(), ANSWER), "application/json").responses.create(model="m", input="Hi")
    assert told.output_text == 'It is "blue".\n🐴' and told.store is False  # type: ignore[attr-defined]


def test_errors() -> None:
    refused = Uncarried("`a` cannot be carried over.", param="a")
    assert json.loads(error_body(refused, "req-1")) == {
        "error": {"message": "`a` cannot be carried over.", "type": "invalid_request_error", "param": "a", "code": "not_carried"}
    }
    begun = Writer(response(stream=True), 1)
    said = begun.write([Piece("It is")])
    said += error_event(BrokeMidStream("the backend went away"), "req-7f-1", begun.number)
    *_, failed, error = events(said)
    assert failed["response"]["id"] == "resp_7f-1" and failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "cut", "message": "the backend went away"}
    assert (error["type"], error["code"], error["message"], error["param"]) == ("error", "cut", "the backend went away", None)
    assert error["sequence_number"] == failed["sequence_number"] + 1 == len(events(said)) - 1
    assert events(error_event(NoRouteLeft("none"), "req-1"))[0]["response"]["error"]["code"] == "no_route"
    with pytest.raises(APIError, match="the backend went away"):
        list(sdk(said).responses.create(model="m", input="Hi", stream=True))
    with pytest.raises(APIError, match="the backend went away"):
        with sdk(said).responses.stream(model="m", input="Hi") as stream:
            stream.until_done()
