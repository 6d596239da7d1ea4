"""The whole journey on scripted backends: what a caller of the OpenAI surface gets, and what the owner finds in the receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.replay import CapturedBackend
from homeport.testing.script import Answer, ToolCall
from homeport.testing.shapes import STYLES, StyleName
from tests.caller import Caller, Heard, ask, asked, chat, request_bytes
from tests.captures import surprises
from tests.gateway import Running, config

TEXT = "Red green blue."
FIGURES = {"backend", "model", "location", "attempts", "tok_per_s", "gen_time", "tokens", "first_token_ms"}


@pytest.fixture(params=sorted(STYLES))
def style(request: pytest.FixtureRequest) -> StyleName:
    found: StyleName = request.param
    return found


@pytest.fixture
def backend(style: StyleName) -> Iterator[ScriptedBackend]:
    with ScriptedBackend(TEXT, style=style) as backend:
        yield backend


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    with Running(config(tmp_path, {"only": backend.url})) as gateway:
        yield gateway


def test_a_streamed_chat(gateway: Running) -> None:
    heard = asked(gateway.url, chat(stream=True))
    assert heard.finished
    assert (heard.text, heard.finish) == (TEXT, "stop")
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.headers["x-accel-buffering"] == "no"
    assert heard.headers["cache-control"] == "no-cache"
    assert {event["model"] for event in heard.events} == {"assistant"}
    assert not any(event.get("usage") for event in heard.events)
    assert heard.data[-1] == "[DONE]"
    receipt = gateway.journal.settled(1)[0]
    assert (receipt["outcome"], receipt["backend"], receipt["stream"], receipt["completion_tokens"]) == ("ok", "only", True, 3)
    assert heard.headers["x-request-id"] == receipt["id"]


def test_the_last_record_has_the_figures_where_usage_was_asked_for(gateway: Running) -> None:
    heard = asked(gateway.url, chat(stream=True, stream_options={"include_usage": True}))
    last = heard.events[-1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3
    assert last["homeport"].keys() == FIGURES
    assert (last["homeport"]["backend"], last["homeport"]["attempts"], last["homeport"]["tokens"]) == ("only", 1, 3)


def test_a_whole_chat_is_assembled_from_a_stream(gateway: Running, backend: ScriptedBackend) -> None:
    heard = asked(gateway.url, chat())
    assert (heard.text, heard.finish, heard.json["object"], heard.json["model"]) == (TEXT, "stop", "chat.completion", "assistant")
    assert heard.json["usage"]["completion_tokens"] == 3
    assert {
        "x-request-id",
        "x-homeport-backend",
        "x-homeport-model",
        "x-homeport-location",
        "x-homeport-attempts",
        "x-tok-per-s",
        "x-gen-time",
        "x-tokens",
    } <= heard.headers.keys()
    assert heard.headers["x-tokens"] == "3"
    seen = backend.asks[0].fields
    assert (seen["stream"], seen["stream_options"], seen["model"]) == (True, {"include_usage": True}, "m")


def test_assembled_and_not_assembled_say_the_same(backend: ScriptedBackend, gateway: Running, tmp_path: Path) -> None:
    backend.default = Answer(reasoning=("Let", " me"), tool_calls=(ToolCall(name="weather", arguments='{"city": "Oslo"}'), ToolCall(name="time", id="call_2")))
    folder = tmp_path / "other"
    folder.mkdir()
    assembled = asked(gateway.url, chat()).json["choices"]
    with Running(config(folder, {"only": {"url": backend.url, "assemble": False}})) as plain:
        whole = asked(plain.url, chat()).json["choices"]
    for one, other in zip(assembled, whole, strict=True):
        assert one["finish_reason"] == other["finish_reason"] == "tool_calls"
        ours, theirs = one["message"], other["message"]
        assert [call["function"] for call in ours["tool_calls"]] == [call["function"] for call in theirs["tool_calls"]]
        assert [call["id"] for call in ours["tool_calls"]] == [call["id"] for call in theirs["tool_calls"]]
        assert (ours.get("reasoning"), ours.get("reasoning_content")) == (theirs.get("reasoning"), theirs.get("reasoning_content"))
        assert (ours["content"] or "") == (theirs["content"] or "")


def test_several_choices(gateway: Running) -> None:
    whole = asked(gateway.url, chat(n=2)).json["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in whole] == [(0, TEXT), (1, TEXT)]
    streamed = asked(gateway.url, chat(n=2, stream=True))
    assert streamed.finished
    for index in (0, 1):
        mine = [choice for event in streamed.events for choice in event["choices"] if choice["index"] == index]
        assert "".join(choice["delta"].get("content") or "" for choice in mine) == TEXT
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]


@pytest.mark.parametrize("prompt", ["one", ["one", "two"], [1, 2, 3]])
@pytest.mark.parametrize("streamed", [True, False])
def test_completions(gateway: Running, prompt: Any, streamed: bool) -> None:
    heard = asked(gateway.url, {"model": "assistant", "prompt": prompt, "stream": streamed}, path="/v1/completions")
    assert heard.text == TEXT
    assert heard.finished if streamed else heard.end == "complete"


@pytest.mark.parametrize("given", ["one", ["one", "two"]])
def test_embeddings(gateway: Running, backend: ScriptedBackend, given: Any) -> None:
    body = {"model": "assistant", "input": given}
    ours, theirs = asked(gateway.url, body, path="/v1/embeddings"), asked(backend.url, body, path="/v1/embeddings")
    assert ours.json["data"] == theirs.json["data"]
    assert ours.json["model"] == "assistant"
    assert gateway.journal.settled(1)[0]["prompt_tokens"] > 0


def test_fields_pass_through(gateway: Running, backend: ScriptedBackend) -> None:
    extra = {
        "seed": 3,
        "stop": ["x"],
        "response_format": {"type": "json_object"},
        "logprobs": True,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "grammar": 'root ::= "a"',
        "chat_template_kwargs": {"a": 1},
    }
    asked(gateway.url, chat(**extra))
    assert {name: backend.asks[0].fields[name] for name in extra} == extra


def test_a_whole_where_a_stream_was_asked_is_shown_as_a_stream(gateway: Running, backend: ScriptedBackend) -> None:
    backend.default = Answer(text=TEXT, whole=True)
    streamed = asked(gateway.url, chat(stream=True, stream_options={"include_usage": True}))
    assert (streamed.text, streamed.finish, streamed.finished) == (TEXT, "stop", True)
    assert streamed.events[-1]["homeport"]["backend"] == "only"
    assert asked(gateway.url, chat()).text == TEXT


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_every_framing_of_a_stream(gateway: Running, backend: ScriptedBackend, framing: Any) -> None:
    backend.default = Answer(text=TEXT, framing=framing)
    assert asked(gateway.url, chat(stream=True)).finished
    assert asked(gateway.url, chat()).text == TEXT


def test_usage_that_never_comes_is_counted(gateway: Running, backend: ScriptedBackend) -> None:
    backend.default = Answer(text=TEXT, usage=False)
    heard = asked(gateway.url, chat(stream=True, stream_options={"include_usage": True}))
    assert heard.events[-1]["usage"]["completion_tokens"] == 3
    assert gateway.journal.settled(1)[0]["completion_tokens"] == 3


def test_pings_and_huge_events_pass(gateway: Running, backend: ScriptedBackend) -> None:
    backend.default = Answer(tokens=("x" * 2_000_000, " end"), prefill_s=0.05, delay_s=0.05, ping_s=0.01)
    heard = asked(gateway.url, chat(stream=True))
    assert heard.finished
    assert len(heard.text) == 2_000_004
    assert len(asked(gateway.url, chat()).text) == 2_000_004


def test_gaps_survive(gateway: Running, backend: ScriptedBackend) -> None:
    """Nothing is buffered: each token is shown when it comes."""
    backend.default = Answer(text=TEXT, delay_s=0.1)
    heard = asked(gateway.url, chat(stream=True))
    times = [at for at, _ in heard.pieces]
    assert times[-1] - times[0] > 0.18


@pytest.mark.parametrize("name", sorted(name for name, row in surprises().items() if row.response.end == "complete" and row.response.status == 200))
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_what_recorded_engines_do(tmp_path: Path, name: str, streamed: bool) -> None:
    """Each surprise is either a whole answer, text and finish, or no answer at all; never a part shown as complete."""
    row = surprises()[name]
    with CapturedBackend(surprises().values(), pace=5.0) as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        backend.play(name)
        body = {**row.request.body, "model": "assistant", "stream": streamed}
        heard = asked(gateway.url, body, path=row.request.path)
        broken = "properly" in name or "error" in name or "the same" in name or "only loaded" in name
        if broken:
            assert not (heard.finished if streamed else heard.status == 200)
        else:
            assert heard.text.startswith("Boats")
            assert heard.finish in ("stop", "length")
            assert heard.finished if streamed else heard.status == 200


def test_the_list_of_models(gateway: Running) -> None:
    listed = asked(gateway.url, method="GET", path="/v1/models").json
    assert listed["object"] == "list"
    assert [row["id"] for row in listed["data"]] == ["assistant"]
    assert asked(gateway.url, method="GET", path="/v1/models/assistant").json["id"] == "assistant"
    assert asked(gateway.url, method="GET", path="/v1/models/nobody").status == 404


class TestPlaces:
    """Leases: never more at a backend than its places, and overflow by the owner's rules."""

    async def crowd(self, url: str, number: int, **fields: Any) -> list[Heard]:
        return await asyncio.gather(*(ask(url, chat(**fields)) for _ in range(number)))

    def test_never_more_than_max_in_flight(self, tmp_path: Path) -> None:
        with (
            ScriptedBackend(Answer(text=TEXT, delay_s=0.002)) as backend,
            Running(config(tmp_path, {"only": {"url": backend.url, "max_in_flight": 3}})) as gateway,
        ):
            heards = asyncio.run(self.crowd(gateway.url, 200, stream=True))
            assert {heard.text for heard in heards} == {TEXT}
            assert backend.in_flight_peak == 3
            assert gateway.idle()

    def test_while_in_flight_below(self, tmp_path: Path) -> None:
        with ScriptedBackend(Answer(text="big", wait_s=0.2)) as big, ScriptedBackend(Answer(text="small", wait_s=0.2)) as small:
            routes = [{"backend": "big", "model": "m", "while_in_flight_below": 2}, {"backend": "small", "model": "s"}]
            with Running(config(tmp_path, {"big": big.url, "small": small.url}, models={"assistant": {"routes": routes}})) as gateway:
                texts = sorted(heard.text for heard in asyncio.run(self.crowd(gateway.url, 6)))
                assert texts == ["big"] * 2 + ["small"] * 4
                assert big.in_flight_peak == 2

    def test_a_full_backend_overflows_to_the_next(self, tmp_path: Path) -> None:
        with ScriptedBackend(Answer(text="one", wait_s=0.2)) as one, ScriptedBackend(Answer(text="two", wait_s=0.2)) as two:
            with Running(config(tmp_path, {"one": {"url": one.url, "max_in_flight": 2}, "two": two.url})) as gateway:
                texts = sorted(heard.text for heard in asyncio.run(self.crowd(gateway.url, 5)))
                assert texts == ["one"] * 2 + ["two"] * 3

    def test_a_full_queue_is_503_at_once(self, tmp_path: Path) -> None:
        with ScriptedBackend(Answer(text=TEXT, wait_s=0.3)) as backend:
            with Running(config(tmp_path, {"only": {"url": backend.url, "max_in_flight": 1, "queue": 1}})) as gateway:
                heards = asyncio.run(self.crowd(gateway.url, 5))
                refused = [heard for heard in heards if heard.status == 503]
                assert len(refused) == 3
                assert all(heard.error["code"] == "queue_full" and "retry-after" in heard.headers for heard in refused)
                assert {heard.text for heard in heards if heard.status == 200} == {TEXT}
                assert backend.in_flight_peak == 1

    def test_who_waits_too_long_is_503(self, tmp_path: Path) -> None:
        with ScriptedBackend(Answer(text=TEXT, wait_s=0.6)) as backend:
            with Running(config(tmp_path, {"only": {"url": backend.url, "max_in_flight": 1, "queue_timeout_s": 0.2}})) as gateway:
                statuses = sorted(heard.status for heard in asyncio.run(self.crowd(gateway.url, 3)))
                assert statuses == [200, 503, 503]
                waited = [receipt["queue_ms"] for receipt in gateway.journal.settled(3)]
                assert max(waited) >= 190

    def test_a_private_model_sends_no_byte_to_a_cloud(self, tmp_path: Path) -> None:
        from homeport.testing.script import Refuse

        with ScriptedBackend(Refuse(status=500)) as home, ScriptedBackend("from afar") as cloud:
            models = {"assistant": {"routes": [{"backend": "home", "model": "m"}, {"backend": "cloud", "model": "m"}], "private": True}}
            with Running(config(tmp_path, {"home": home.url, "cloud": {"url": cloud.url, "location": "cloud"}}, models=models)) as gateway:
                assert asked(gateway.url, chat()).status == 503
                assert cloud.generations == 0

    def test_options_are_defaults(self, tmp_path: Path) -> None:
        with ScriptedBackend(TEXT) as backend:
            models = {"assistant": {"routes": [{"backend": "only", "model": "m"}], "options": {"temperature": 0.3, "seed": 42}}}
            with Running(config(tmp_path, {"only": backend.url}, models=models)) as gateway:
                asked(gateway.url, chat(seed=7))
                assert (backend.asks[0].fields["temperature"], backend.asks[0].fields["seed"]) == (0.3, 7)


