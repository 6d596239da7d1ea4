"""`homeport run TASK`: which argument the text is, and what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.cli.run_task import given

from .conftest import FakeGateway, Homeport

TEXT = {"text": {"type": "string"}, "labels": {"type": "array"}}


@pytest.mark.parametrize(
    ("text", "fields", "arguments"),
    [
        ("Where?", TEXT, {"text": "Where?"}),
        ('{"text": "Where?", "labels": ["a"]}', TEXT, {"text": "Where?", "labels": ["a"]}),
        ('{"other": 1}', TEXT, {"text": '{"other": 1}'}),
        ("[1]", TEXT, {"text": "[1]"}),
        ("one", {"texts": {"type": "array"}}, {"texts": ["one"]}),
    ],
)
def test_the_text_is_the_first_argument_or_all_of_them(text: str, fields: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert given(text, {"input": {"properties": fields}}) == arguments


def test_where_no_task_has_the_name_the_model_is_what_is_unknown(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"error": {"message": "No model nope.", "code": "model_not_found"}}, 404)
    ended = homeport("run", "nope", "hi")
    assert (ended.code, ended.out) == (1, "")
    assert "No model nope." in ended.err
    assert [path for path, _, _ in gateway.seen] == ["POST /v1/chat/completions", "GET /tasks"]
    assert json.dumps(gateway.seen[0][2]).count("hi") == 1
