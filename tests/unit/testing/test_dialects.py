"""The scripted backend's own paths of Ollama and Anthropic: as Ollama was recorded, and as the decoders of the wire expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.replay import LEFT_OUT, Row
from homeport.testing.script import Answer, Fault, Model, Point, Refuse, ToolCall
from tests.caller import Heard, asked
from tests.captures import captured
from tests.unit.testing.test_shapes import shape

VERSIONED = {"anthropic-version": "2023-06-01"}
TALK = Answer(tokens=("One", " two", " three"))
CALL = Answer(tool_calls=(ToolCall(name="get_weather", arguments='{"city": "Bergen", "days": 3}'),))
THOUGHT = Answer(tokens=("Forty", "-two."), reasoning=("Let", " me"))


def lines(heard: Heard) -> list[Any]:
    return [json.loads(row) for row in heard.body.splitlines()]


def named(heard: Heard) -> list[Any]:
    rows = [row for row in heard.body.decode().split("\n\n") if row]
    found = [json.loads(row.split("\ndata: ")[1]) for row in rows]
    assert [row.split("\n")[0] for row in rows] == [f"event: {event['type']}" for event in found]
    return found


def runs(rows: list[Any]) -> list[Any]:
    """The shape of each record, repetitions counted as one."""
    found: list[Any] = []
    for row in rows:
        if (here := shape(row)) not in found[-1:]:
            found.append(here)
    return found


def recorded(row: Row) -> list[Any]:
    text = "".join(text for _, text in row.response.pieces if not LEFT_OUT.fullmatch(text))
    return [json.loads(line) for line in text.splitlines()]


def as_recorded(backend: ScriptedBackend, row: Row) -> Heard:
    return asked(backend.url, row.request.body, method=row.request.method, path=row.request.path)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("chat: stream", TALK),
        ("chat: whole", TALK),
        ("chat: num_predict reached, stream", Answer(tokens=tuple("abcdefgh"))),
        ("chat: tools, stream", CALL),
        ("chat: tools, whole", CALL),
        ("chat: think true, stream", THOUGHT),
        ("chat: think true, whole", THOUGHT),
        ("generate: stream", Answer(tokens=("a",) * 20)),
        ("generate: whole", TALK),
        ("generate: raw", TALK),
        ("embed: list", TALK),
        ("embed: empty string", TALK),
        ("embeddings: prompt", TALK),
        ("generate: empty prompt loads", TALK),
        ("about: unload", TALK),
        ("event: runner killed, chat, stream", Answer(endless=True, fault=Fault(2, "error"))),
        ("error: chat, unknown model", Refuse(status=404, message="model 'nobody' not found")),
        ("event: six at once, model not loaded", Refuse(status=503, message="server busy")),
    ],
)
def test_ollama_as_recorded(name: str, answer: Answer | Refuse) -> None:
    row = captured("ollama")[name]
    with ScriptedBackend(answer, style="ollama") as backend:
        heard = as_recorded(backend, row)
    theirs = recorded(row)
    assert runs(lines(heard)) == runs(theirs)
    assert heard.status == row.response.status
    assert heard.end == "complete"
    assert heard.headers["content-type"] == {key.lower(): value for key, value in row.response.headers}["content-type"]
    assert lines(heard)[-1].get("done_reason") == theirs[-1].get("done_reason")


@pytest.mark.parametrize(
    "name", ["about: root", "about: version", "about: tags", "about: ps, one loaded", "about: show", "about: show, unknown model", "about: show, no model"]
)
def test_ollama_pages(name: str) -> None:
    row = captured("ollama")[name]
    with ScriptedBackend(style="ollama", models=["talker:latest"]) as backend:
        heard = as_recorded(backend, row)
        assert backend.generations == 0
    assert heard.status == row.response.status
    assert heard.headers["content-type"] == {key.lower(): value for key, value in row.response.headers}["content-type"]
    if name == "about: root":
        assert heard.body == b"Ollama is running"
        return
    theirs = recorded(row)[0]
    for part in ("tensors", "projector_info"):  # not played
        theirs.pop(part, None)
    ours = heard.json
    if name == "about: show":
        assert set(ours) <= set(theirs)
        assert set(ours["model_info"]) <= set(theirs["model_info"])
    else:
        assert shape(ours) == shape(theirs)


def test_models_of_ollama_can_differ() -> None:
    models = (Model("seer", trained=8192, capabilities=("completion", "vision")), "talker")
    with ScriptedBackend(style="ollama", models=models) as backend:
        shown = asked(backend.url, {"model": "seer"}, path="/api/show").json
        assert (shown["capabilities"], shown["model_info"]["llama.context_length"]) == (["completion", "vision"], 8192)
        assert [row["name"] for row in asked(backend.url, method="GET", path="/api/tags").json["models"]] == ["seer", "talker"]
        assert [row["id"] for row in asked(backend.url, method="GET", path="/v1/models").json["data"]] == ["seer", "talker"]
        assert asked(backend.url, method="GET", path="/api/nothing").status == 404


def test_llama_cpp_and_vllm_describe_their_models() -> None:
    seer = Model("seer", context=512, capabilities=("completion", "vision"))
    with ScriptedBackend(models=[seer]) as backend:
        told = asked(backend.url, method="GET", path="/props").json
        theirs = json.loads("".join(text for _, text in captured("llamacpp")["get /props"].response.pieces))
        assert set(told) <= set(theirs)
        assert (told["default_generation_settings"], told["modalities"]["vision"]) == ({"n_ctx": 512}, True)
        assert (told["chat_template_caps"]["supports_tools"], "think" in told["chat_template"]) == (False, False)
        assert asked(backend.url, method="GET", path="/v1/models").json["data"][0]["meta"]["n_ctx"] == 512
    with ScriptedBackend(models=[seer], style="vllm") as backend:
        assert asked(backend.url, method="GET", path="/v1/models").json["data"][0]["max_model_len"] == 512
        assert asked(backend.url, method="GET", path="/version").json == {"version": "0.32.0"}
        assert asked(backend.url, method="GET", path="/props").status == 404


def test_a_call_that_is_no_object_vanishes() -> None:
    with ScriptedBackend(Answer(tool_calls=(ToolCall("f", '{"half":'),)), style="ollama") as backend:
        whole = asked(backend.url, {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": False}, path="/api/chat").json
    assert (whole["message"], whole["done_reason"]) == ({"role": "assistant", "content": ""}, "stop")


@pytest.mark.parametrize(("how", "end"), [("close", "aborted"), ("end", "complete"), ("garbage", "complete"), ("error", "complete")])
@pytest.mark.parametrize("style", ["ollama", "anthropic"])
def test_streams_break(style: Any, how: Any, end: str) -> None:
    path, body = ("/api/chat", {}) if style == "ollama" else ("/v1/messages", {"max_tokens": 9, "stream": True})
    for point in (1, Point.FINISH):
        with ScriptedBackend(Answer(tokens=("a", "b"), fault=Fault(point, how)), style=style) as backend:
            heard = asked(backend.url, {"model": "m", "messages": [{"role": "user", "content": "x"}], **body}, path=path, headers=VERSIONED)
        assert heard.end == end
        assert b'"done":true' not in heard.body
        assert b"message_stop" not in heard.body


def talk(**more: Any) -> dict[str, Any]:
    return {"model": "claude-x", "max_tokens": 50, "messages": [{"role": "user", "content": "x"}], **more}


def message_of(events: list[Any]) -> Any:
    """A stream put together again."""
    message = events[0]["message"]
    for event in events[1:]:
        if event["type"] == "content_block_start":
            message["content"].append({**event["content_block"], "_": ""})
        elif event["type"] == "content_block_delta" and event["delta"]["type"] != "signature_delta":
            message["content"][event["index"]]["_"] += list(event["delta"].values())[1]
        elif event["type"] == "content_block_delta":
            message["content"][event["index"]]["signature"] = event["delta"]["signature"]
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for block in message["content"]:
        text = block.pop("_")
        block["input" if block["type"] == "tool_use" else block["type"]] = json.loads(text) if block["type"] == "tool_use" else text
    return message


@pytest.mark.parametrize(
    ("answer", "stop"),
    [
        (TALK, "end_turn"),
        (THOUGHT, "end_turn"),
        (CALL, "tool_use"),
        (Answer(tokens=("a",) * 60), "max_tokens"),
        (Answer(tokens=("a",), finish="content_filter"), "refusal"),
        (Answer(tokens=("a",), finish="stop_sequence"), "stop_sequence"),
    ],
)
def test_anthropic_streams_and_wholes_agree(answer: Answer, stop: str) -> None:
    with ScriptedBackend(script=[answer, answer], style="anthropic") as backend:
        events = named(asked(backend.url, talk(stream=True), path="/v1/messages?beta=true", headers=VERSIONED))
        whole = asked(backend.url, talk(), path="/v1/messages", headers=VERSIONED).json
    message = message_of(events)
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    assert message.pop("id") != whole.pop("id")
    assert message == whole
    assert whole["stop_reason"] == stop


def test_anthropic_refusals_and_pages() -> None:
    with ScriptedBackend(style="anthropic", models=["claude-x"], api_key="sk-1") as backend:
        keyed = {**VERSIONED, "x-api-key": "sk-1"}
        bare = asked(backend.url, talk(), path="/v1/messages", headers=VERSIONED)
        assert (bare.status, bare.json["error"]["type"]) == (401, "authentication_error")
        old = asked(backend.url, talk(), path="/v1/messages", headers={"x-api-key": "sk-1"})
        assert (old.status, old.json["error"]["message"]) == (400, "anthropic-version: header is required")
        assert asked(backend.url, talk(), path="/v1/messages", headers=keyed).status == 200
        assert asked(backend.url, talk(), path="/v1/messages/count_tokens", headers=keyed).json["input_tokens"] > 0
        assert asked(backend.url, method="GET", path="/v1/models", headers=keyed).json["data"][0]["id"] == "claude-x"
        assert asked(backend.url, talk(), path="/v1/chat/completions", headers=keyed).status == 404
    with ScriptedBackend(Refuse(status=529, message="Overloaded"), style="anthropic") as backend:
        full = asked(backend.url, talk(), path="/v1/messages", headers=VERSIONED)
        assert (full.status, full.json["error"]["type"]) == (529, "overloaded_error")
