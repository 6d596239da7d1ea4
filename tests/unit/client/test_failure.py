"""What a gateway says is raised as the class of `homeport.errors` that stands for it."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from homeport import errors
from homeport.client.answer import Answer, read
from homeport.client.failure import retry_after, told

URL = "http://a"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, errors.Malformed),
        (400, "context_length_exceeded", errors.TooLong),
        (401, "invalid_api_key", errors.Unauthenticated),
        (403, "forbidden", errors.Forbidden),
        (404, "model_not_found", errors.UnknownModel),
        (404, "not_found", errors.CallerError),
        (413, "body_too_large", errors.TooLarge),
        (429, None, errors.OverBudget),
        (503, "no_route", errors.NoRouteLeft),
        (503, "queue_full", errors.NoRouteLeft),
        (503, "stopping", errors.Stopping),
        (500, None, errors.HomeportError),
    ],
)
def test_the_class_of_an_error(status: int, code: str | None, kind: type[errors.HomeportError]) -> None:
    body = {"error": {"message": "because", "type": "some_type", "param": "model", "code": code}}
    error = told(status, json.dumps(body).encode(), {"retry-after": "3", "x-should-retry": "false", "x-request-id": "req-1"}, URL)
    assert type(error) is kind
    assert "because" in str(error)
    assert (error.status, error.code, error.kind, error.param, error.retry_after_s, error.should_retry) == (status, code, "some_type", "model", 3, False)
    assert error.__notes__ == [f"{URL}, x-request-id req-1"]
    assert kind.status != 418 and kind("x").code == vars(kind).get("code", kind.code)  # the class itself is as it was


@pytest.mark.parametrize(
    "body", [b'{"error":"because"}', b'{"type":"error","error":{"type":"x","message":"because"}}', b'{"type":"error","message":"because"}']
)
def test_every_dialects_shape_is_read(body: bytes) -> None:
    assert "because" in str(told(400, body, {}, URL))


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"detail":"x"}', b"\xff"])
def test_what_is_no_gateway_is_said_to_be_none(body: bytes) -> None:
    assert str(told(404, body, {}, URL)).startswith(f"what answers at {URL} (status 404) is no Homeport gateway.")


def test_retry_after() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert 8 < (retry_after({"retry-after": formatdate(time.time() + 10, usegmt=True)}) or 0) <= 10
    assert [retry_after(headers) for headers in ({}, {"retry-after": "soon"})] == [None, None]
    assert retry_after({"retry-after": "-4"}) == 0


def test_an_answers_fields_are_attributes() -> None:
    answer = read('{"choices":[{"message":{"content":"hi"}}],"items":1}')
    assert answer.choices[0].message.content == answer["choices"][0]["message"]["content"] == answer.text == "hi"
    assert answer["items"] == 1
    with pytest.raises(AttributeError, match="no field 'usage'; it has choices, items"):
        _ = answer.usage


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"choices": [{"delta": {"content": "a"}}]}, "a"),
        ({"choices": [{"delta": {"role": "assistant"}}]}, ""),
        ({"choices": [{"message": {"content": None, "tool_calls": []}}]}, ""),
        ({"choices": [{"text": "b"}]}, "b"),
        ({"choices": []}, ""),
        ({"text": "c"}, "c"),
        ({"object": "list"}, ""),
    ],
)
def test_the_text_of_an_answer(value: dict[str, object], text: str) -> None:
    answer = read(json.dumps(value))
    assert isinstance(answer, Answer)
    assert answer.text == text


def test_vectors_stand_in_the_order_that_was_asked() -> None:
    assert Answer(data=[{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]).vectors == [[1.0], [2.0]]
