"""The bundled model with what code does better, through a real gateway and its real engine: tasks, chats in every dialect, and its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport import pilot
from homeport.skills import talk
from homeport.skills.backend import SWITCH
from homeport.tasks.shipped import prompts, sinc
from tests.caller import asked, chat
from tests.gateway import Running, config, soon

pytestmark = pytest.mark.slow
POEM = "Write a sonnet about glaciers."
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "enum": ["one", "two"]}}}


def pilot_config(folder: Path) -> Path:
    routes = {"routes": [{"backend": "pilot"}]}
    return config(folder, {"pilot": {"kind": "pilot", "max_in_flight": 4, "first_token_timeout_s": 30}}, models={"default": routes, "assistant": routes})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(pilot_config(tmp_path_factory.mktemp("pilot"))) as running:
        assert soon(lambda: running.backend("pilot")["state"] == "healthy", 60)
        yield running


def task(gateway: Running, name: str, **given: Any) -> dict[str, Any]:
    reply = asked(gateway.url, {"input": given}, path=f"/tasks/{name}")
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    assert found["homeport"]["route"]["backend"] == "pilot" and not found["homeport"]["offline"]
    return found


@pytest.mark.parametrize(
    ("name", "given", "output"),
    [
        ("classify", {"text": "Could you tell me where the boats leave?"}, "question"),
        ("classify", {"text": "Das Essen war kalt.", "labels": ["English", "German"]}, "German"),
        (
            "extract",
            {"text": "Invoice AB-7712 over 310.00 EUR, paid on 4 May. Regards, Nadia Petrov, nadia@petrov.example"},
            {"name": "Nadia Petrov", "email": "nadia@petrov.example", "amount": "310.00 EUR", "date": "4 May", "invoice": "AB-7712"},
        ),
        ("extract", {"text": "Colour: teal\nSize: XL", "fields": ["size", "colour"]}, {"size": "XL", "colour": "teal"}),
        ("ask", {"question": "How much is a day ticket?", "context": "The lift opens at nine. A day ticket is £14.20."}, {"answer": "£14.20"}),
    ],
)
def test_a_task_is_answered_as_code_knows_it(gateway: Running, name: str, given: dict[str, Any], output: Any) -> None:
    found = task(gateway, name, **given)
    assert found["output"] == output
    assert found["homeport"]["tokens"] > 0


def test_scatter_and_draft_hold_their_form(gateway: Running) -> None:
    made = task(gateway, "scatter", prompt="pls plan a picnic for 12 people by the lake")["output"]
    measured = sinc.measured(made, "pls plan a picnic for 12 people by the lake")
    assert (measured["valid"], measured["bands"]) == (True, 6) and measured["constraints_share"] >= 0.4 and measured["constraints_rules"] >= 5
    for days, tone in ((1, "friendly"), (8, "firm"), (30, "urgent")):
        written = task(gateway, "draft", client="Ida & Co", amount="$5", due="2 May", days_overdue=days)["output"]
        assert written["tone"] == tone and all(value in written["body"] for value in ("Ida & Co", "$5", "2 May", str(days)))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_chat_beyond_it_gets_the_sentence_in_openais_dialect(gateway: Running, stream: bool) -> None:
    before = len(gateway.journal.receipts)
    reply = asked(gateway.url, chat(POEM, stream=stream, **({"stream_options": {"include_usage": True}} if stream else {})))
    assert (reply.status, reply.text, reply.finish) == (200, talk.BEYOND, "stop")
    usage = (reply.events[-1] if stream else reply.json)["usage"]
    assert usage["prompt_tokens"] > 3 and usage["completion_tokens"] > 10 and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    if stream:
        pieces = [choice["delta"].get("content") for event in reply.events for choice in event["choices"]]
        assert len([piece for piece in pieces if piece]) > 10
        assert reply.data[-1] == "[DONE]"
    assert soon(lambda: len(gateway.journal.receipts) > before)
    receipt = gateway.journal.receipts[-1]
    assert (receipt["backend"], receipt["outcome"], receipt["completion_tokens"]) == ("pilot", "ok", usage["completion_tokens"])
    assert gateway.idle()


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/messages", {"max_tokens": 99, "messages": [{"role": "user", "content": POEM}]}, lambda reply: reply["content"][0]["text"]),
        ("/v1/responses", {"input": POEM}, lambda reply: reply["output"][0]["content"][0]["text"]),
        ("/api/chat", {"stream": False, "messages": [{"role": "user", "content": POEM}]}, lambda reply: reply["message"]["content"]),
        ("/api/generate", {"stream": False, "prompt": POEM}, lambda reply: reply["response"]),
    ],
)
def test_and_in_the_callers_dialect(gateway: Running, path: str, body: dict[str, Any], said: Any) -> None:
    assert said(asked(gateway.url, {"model": "assistant", **body}, path=path).json) == talk.BEYOND
    streamed = asked(gateway.url, {"model": "assistant", **body, "stream": True}, path=path)
    assert streamed.status == 200 and streamed.end == "complete"
    assert len(streamed.body.splitlines()) > 20


def test_it_is_called_what_it_is(gateway: Running) -> None:
    def about() -> Any:
        listed = asked(gateway.url, method="GET", path="/v1/models").json["data"][0]
        return (listed["homeport"]["routes"][0]["card"] or {}).get("about")

    assert soon(lambda: about() == pilot.ABOUT["pilot"], 30)


def test_a_limit_and_a_stop_are_kept(gateway: Running) -> None:
    short = asked(gateway.url, chat(POEM, max_tokens=4))
    assert (short.finish, short.json["usage"]["completion_tokens"]) == ("length", 4) and talk.BEYOND.startswith(short.text)
    stopped = asked(gateway.url, chat(POEM, stop=[" which", "small model"]))
    assert (stopped.text, stopped.finish) == (talk.BEYOND.partition("small model")[0], "stop")


def test_what_it_was_taught_and_what_only_the_engine_can_do_is_the_decoders_own(gateway: Running) -> None:
    hello = asked(gateway.url, chat("Hello!", temperature=0))
    assert hello.status == 200 and hello.text and hello.text != talk.BEYOND
    assert asked(gateway.url, chat(POEM, response_format=SCHEMA, max_tokens=40)).text in ('"one"', '"two"')
    assert asked(gateway.url, chat(POEM, grammar='root ::= "yes"', max_tokens=20)).text == "yes"
    assert asked(gateway.url, chat(POEM, logprobs=True, max_tokens=3)).json["choices"][0]["logprobs"] is not None
    raw = asked(gateway.url, {"model": "assistant", "prompt": "Dear", "max_tokens": 5}, path="/v1/completions")
    assert raw.status == 200 and raw.text and talk.BEYOND not in raw.text


def test_a_tasks_prompt_is_known_in_any_chat(gateway: Running) -> None:
    prompt = prompts.classify("Where does the tram stop?")
    streamed = asked(gateway.url, chat(prompt, stream=True))
    assert json.loads(streamed.text) == "question"
    again = {
        "model": "assistant",
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": "That answer cannot be used (schema): no. Answer again."},
        ],
    }
    assert asked(gateway.url, again).text == '"question"'


def test_labels_with_the_separator_in_them_are_left_to_the_grammar(gateway: Running) -> None:
    labels = ["yes, please", "no, thanks"]
    assert task(gateway, "classify", text="Sure!", labels=labels)["output"] in labels


def test_it_can_be_switched_off_for_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "decoder")
    with Running(pilot_config(tmp_path)) as running:
        assert soon(lambda: running.backend("pilot")["state"] == "healthy", 60)
        assert asked(running.url, chat(POEM, max_tokens=60)).text != talk.BEYOND


@pytest.mark.skipif(not pilot.PATHS["pilot-mini"].exists(), reason="pilot-mini.gguf is not there: make pilot trains it")
def test_the_smaller_one_is_a_backend_that_routes_name(tmp_path: Path) -> None:
    path = tmp_path / "homeport.toml"
    path.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\ndata = "{tmp_path}/data"\n[models.assistant]\nroutes = [{{ backend = "pilot-mini" }}, {{ backend = "pilot" }}]\n'
        '[backends.own]\nkind = "pilot"\nmodel = "pilot-mini"\n[models.other]\nroutes = [{ backend = "own" }]\n',
        encoding="utf-8",
    )
    with Running(path) as running:
        assert soon(lambda: all(running.backend(name)["state"] == "healthy" for name in ("pilot-mini", "pilot", "own")), 60)
        for model, backend in (("assistant", "pilot-mini"), ("other", "own")):
            reply = asked(running.url, chat("hello", model=model))
            assert (reply.headers["x-homeport-backend"], reply.headers["x-homeport-model"]) == (backend, "pilot-mini")


def test_a_spoilt_file_is_told_and_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt = tmp_path / "pilot.gguf"
    spoilt.write_bytes(pilot.PATH.read_bytes()[:-9] + b"not these")
    monkeypatch.setattr(pilot, "FOLDER", tmp_path)
    monkeypatch.setattr(pilot, "PATH", spoilt)
    assert "is not as it was made" in (pilot.problem(spoilt) or "")
    with Running(pilot_config(tmp_path)) as running:
        assert soon(lambda: running.backend("pilot")["state"] == "open", 60)
        assert "is not as it was made" in running.backend("pilot")["reason"]
        reply = asked(running.url, chat("hello"))
        assert reply.status == 503 and "is not as it was made" in reply.error["message"]


def test_the_client_sees_tasks_stream(gateway: Running) -> None:
    with homeport.Client(gateway.url) as client:
        assert client.post("/tasks/extract", {"input": {"text": "Paid 3 EUR"}})["output"]["amount"] == "3 EUR"
