"""Checks of a task's author that ask the very gateway they run in."""

from __future__ import annotations

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
