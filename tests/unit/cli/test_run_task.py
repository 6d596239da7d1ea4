"""`homeport run TASK`: which argument the text is, and what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.cli import run_task
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


def test_an_answer_in_an_object_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run_task.show({"output": {"name": "Ann\x9b2J\x7f"}}, json=False)
    out = capsys.readouterr().out
    assert '"Ann2J"' in out
    assert "\x9b" not in out and "\x7f" not in out
