"""Anthropic streams: passed on, read for another dialect, and assembled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream
from homeport.vocabulary import MESSAGES, Usage
from homeport.wire.anthropic.assemble import Assembly
from homeport.wire.anthropic.stream import Reader, Stream
from homeport.wire.normal import Answer, Call, gather
from tests.captures import captured
from tests.unit.wire.anthropic_samples import STYLES, event, events_of, message_of, said, start

FIGURES = {"backend": "b"}
TALK = {"text": ["Hel", "lo", ' "you"\n']}
THOUGHT = {"thinking": ["Let", " me"]}
CALLS = [{"id": "t1", "name": "f", "input": ['{"x"', ": 1}"]}, {"id": "t2", "name": "g", "input": []}]


def passed(body: bytes) -> tuple[Stream, bytes]:
    stream = Stream("ours")
    said = stream.feed(body)
    return stream, said + stream.close(FIGURES)


def read(body: bytes) -> Answer:
    reader = Reader()
    pieces = reader.feed(body)
    assert reader.done
    return gather(pieces)


def assembled(body: bytes) -> tuple[dict[str, Any], str | None, bool]:
    assembly = Assembly("ours", MESSAGES)
    assembly.feed(body)
    whole, finish, empty = assembly.whole()
    return json.loads(whole), finish, empty


def cut(body: bytes) -> None:
    """Nobody takes this stream for a whole one."""
    with pytest.raises(BrokeMidStream):
        passed(body)
    reader = Reader()
    try:
        reader.feed(body)
    except BrokeMidStream:
        pass
    else:
        assert not reader.done
    with pytest.raises(BrokeMidStream):
        assembled(body)


@pytest.mark.parametrize("style", STYLES)
def test_the_bytes_pass_but_for_the_name_and_the_end(style: str) -> None:
    body = said(THOUGHT, TALK, *CALLS, style=style, stop="tool_use")
    stream, out = passed(body)
    assert out.partition(b"event: message_delta")[0] == body.replace(b'"theirs"', b'"ours"').partition(b"event: message_delta")[0]
    *_, last, stop = events_of(out)
    assert last.pop("homeport") == FIGURES
    assert [last, stop] == events_of(body)[-2:]
    assert stream.finish == "tool_calls"
    assert stream.usage == Usage(5, 7, 4 if style == "llamacpp" else 0)


def test_nothing_is_shown_before_the_first_content_and_the_end_is_held() -> None:
    stream = Stream("ours")
    body = said(TALK)
    first = body.index(b"event: content_block_delta")
    assert stream.feed(body[:first]) == b"" and not stream.begun
    end = body.index(b"event: message_delta")
    shown = stream.feed(body[first:end])
    assert stream.begun and shown.startswith(b"event: message_start") and shown.endswith(b'"index":0}\n\n')
    assert stream.events == 3
    assert stream.usage == Usage(5, 3, estimated=True)  # as far as it is known so far
    assert stream.feed(event("anthropic", "ping")) == event("anthropic", "ping")
    assert stream.feed(b": still here\n\n") == b": still here\n\n"
    assert stream.feed(body[end:]) == b""
    assert stream.done


def test_the_start_of_a_call_is_content() -> None:
    stream = Stream("ours")
    body = said(CALLS[1], stop="tool_use")
    assert not stream.feed(body[: body.index(b"event: content_block_start")])
    assert stream.feed(body[body.index(b"event: content_block_start") : body.index(b"event: content_block_stop")])
    assert stream.events == 1


def test_an_empty_answer_is_one() -> None:
    body = start() + event("anthropic", "message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}) + event("anthropic", "message_stop")
    stream, out = passed(body)
    assert stream.begun and stream.finish == "stop" and stream.events == 0
    assert message_of(out)["content"] == []
    assert read(body).empty
    assert assembled(body)[2]


def test_a_name_the_bytes_do_not_show_is_replaced_all_the_same() -> None:
    body = said(TALK).replace(b'"model": "theirs"', b'"model" : "th\\u0065irs"')
    assert message_of(passed(body)[1])["model"] == "ours"


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_is_read_for_another_dialect(style: str) -> None:
    answer = read(said(THOUGHT, TALK, *CALLS, style=style, stop="tool_use"))
    assert answer == Answer(
        'Hello "you"\n', "Let me", [Call("t1", "f", '{"x": 1}'), Call("t2", "g", "{}")], "tool_calls", usage=Usage(5, 7, 4 if style == "llamacpp" else 0)
    )


def test_the_input_of_a_call_may_come_whole_at_its_start() -> None:
    begun = event("anthropic", "content_block_start", 0, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}})
    end = event("anthropic", "message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 1}) + event("anthropic", "message_stop")
    for stop in (event("anthropic", "content_block_stop", 0), b""):
        assert read(start() + begun + stop + end).calls == [Call("t", "f", '{"x":1}')]
        assert assembled(start() + begun + stop + end)[0]["content"] == [{"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]


@pytest.mark.parametrize(
    ("stop", "stop_sequence", "finish", "stopped_by"),
    [
        ("end_turn", None, "stop", None),
        ("stop_sequence", "END", "stop", "END"),
        ("end_turn", "END", "stop", "END"),  # llama.cpp
        ("max_tokens", None, "length", None),
        ("model_context_window_exceeded", None, "length", None),
        ("refusal", None, "content_filter", None),
    ],
)
def test_stop_reasons(stop: str, stop_sequence: str | None, finish: str, stopped_by: str | None) -> None:
    body = said(TALK, stop=stop, stop_sequence=stop_sequence)
    answer = read(body)
    assert (answer.finish, answer.stopped_by) == (finish, stopped_by)
    assert passed(body)[0].finish == assembled(body)[1] == finish


def test_usage_counts_what_was_cached_as_prompt() -> None:
    used = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    body = said(TALK).replace(b'{"input_tokens":5,"output_tokens":7}', json.dumps(used).encode())
    assert passed(body)[0].usage == read(body).usage == Usage(123, 9, 100, 4)


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_is_assembled(style: str) -> None:
    message, finish, empty = assembled(said(THOUGHT, TALK, *CALLS, style=style, stop="tool_use"))
    assert (finish, empty) == ("tool_calls", False)
    assert message["model"] == "ours" and message["stop_reason"] == "tool_use" and message["stop_sequence"] is None
    thought, text, first, second = message["content"]
    assert thought["thinking"] == "Let me" and text == {"type": "text", "text": 'Hello "you"\n'}
    assert first == {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}} and second["input"] == {}
    assert thought.get("signature") == {"anthropic": "c2ln", "vllm": "c2ln", "llamacpp": "", "ollama": None}[style]


def test_what_an_engine_adds_survives() -> None:
    body = start().replace(b'"content": []', b'"content": [], "fingerprint": "x"')
    body += event("anthropic", "content_block_start", 0, content_block={"type": "text", "text": "A", "citations": []})
    body += event("anthropic", "content_block_delta", 0, delta={"type": "citations_delta", "citation": {"cited_text": "q"}})
    body += event("anthropic", "content_block_delta", 0, delta={"type": "text_delta", "text": "B"})
    body += event("anthropic", "content_block_start", 1, content_block={"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})
    body += event("anthropic", "content_block_delta", 1, delta={"type": "input_json_delta", "partial_json": '{"query":"x"}'})
    body += event("anthropic", "content_block_start", 2, content_block={"type": "web_search_tool_result", "content": [1]})
    body += event("anthropic", "message_delta", delta={"stop_reason": "pause_turn"}, usage={"output_tokens": 3}, context_management={"applied_edits": []})
    body += event("anthropic", "message_stop", timings={"ms": 1})
    message, finish, _ = assembled(body)
    assert finish == "pause_turn"
    assert message["fingerprint"] == "x" and message["context_management"] == {"applied_edits": []} and message["timings"] == {"ms": 1}
    assert message["content"] == [
        {"type": "text", "text": "AB", "citations": [{"cited_text": "q"}]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "content": [1]},
    ]
    with pytest.raises(BrokeMidStream):
        read(body)


def test_half_a_call_is_no_call() -> None:
    half = {"id": "t1", "name": "f", "input": ['{"path": "/']}
    cut_short = said(TALK, half, stop="max_tokens")
    message, finish, _ = assembled(cut_short)
    assert finish == "length" and [block["type"] for block in message["content"]] == ["text"]
    with pytest.raises(BrokeMidStream):
        assembled(said(TALK, half, stop="tool_use"))
    with pytest.raises(BrokeMidStream):
        assembled(said({**half, "input": ["[1]"]}, stop="tool_use"))


WHOLE = said(TALK)
NO_STOP = WHOLE[: WHOLE.index(b"event: message_stop")]
NO_REASON = WHOLE.replace(b'"stop_reason":"end_turn"', b'"stop_reason":null')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        WHOLE[: WHOLE.index(b"event: message_delta")],  # Ollama's runner died
        NO_STOP,
        NO_REASON,
        said(TALK, stop="tool_use"),  # the call vanished
        WHOLE[WHOLE.index(b"event: content_block_start") :],  # no start
        WHOLE.replace(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}', b"data: {nonsense"),
        WHOLE.replace(b'data: {"type":"message_stop"}', b"data: 5"),
    ],
)
def test_what_is_not_whole_is_cut(body: bytes) -> None:
    cut(body)


@pytest.mark.parametrize(
    "error",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"SECRET"}}\n\n',
        b'data: {"error": {"message": "SECRET", "type": "overloaded_error", "code": 500}}\n\n',
        b'event: error\ndata: {"type":"error"}\n\n',
    ],
)
def test_an_error_is_an_error_wherever_it_stands(error: bytes) -> None:
    for at in (0, WHOLE.index(b"event: content_block_delta"), WHOLE.index(b"event: content_block_stop"), WHOLE.index(b"event: message_stop")):
        for taker in (Stream("ours"), Reader(), Assembly("ours", MESSAGES)):
            with pytest.raises(BrokeMidStream) as raised:
                taker.feed(WHOLE[:at] + error + WHOLE[at:])
            assert "SECRET" not in str(raised.value)


def test_what_engines_were_recorded_to_stream() -> None:
    played = 0
    for engine in ("llamacpp", "vllm", "ollama"):
        for row in captured(engine).values():
            body = "".join(text for _, text in row.response.pieces).encode()
            if row.request.path != "/v1/messages" or not body.startswith(b"event: ") or row.response.status != 200:
                continue
            played += 1
            if "killed" in row.name:
                cut(body.replace(b"... 73 pieces left out ...", b""))
                continue
            stream, out = passed(body)
            told, whole, answer = message_of(out), assembled(body)[0], read(body)
            del told["homeport"]
            assert whole | {"stop_sequence": whole.get("stop_sequence")} == {"stop_sequence": None} | told | {"model": "ours"}
            texts = "".join(block.get("text", "") for block in whole["content"])
            assert answer.text == texts and answer.finish == stream.finish and answer.usage == stream.usage
            assert [call.name for call in answer.calls] == [block["name"] for block in whole["content"] if block["type"] == "tool_use"]
    assert played > 10
