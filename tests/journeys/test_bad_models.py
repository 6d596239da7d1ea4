"""One task against models that do what they should not: the table in `docs/tasks.md` says what the caller gets and what the receipts have."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Fault, Refuse
from tests.caller import Heard, asked
from tests.docs.pages import Page
from tests.gateway import Running, config, soon

TEXT = "Hi, Ann Lee here. I paid €3 on 2 May."
VALUES = {"name": "Ann Lee", "email": None, "amount": "€3", "date": "2 May", "invoice": None}
WRONG = {**VALUES, "name": "Bea Lee"}
FILE = '''
from homeport import task, Quote

@task(model="first", escalate=["second"], offline=lambda text: {"name": None})
def known(text: str) -> dict[str, Quote | None]:
    """What is in it?"""
'''


def said(value: Any, **more: Any) -> Answer:
    return Answer(text=value if isinstance(value, str) else json.dumps(value), **more)


MODELS: dict[str, tuple[list[Answer | Refuse], Answer | Refuse]] = {  # what is answered first, and from then on
    "ignores the schema": ([], said("I would be glad to help you with that!")),
    "loops": ([], Answer(tokens=('{"name": "', *["Ann "] * 2000), finish="length")),
    "leaves a field out": ([], said({"name": "Ann Lee"})),
    "invents a quote, and is put right": ([said(WRONG)], said(VALUES)),
    "invents a quote, always": ([], said(WRONG)),
    "breaks off amid the answer": ([], said(VALUES, fault=Fault(at=3, how="error"))),
    "is off": ([], Refuse(status=503)),
}
DIED = "its backend seems to have died of"


def documented() -> dict[str, list[str]]:
    """The table's rows by their first cell."""
    _, _, rest = Page("docs/tasks.md").text.partition("| a model that |")
    rows = [re.findall(r"(?<=\|)[^|]*(?=\|)", line) for line in rest.partition("\n\n")[0].splitlines()[2:]]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_the_table_has_these_models() -> None:
    assert list(documented()) == [*MODELS, DIED]


@pytest.mark.parametrize("model", MODELS)
def test_what_the_caller_gets_and_what_the_receipts_have(model: str, tmp_path: Path) -> None:
    first, then = MODELS[model]
    with ScriptedBackend(then, script=first) as backend:
        path = config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})
        with Running(path) as gateway:
            heard = asked(gateway.url, {"input": {"text": TEXT}}, path="/tasks/extract")
            attempts = heard.json["homeport"]["attempts"] if heard.status == 200 else heard.error["attempts"]
            receipts = gateway.journal.settled(len(backend.asks) or 1)
    as_documented(model, heard, attempts, receipts)
    assert heard.status != 200 or heard.json["output"] == VALUES
    assert all(receipt["task"] == "extract" and receipt["attempts"] for receipt in receipts)
    assert "Bea" not in heard.body.decode()
    assert ("retry-after" in heard.headers) == (model in ("is off", "breaks off amid the answer"))


def as_documented(model: str, heard: Heard, attempts: list[dict[str, Any]], receipts: list[dict[str, Any]]) -> None:
    caller, checks, kept = documented()[model]
    assert caller.startswith("the answer" if heard.status == 200 else str(heard.status))
    assert ", ".join(f"`{attempt['check']}`" if attempt["check"] else "held" for attempt in attempts) == checks
    assert "; ".join(f"`{receipt['outcome']}`" + "".join(f" after `{check}`" for check in receipt["checks"]) for receipt in receipts) == kept


@pytest.mark.slow
def test_what_a_backend_seems_to_have_died_of_is_asked_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    with BackendProcess(Setup(answer=Answer(text="x", prefill_s=30.0))) as home, ScriptedBackend(said({"name": None})) as spare:
        models = {
            "first": {"routes": [{"backend": "home", "model": "m"}, {"backend": "spare", "model": "m"}]},
            "second": {"routes": [{"backend": "spare", "model": "m"}]},
        }
        path = config(tmp_path, {"home": {"url": home.url, "first_token_timeout_s": 30}, "spare": spare.url}, models=models)
        path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
        with Running(path) as gateway, ThreadPoolExecutor() as pool:
            asking = pool.submit(asked, gateway.url, {"input": {"text": TEXT}}, path="/tasks/known")
            assert soon(lambda: home.counters()["in_flight"] > 0, 20)
            home.kill()
            heard = asking.result(30)
            receipts = gateway.journal.settled(1)
    assert (heard.status, heard.json["homeport"]["offline"], spare.generations) == (200, True, 0)
    [attempt] = heard.json["homeport"]["attempts"]
    assert "died" in attempt["reason"]
    caller, checks, kept = documented()[DIED]
    assert (f"`{attempt['check']}`", f"`{receipts[0]['outcome']}`") == (checks, kept)
    assert caller.startswith("503")


def test_what_each_attempt_cost_is_told_also_where_none_holds(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    with ScriptedBackend(said("no")) as local, ScriptedBackend(said({"name": "Ann Lee"})) as cloud:
        models = {"first": {"routes": [{"backend": "home", "model": "m"}]}, "second": {"routes": [{"backend": "far", "model": "m"}]}}
        path = config(tmp_path, {"home": local.url, "far": {"url": cloud.url, "location": "cloud"}}, models=models)
        path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
        with Running(path) as gateway:
            dear = asked(gateway.url, {"input": {"text": TEXT}}, path="/tasks/known").json
            local.default = said({"name": "Ann Lee"})
            free = asked(gateway.url, {"input": {"text": TEXT}}, path="/tasks/known").json
            local.default = cloud.default = Refuse(status=503)
            off = asked(gateway.url, {"input": {"text": TEXT}}, path="/tasks/known").json
    costs = [[attempt["cost_usd"] for attempt in body["homeport"]["attempts"]] for body in (dear, free, off)]
    assert costs == [[0.0, 0.0, None], [0.0], [None, None]]
    assert [body["homeport"]["cost_usd"] for body in (dear, free, off)] == [None, 0.0, None]
    assert all(attempt["tokens"] > 0 and attempt["ms"] > 0 for attempt in dear["homeport"]["attempts"])
    assert (off["output"], off["homeport"]["offline"]) == ({"name": None}, True)
