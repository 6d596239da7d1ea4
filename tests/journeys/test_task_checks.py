"""Checks: those of a task's author that ask the very gateway they run in, and those of scatter, whose answers code completes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import asked
from tests.gateway import Running, config

CHECKED = '''
from homeport import task, Client
import os

@task
def inner(text: str) -> str:
    """Say it."""

def judge(value):
    with Client(urls=[os.environ["HERE"]]) as client:
        return client.post("/tasks/inner", {"input": {"text": "x"}})["output"] != ""

@task(checks=[judge])
def outer(text: str) -> str:
    """Say it again."""
'''


def test_a_check_may_ask_the_very_gateway_it_runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty at once, each with a task asked by its check: nobody waits for a thread that another one holds."""
    (tmp_path / "tasks.py").write_text(CHECKED, encoding="utf-8")
    with ScriptedBackend(Answer(text="fine")) as backend, ThreadPoolExecutor(20) as threads:
        only = {"url": backend.url, "max_in_flight": 8}
        path = config(tmp_path, {"only": only}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
        path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
        with Running(path) as gateway:
            monkeypatch.setenv("HERE", gateway.url)
            ask = {"input": {"text": "x"}}
            heards = list(threads.map(lambda _: asked(gateway.url, ask, path="/tasks/outer"), range(20)))
            assert {(heard.status, heard.json["output"]) for heard in heards} == {(200, "fine")}
            assert {tuple(heard.json["homeport"]["checks"]) for heard in heards} == {("schema", "judge")}


def test_scatter_whose_rules_are_too_few_is_asked_for_once_more_then_completed_by_code(tmp_path: Path) -> None:
    bands = dict.fromkeys(("PERSONA", "CONTEXT", "DATA", "CONSTRAINTS", "FORMAT", "TASK"), "x")
    with ScriptedBackend(json.dumps(bands)) as backend:
        path = config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
        with Running(path) as gateway:
            body = asked(gateway.url, {"prompt": "plan a picnic"}, path="/scatter").json
    told = body["homeport"]
    assert [attempt["check"] for attempt in told["attempts"]] == ["constraints", "constraints"]
    assert (told["offline"], told["route"]["backend"], told["checks"]) == (False, "only", ["schema"])
    assert "NEVER, ALWAYS and MUST" in backend.asks[1].fields["messages"][2]["content"]
    texts = [fragment["x"] for fragment in body["sinc"]["fragments"]]
    assert texts[:3] + texts[4:] == ["x"] * 5
    assert texts[3].startswith("x ALWAYS do what")
