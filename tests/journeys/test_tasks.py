"""Tasks through the whole app on scripted backends: what the caller gets, and what the owner finds in the receipts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.errors import BadSettings, TaskFailed
from homeport.settings import load
from homeport.tasks.shipped import classify, extract
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Point, Refuse
from tests.caller import Caller, Heard, asked, chat, request_bytes
from tests.gateway import Running, Spawned, config, soon

TEXT = "Hi, Ann Lee here. I paid €3 on 2 May."
VALUES = {"name": "Ann Lee", "email": None, "amount": "€3", "date": "2 May", "invoice": None}
FILE = '''
from homeport import task

@task(model="small", escalate=["large"])
def shout(text: str) -> list[str]:
    """Which words are shouted?"""

@task(model="small", escalate=["large", "both"], private=True)
def diary(text: str) -> list[str]:
    """Which words are shouted?"""

@task(model="large", private=True)
def secret(text: str) -> str:
    """Say it again."""
'''


def as_said(answer: Any) -> Answer:
    return Answer(text=answer if isinstance(answer, str) else json.dumps(answer))


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(as_said(VALUES)) as backend:
        yield backend


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    with Running(config(tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}})) as gateway:
        yield gateway


def post(gateway: Running | Spawned, name: str, given: dict[str, Any], **more: Any) -> Heard:
    return asked(gateway.url, {"input": given, **more}, path=f"/tasks/{name}")


def named(heard: Heard) -> list[tuple[str, Any]]:
    """The server-sent events by name."""
    found = []
    for event in heard.body.decode().removesuffix("\n\n").split("\n\n"):
        name, _, data = event.partition("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_the_list_of_tasks(gateway: Running) -> None:
    listed = asked(gateway.url, method="GET", path="/tasks").json
    assert [task["name"] for task in listed] == ["ask", "classify", "complete", "draft", "embed", "extract", "scatter"]
    assert all(task.keys() == {"name", "description", "input", "output"} for task in listed)
    assert listed[1]["input"]["required"] == ["text"]


def test_a_whole_answer_says_how_it_came_about(gateway: Running) -> None:
    heard = post(gateway, "extract", {"text": TEXT})
    assert heard.status == 200
    body = heard.json
    assert body["output"] == VALUES
    told = body["homeport"]
    assert told["route"] == {"backend": "only", "model": "m", "location": "local"}
    assert (told["task"], told["checks"], told["offline"]) == ("extract", ["schema", "quote"], False)
    assert [(row["model"], row["backend"], row["check"]) for row in told["attempts"]] == [("default", "only", None)]
    assert {"x-request-id", "x-homeport-backend", "x-homeport-attempts", "x-tok-per-s", "x-gen-time", "x-tokens"} <= heard.headers.keys()
    [receipt] = gateway.journal.settled(1)
    assert (receipt["task"], receipt["checks"], receipt["id"], receipt["outcome"]) == ("extract", [], told["request_id"], "ok")


def test_a_streamed_answer_shows_the_object_so_far_then_the_result(gateway: Running) -> None:
    heard = post(gateway, "extract", {"text": TEXT}, stream=True)
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.headers["x-accel-buffering"] == "no"
    events = named(heard)
    assert [name for name, _ in events[:-1]] == ["partial"] * (len(events) - 1)
    assert len(events) > 2
    name, last = events[-1]
    assert (name, last["output"], last["homeport"]["checks"]) == ("result", VALUES, ["schema", "quote"])
    [receipt] = gateway.journal.settled(1)
    assert (receipt["task"], receipt["stream"]) == ("extract", True)
    assert last["homeport"]["tokens"] == receipt["completion_tokens"]


def test_a_model_that_is_wrong_is_told_so_once_and_the_receipt_has_the_check(gateway: Running, backend: ScriptedBackend) -> None:
    backend.script.append(as_said({**VALUES, "name": "Bea Lee"}))
    body = post(gateway, "extract", {"text": TEXT}).json
    assert body["output"] == VALUES
    assert [row["check"] for row in body["homeport"]["attempts"]] == ["quote", None]
    first, second = gateway.journal.settled(2)
    assert (first["checks"], second["checks"]) == ([], ["quote"])
    assert backend.asks[1].fields["messages"][1]["role"] == "assistant"
    journal = "".join(path.read_text(encoding="utf-8") for path in gateway.journal.data.glob("journal-*.jsonl"))
    assert "Ann" not in journal
    assert "Bea" not in journal


@pytest.mark.parametrize(
    ("said", "check"),
    [
        (Answer(text="I would be glad to help you with that!"), "json"),
        (Answer(text='{"name": "Ann Lee"}'), "schema"),
        (Answer(tokens=('{"name": "', *["Ann "] * 2000)), "truncated"),
    ],
    ids=["ignores the schema", "leaves fields out", "loops"],
)
def test_a_model_that_never_does_it_ends_in_an_error_that_names_the_check(gateway: Running, backend: ScriptedBackend, said: Answer, check: str) -> None:
    backend.default = said
    for streamed in (False, True):
        heard = post(gateway, "extract", {"text": TEXT}, stream=streamed)
        error = named(heard)[-1][1]["error"] if streamed else heard.error
        assert heard.status == (200 if streamed else 502)
        assert (error["code"], f"default: {check}" in error["message"], "Ann" in error["message"]) == ("task_failed", True, False)
    assert [receipt["checks"] for receipt in gateway.journal.settled(4)] == [[], [check], [], [check]]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_that_is_off(gateway: Running, backend: ScriptedBackend, streamed: bool) -> None:
    backend.default = Refuse(status=503)
    heard = post(gateway, "classify", {"text": TEXT}, stream=streamed)
    if streamed:
        name, last = named(heard)[-1]
        assert (name, last["error"]["code"]) == ("error", "task_failed")
    else:
        assert (heard.status, heard.error["code"]) == (503, "task_failed")
        assert int(heard.headers["retry-after"]) > 0


@pytest.mark.parametrize("how", ["close", "freeze"])
def test_a_backend_that_dies_amid_the_answer_gives_no_result(backend: ScriptedBackend, tmp_path: Path, how: Any) -> None:
    backend.default = Answer(text=json.dumps(VALUES), fault=Fault(at=3, how=how, for_s=30.0))
    models = {"default": {"routes": [{"backend": "only", "model": "m"}]}}
    with Running(config(tmp_path, {"only": {"url": backend.url, "idle_timeout_s": 0.5}}, models=models)) as gateway:
        events = named(post(gateway, "extract", {"text": TEXT}, stream=True))
    assert "partial" in [name for name, _ in events]
    assert events[-1][0] == "error"
    assert "result" not in [name for name, _ in events]


def test_the_next_backend_takes_over_while_the_answer_is_held(backend: ScriptedBackend, tmp_path: Path) -> None:
    routes = {"default": {"routes": [{"backend": "bad", "model": "m"}, {"backend": "good", "model": "m"}]}}
    with ScriptedBackend(Answer(text=json.dumps(VALUES), fault=Fault(at=3, how="close"))) as bad:
        with Running(config(tmp_path, {"bad": bad.url, "good": backend.url}, models=routes)) as gateway:
            body = post(gateway, "extract", {"text": TEXT}).json
    assert (body["output"], body["homeport"]["route"]["backend"], len(body["homeport"]["attempts"])) == (VALUES, "good", 1)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": {"text": 1}}, 400, "input"),
        ({"input": {"text": "x", "more": 1}}, 400, "input"),
        ({"text": "x"}, 400, "input"),
        (b"{", 400, "input"),
        ([], 400, "input"),
    ],
)
def test_a_request_that_is_none_is_refused(gateway: Running, body: Any, status: int, param: str) -> None:
    heard = asked(gateway.url, body, path="/tasks/classify")
    assert (heard.status, heard.error["param"]) == (status, param)


def test_an_unknown_task_is_told_with_the_nearest_name(gateway: Running) -> None:
    heard = post(gateway, "clasify", {"text": "x"})
    assert (heard.status, heard.error["code"]) == (404, "task_not_found")
    assert "classify" in heard.error["message"]


def test_scatter_has_a_page_of_its_own(gateway: Running, backend: ScriptedBackend) -> None:
    bands = dict.fromkeys(("PERSONA", "CONTEXT", "DATA", "CONSTRAINTS", "FORMAT", "TASK"), "x") | {"CONSTRAINTS": "NEVER ALWAYS MUST NEVER ALWAYS"}
    backend.default = as_said(bands)
    heard = asked(gateway.url, {"prompt": "plan a picnic"}, path="/scatter")
    assert len(heard.json["sinc"]["fragments"]) == 6
    assert float(heard.headers["x-tok-per-s"]) >= 0
    backend.default = Refuse(status=503)
    off = asked(gateway.url, {"prompt": "plan a picnic"}, path="/scatter")
    assert (off.status, "only" in off.error["message"]) == (503, True)
    template = asked(gateway.url, {"prompt": "plan a picnic"}, path="/scatter?offline=template")
    assert (template.status, template.json["homeport"]["offline"], len(template.json["sinc"]["fragments"])) == (200, True, 6)
    assert asked(gateway.url, {"text": "x"}, path="/scatter").error["param"] == "prompt"


def test_scatter_is_by_the_template_where_no_models_answer_holds(gateway: Running, backend: ScriptedBackend) -> None:
    backend.default = Answer(text="I would rather not.")
    heard = asked(gateway.url, {"prompt": "plan a picnic"}, path="/scatter")
    assert (heard.status, len(heard.json["sinc"]["fragments"])) == (200, 6)
    assert heard.json["homeport"]["offline"] is True
    assert [attempt["check"] for attempt in heard.json["homeport"]["attempts"]] == ["json", "json"]
    assert (heard.headers["x-homeport-attempts"], int(heard.headers["x-tokens"]) > 0) == ("2", True)


def test_once_a_key_exists_tasks_need_one_and_the_receipt_names_it(gateway: Running) -> None:
    from homeport.storage.keys import Keys

    secret = Keys(gateway.journal.data).add("app")
    assert soon(lambda: post(gateway, "extract", {"text": TEXT}).status == 401)
    assert asked(gateway.url, method="GET", path="/tasks").status == 401
    before = len(gateway.journal.receipts)
    heard = asked(gateway.url, {"input": {"text": TEXT}}, path="/tasks/extract", headers={"authorization": f"Bearer {secret}"})
    assert heard.status == 200
    assert gateway.journal.settled(before + 1)[-1]["key"] == "app"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_who_leaves_stops_the_model(gateway: Running, backend: ScriptedBackend, streamed: bool) -> None:
    backend.default = Answer(text=json.dumps(VALUES), prefill_s=30.0)

    async def leave() -> None:
        async with Caller(gateway.url) as caller:
            await caller.send(request_bytes({"input": {"text": TEXT}, "stream": streamed}, path="/tasks/extract"))
            assert await asyncio.to_thread(soon, lambda: backend.in_flight == 1)

    asyncio.run(leave())
    assert soon(lambda: backend.in_flight == 0, 2.0)
    assert gateway.journal.settled(1)[0]["outcome"] == "client_left"
    assert gateway.idle()


@pytest.mark.parametrize("streamed", [False, True])
def test_revoking_the_key_ends_the_answer_under_way(gateway: Running, backend: ScriptedBackend, streamed: bool) -> None:
    from homeport.storage.keys import Keys

    keys = Keys(gateway.journal.data)
    secret = keys.add("app")
    keys.add("other")
    assert soon(lambda: asked(gateway.url, method="GET", path="/tasks").status == 401)
    backend.default = Answer(text=json.dumps(VALUES), prefill_s=30.0)

    async def revoked() -> Heard:
        async with Caller(gateway.url) as caller:
            body = {"input": {"text": TEXT}, "stream": streamed}
            await caller.send(request_bytes(body, path="/tasks/extract", headers={"authorization": f"Bearer {secret}"}))
            assert await asyncio.to_thread(soon, lambda: backend.in_flight == 1)
            keys.revoke("app")
            return await asyncio.wait_for(caller.hear(), 10)

    heard = asyncio.run(revoked())
    assert (heard.status, heard.end) == ((200, "aborted") if streamed else (401, "complete"))
    assert soon(lambda: backend.in_flight == 0, 2.0)


def test_what_a_caller_says_of_its_task_is_names_only_in_the_receipt(gateway: Running) -> None:
    heads = {"homeport-task": "my task<b>\u00e9", "homeport-checks": "quote, ,js on," + "x," * 50}
    asked(gateway.url, chat(model="default"), headers=heads)
    [receipt] = gateway.journal.settled(1)
    assert receipt["task"] == "mytaskb"
    assert receipt["checks"] == ["quote", "json", *["x"] * 14]


def test_a_reload_runs_the_files_anew_and_refuses_one_that_is_broken(backend: ScriptedBackend, tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    file.write_text(FILE, encoding="utf-8")
    path = config(tmp_path, {"only": backend.url})
    path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")

    def reloaded(gateway: Running) -> None:
        asyncio.run_coroutine_threadsafe(gateway.app.reload(load(config=path)), gateway._loop).result(20)

    def names(gateway: Running) -> set[str]:
        return {task["name"] for task in asked(gateway.url, method="GET", path="/tasks").json}

    with Running(path) as gateway:
        assert {"shout", "secret"} <= names(gateway)
        file.write_text("1 +", encoding="utf-8")
        with pytest.raises(BadSettings, match=r"tasks\.py:1: is not Python"):
            reloaded(gateway)
        assert {"shout", "secret"} <= names(gateway)
        file.write_text(FILE.replace("shout", "whisper"), encoding="utf-8")
        reloaded(gateway)
        assert "whisper" in names(gateway)
        assert "shout" not in names(gateway)


FAULTS: list[Answer | Refuse] = [
    Refuse(status=503),
    Refuse(status=400),
    Answer(text="no JSON"),
    Answer(text='["HEY"'),
    *(Answer(text='["HEY"]', fault=Fault(at=at, how=how)) for at in (Point.REQUEST, Point.HEADERS, 1) for how in ("close", "reset", "garbage", "error")),
]


def test_whatever_goes_wrong_a_private_task_sends_nothing_to_a_cloud(backend: ScriptedBackend, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    with ScriptedBackend(as_said(["HEY"])) as cloud:
        far = {"backend": "large", "model": "m"}
        models = {"small": [{"backend": "small", "model": "m"}], "large": [far], "both": [{"backend": "small", "model": "m"}, far]}
        backends = {"small": backend.url, "large": {"url": cloud.url, "location": "cloud"}}
        path = config(tmp_path, backends, models={name: {"routes": routes} for name, routes in models.items()})
        path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
        with Running(path) as gateway:
            for fault in FAULTS:
                backend.default = fault
                assert post(gateway, "diary", {"text": "HEY you"}).status in (400, 502, 503), fault
            assert cloud.asks == []
            assert post(gateway, "shout", {"text": "HEY you"}).json["homeport"]["route"]["backend"] == "large"
            assert len(cloud.asks) == 1


@pytest.fixture
def own(backend: ScriptedBackend, tmp_path: Path) -> Iterator[tuple[Spawned, ScriptedBackend, ScriptedBackend]]:
    """A gateway in a process of its own, with a file of tasks; a small model, and a large one at a cloud."""
    (tmp_path / "tasks.py").write_text(FILE, encoding="utf-8")
    with ScriptedBackend(as_said(["HEY"])) as cloud:
        models = {name: {"routes": [{"backend": name, "model": "m"}]} for name in ("small", "large")}
        path = config(tmp_path, {"small": backend.url, "large": {"url": cloud.url, "location": "cloud"}}, models=models)
        path.write_text(path.read_text(encoding="utf-8") + '[tasks]\npaths = ["tasks.py"]\n', encoding="utf-8")
        with Spawned(path) as gateway:
            yield gateway, backend, cloud


@pytest.mark.slow
def test_tasks_of_a_file_escalate_stay_private_and_run_from_the_command_line(
    own: tuple[Spawned, ScriptedBackend, ScriptedBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, small, cloud = own
    monkeypatch.setenv("HOMEPORT_URL", gateway.url)
    small.default = as_said("no")
    body = post(gateway, "shout", {"text": "HEY you"}).json
    assert (body["output"], body["homeport"]["route"]["location"]) == (["HEY"], "cloud")
    assert [(row["backend"], row["check"]) for row in body["homeport"]["attempts"]] == [("small", "json"), ("small", "json"), ("large", None)]
    assert [receipt["checks"] for receipt in gateway.journal.settled(3)] == [[], ["json"], ["json", "json"]]
    before = cloud.generations
    private = post(gateway, "secret", {"text": "HEY you"})
    assert (private.status, "private" in private.error["message"]) == (503, True)
    assert cloud.generations == before
    ran = gateway.run("run", "shout", "HEY you", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["output"]) == (0, ["HEY"])
    shown = gateway.run("run", "shout", "HEY you")
    assert (shown.returncode, json.loads(shown.stdout)) == (0, ["HEY"])
    wrong = gateway.run("run", "shouting", "HEY you")
    assert (wrong.returncode, "shouting" in wrong.stderr) == (1, True)


def test_from_python_over_http(gateway: Running, backend: ScriptedBackend) -> None:
    with homeport.Client(urls=gateway.url) as client:
        assert extract.over(client)(TEXT) == VALUES
        assert client.post("/tasks/extract", {"input": {"text": TEXT}}).output == VALUES
        events = list(client.post("/tasks/extract", {"input": {"text": TEXT}}, stream=True))
        assert events[-1].output == VALUES
        backend.default = as_said("no idea")
        with pytest.raises(TaskFailed, match="default: json") as caught:
            classify.over(client)("x")
        assert caught.value.status == 502
    receipts = gateway.journal.settled(5)
    assert [receipt["task"] for receipt in receipts] == ["extract"] * 3 + ["classify"] * 2
    assert receipts[4]["checks"] == ["json"]


def test_from_asyncio_several_at_once(gateway: Running) -> None:
    async def several() -> list[Any]:
        async with homeport.AsyncClient(urls=gateway.url) as client:
            return await asyncio.gather(*(extract.over(client).aio(TEXT) for _ in range(5)))

    assert asyncio.run(several()) == [VALUES] * 5


def test_from_python_to_where_the_environment_says(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_URL", gateway.url)
    assert extract(TEXT) == VALUES
    assert asyncio.run(extract.aio(TEXT)) == VALUES


def test_quotes_are_decoded_by_a_grammar_where_the_engine_takes_one(gateway: Running, backend: ScriptedBackend) -> None:
    engine = gateway.status()["models"][0]["routes"][0]["card"]
    assert soon(lambda: (gateway.status()["models"][0]["routes"][0]["card"] or {}).get("engine") == "llama.cpp"), engine
    assert post(gateway, "extract", {"text": TEXT}).json["output"] == VALUES
    assert 'quote-0 ::= "Hi" quote-' in backend.asks[-1].fields["grammar"]
    assert "response_format" not in backend.asks[-1].fields


def test_an_answer_that_the_gateway_cut_is_never_a_result(gateway: Running, backend: ScriptedBackend) -> None:
    backend.default = Answer(text=json.dumps(VALUES), fault=Fault(at=Point.FINISH, how="end"))
    heard = post(gateway, "extract", {"text": TEXT})
    assert heard.status in (502, 503)