def test_many_requests_on_one_connection(gateway: Running, backend: ScriptedBackend) -> None:
    async def go() -> list[str]:
        async with Caller(gateway.url) as caller:
            return [(await caller.ask(chat(str(number), stream=number % 2 == 0))).text for number in range(50)]

    assert set(asyncio.run(go())) == {TEXT}
    assert backend.connections <= 3


def test_a_page_and_a_model_on_one_connection(gateway: Running) -> None:
    async def go() -> list[int]:
        async with Caller(gateway.url) as caller:
            heards = [await caller.ask(method="GET", path="/health")]
            heards.append(await caller.ask(chat()))
            heards.append(await caller.ask(method="GET", path="/status", headers={"accept": "application/json"}))
            heards.append(await caller.ask(chat(stream=True)))
            return [heard.status for heard in heards]

    assert asyncio.run(go()) == [200, 200, 200, 200]


def test_an_http_1_0_caller(gateway: Running) -> None:
    async def go(data: bytes) -> Heard:
        async with Caller(gateway.url) as caller:
            await caller.send(data.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            return await caller.hear()

    assert asyncio.run(go(request_bytes(chat()))).text == TEXT
    streamed = asyncio.run(go(request_bytes(chat(stream=True))))
    assert streamed.text == TEXT
    assert "transfer-encoding" not in streamed.headers
    assert "[DONE]" in streamed.data
