"""Whole Anthropic replies, errors in its envelope, lists of models, and counts of tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream, CallerError, HomeportError, Malformed, NoRouteLeft, OverBudget, Refused, Stopping, TooLarge, TooLong, UnknownModel
from homeport.vocabulary import Usage
from homeport.wire.anthropic.count import counted, counting, estimate
from homeport.wire.anthropic.reply import error_body, error_event, models, pieces, read, refusal, unfold
from homeport.wire.normal import Answer, Call, Image, Prompt, Schema, Tool, Turn, gather
from tests.captures import captured
from tests.unit.wire.anthropic_samples import ask, message_of

ASK = ask({"messages": [{"role": "user", "content": "hi"}], "stream": True})
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "Let me", "signature": "c2ln"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"model": "theirs"}},
    ],
    "model": "theirs",
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 7},
    "fingerprint": "x",
}


def body(**changed: Any) -> bytes:
    return json.dumps(MESSAGE | changed).encode()


def test_a_whole_reply_is_read_under_the_asked_name() -> None:
    renamed, usage, finish, empty = read(body(), "ours")
    assert json.loads(renamed) == MESSAGE | {"model": "ours"}  # and the input of its call still says "theirs"
    assert (usage, finish, empty) == (Usage(5, 7, 2), "tool_calls", False)


def test_bytes_are_kept_where_they_can_be() -> None:
    plain = body(content=[{"type": "text", "text": ""}], stop_reason="end_turn")
    assert read(plain, "ours")[0] == plain.replace(b'"theirs"', b'"ours"')
    assert read(plain, "theirs")[0] is plain
    assert read(plain, "ours")[2:] == ("stop", True)


def test_a_whole_reply_in_pieces() -> None:
    assert gather(pieces(body())) == Answer("Hello", "Let me", [Call("t1", "f", '{"model":"theirs"}')], "tool_calls", usage=Usage(5, 7, 2))
    stopped = gather(pieces(body(content=[], stop_reason="end_turn", stop_sequence="END")))
    assert (stopped.finish, stopped.stopped_by, stopped.empty) == ("stop", "END", True)
    assert gather(pieces(body(content=[{"type": "redacted_thinking", "data": "x"}], stop_reason="end_turn"))).empty


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": {"type": "api_error", "message": "SECRET"}}',
        b'{"type": "error", "error": {"type": "api_error", "message": "SECRET"}}',
        body(content="text"),
        body(content=["text"]),
        body(stop_reason=None),
        body(content=[]),  # the call vanished
        b"\xff",
    ],
)
def test_what_is_no_reply_is_broken(broken: bytes) -> None:
    for reading in (lambda: read(broken, "ours"), lambda: pieces(broken)):
        with pytest.raises(BrokeMidStream) as raised:
            reading()
        assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [[{"type": "server_tool_use", "id": "s"}], [{"type": "text"}], [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}]]
)
def test_what_no_other_dialect_can_say_is_broken(content: list[Any]) -> None:
    with pytest.raises(BrokeMidStream):
        pieces(body(content=content))


def test_a_whole_reply_unfolds_to_its_stream() -> None:
    content = [*MESSAGE["content"], {"type": "redacted_thinking", "data": "x"}]
    message = message_of(unfold(body(content=content), ASK, {"backend": "b"}))
    assert message == MESSAGE | {"content": content, "model": "ours", "homeport": {"backend": "b"}}
    assert message_of(unfold(body(usage=None), ASK, {}))["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_whole_replies_of_recorded_engines_are_read() -> None:
    played = 0
    for engine in ("llamacpp", "vllm", "ollama"):
        for row in captured(engine).values():
            said = "".join(text for _, text in row.response.pieces).encode()
            if row.request.path == "/v1/messages" and row.response.status == 200 and said.startswith(b"{"):
                played += 1
                renamed, usage, finish, empty = read(said, "ours")
                assert json.loads(renamed) == json.loads(said) | {"model": "ours"}
                answer = gather(pieces(said))
                assert (answer.usage, answer.finish, answer.empty) == (usage, finish, empty)
            elif row.request.path == "/v1/messages" and row.response.status:
                assert isinstance(refusal(row.response.status, said), CallerError | Refused)
            elif row.request.path == "/v1/messages/count_tokens" and row.response.status == 200:
                assert counted(said) > 1
    assert played > 10


def full() -> NoRouteLeft:
    error = NoRouteLeft("full")
    error.code = "queue_full"
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Malformed("why"), "invalid_request_error"),
        (UnknownModel("why"), "not_found_error"),
        (TooLarge("why"), "request_too_large"),
        (OverBudget("why"), "rate_limit_error"),
        (NoRouteLeft("why"), "api_error"),
        (full(), "overloaded_error"),
        (Stopping("why"), "api_error"),
        (BrokeMidStream("why"), "api_error"),
    ],
)
def test_errors_wear_the_dialect(error: HomeportError, kind: str) -> None:
    envelope = {"type": "error", "error": {"type": kind, "message": str(error)}, "request_id": "req-1"}
    assert json.loads(error_body(error, "req-1")) == envelope
    name, data, *rest = error_event(error, "req-1").decode().split("\n")
    assert (name, json.loads(data.removeprefix("data: ")), rest) == ("event: error", envelope, ["", ""])


def test_a_prompt_too_long_is_told_in_the_words_that_clients_look_for() -> None:
    for message in ("2118 tokens, and 2048 fit.", "prompt is too long: 2118 tokens > 2048 maximum"):
        told = json.loads(error_body(TooLong(message), "req-1"))["error"]["message"]
        assert told.count("prompt is too long") == 1 and told.endswith(message)


def test_a_refusal_is_understood() -> None:
    def refused(status: int, kind: str, message: str) -> HomeportError:
        return refusal(status, json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode())

    assert isinstance(refused(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), TooLong)
    assert type(refused(400, "invalid_request_error", "max_tokens: Field required")) is CallerError
    overloaded = refused(529, "overloaded_error", "SECRET")
    assert isinstance(overloaded, Refused) and "overloaded_error" in str(overloaded) and "SECRET" not in str(overloaded)


def test_a_list_of_models() -> None:
    listed = {"data": [{"type": "model", "id": "claude-a", "display_name": "A", "created_at": "2026-01-01T00:00:00Z"}], "has_more": False}
    assert models(json.dumps(listed).encode()) == ["claude-a"]
    assert models(b"nothing") == []


def test_counts() -> None:
    assert counted(counting(7)) == counted(b'{"input_tokens":7,"context_management":{}}') == 7
    for broken in (b"", b"{}", b"[]", b'{"input_tokens":-1}', b'{"input_tokens":"7"}', b"404 page not found"):
        with pytest.raises(BrokeMidStream):
            counted(broken)


def test_the_estimate_follows_its_formula() -> None:
    assert estimate(Prompt([])) == 0
    assert estimate(Prompt([Turn("user", ["abcde"])])) == 2 + 4  # five bytes are two tokens
    assert estimate(Prompt([Turn("user", ["é" * 4])])) == 2 + 4
    assert estimate(Prompt([Turn("system", ["abcd"]), Turn("user", [Image("x"), "abcd"])])) == 2 + 2 * 4 + 1000
    assert estimate(Prompt([Turn("assistant", reasoning="abcd", calls=[Call("id", "f", '{"a":1}')])])) == 3 + 4
    assert estimate(Prompt([], tools=[Tool("f", "d", {"type": "object"})])) == 7  # ["f","d",{"type":"object"}] is 27 bytes, and rounded up
    assert estimate(Prompt([], format=Schema({"type": "object"}))) == 5
