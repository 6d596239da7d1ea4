"""Ollama streams: passed on, put together, read as Pieces; and the ways in which they end without an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream
from homeport.vocabulary import GENERATE, OLLAMA_CHAT, Usage
from homeport.wire.ndjson import MAX_LINE, LineCutter
from homeport.wire.normal import Call, CallPiece
from homeport.wire.ollama.stream import Assembly, Reader, Stream
from tests.unit.wire.ollama_samples import FIGURES, answer, assembled, lines, passed, said, streams, surface_of

WHOLE = [name for name in streams() if not name.startswith("event: ")]
BROKEN = [name for name in streams() if name.startswith("event: ")]


def line(text: str | None = None, model: str = "theirs", **fields: Any) -> bytes:
    told: dict[str, Any] = {"model": model, "created_at": "2026-11-20T17:29:53.75Z", "message": {"role": "assistant", "content": text or ""}, "done": False}
    return json.dumps(told | fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def calling(*calls: dict[str, Any], **fields: Any) -> bytes:
    return line(message={"role": "assistant", "content": "", "tool_calls": [{"function": call} for call in calls]}, **fields)


LAST = line(done=True, done_reason="stop", prompt_eval_count=5, eval_count=3)


class TestPassing:
    @pytest.mark.parametrize("name", WHOLE)
    def test_every_record_passes_under_the_asked_name(self, name: str) -> None:
        told, stream = passed([said(name)])
        theirs, ours = lines(said(name)), lines(told)
        assert ours.pop() == theirs.pop() | {"model": "ours", "homeport": FIGURES}
        assert ours == [record | {"model": "ours"} for record in theirs]
        assert stream.begun
        assert stream.usage == Usage(last_count(name, "prompt_eval_count"), last_count(name, "eval_count"))

    def test_the_bytes_of_a_line_are_the_engines_own(self) -> None:
        text = b'{"model":"theirs","created_at":"x","message":{"role":"assistant","content":"\\u003cb\\u003e \\"model\\":\\"theirs\\""},"done":false}\n'
        told, _ = passed([text * 3 + LAST])
        assert told.startswith(text.replace(b"theirs", b"ours", 1) * 3)

    @pytest.mark.parametrize("name", BROKEN)
    def test_an_error_line_and_a_proper_end(self, name: str) -> None:
        stream = Stream("ours")
        body = said(name)
        assert stream.feed(body[: body.rindex(b'{"error"')]).count(b"\n") == body.count(b"\n") - 1
        with pytest.raises(BrokeMidStream) as raised:
            stream.feed(body[body.rindex(b'{"error"') :])
        assert "EOF" not in str(raised.value)  # what the engine said goes into no receipt
        for read in (lambda: assembled([body], surface_of(name)), lambda: answer([body])):
            with pytest.raises(BrokeMidStream):
                read()

    def test_nothing_final_is_shown_before_the_end(self) -> None:
        stream = Stream("ours")
        assert stream.feed(line("a") + LAST) == line("a", "ours")
        assert (stream.done, stream.finish, stream.usage) == (True, "stop", Usage(5, 3))
        assert lines(stream.close({"tokens": 3}))[0]["homeport"] == {"tokens": 3}

    def test_nothing_is_shown_before_content(self) -> None:
        stream = Stream("ours")
        assert stream.feed(line() + line()) == b""
        assert not stream.begun
        assert stream.feed(line("a")) == line("", "ours") * 2 + line("a", "ours")
        assert stream.events == 1

    def test_a_cut_stream_has_no_end(self) -> None:
        stream = Stream("ours")
        stream.feed(line("a") + LAST[:-1])
        for read in (lambda: stream.close({}), lambda: assembled([line("a")], OLLAMA_CHAT)):
            with pytest.raises(BrokeMidStream):
                read()
        assert answer([line("a")])[1] is False

    @pytest.mark.parametrize("last", [line(done=True, done_reason="load"), line(done=True, done_reason="unload"), line(done=True)])
    def test_a_model_that_was_only_loaded_is_no_answer(self, last: bytes) -> None:
        for read in (lambda: passed([last]), lambda: assembled([last], OLLAMA_CHAT), lambda: answer([last])):
            with pytest.raises(BrokeMidStream):
                read()

    @pytest.mark.parametrize("junk", [b"oops\n", b"[1]\n", b'"a"\n', b'{"message":"a"}\n', b'{"message":{"content":[1]}}\n', b"\xff\n", b"{}x\n"])
    def test_what_is_no_record(self, junk: bytes) -> None:
        for read in (lambda: passed([line("a") + junk]), lambda: assembled([line("a") + junk], OLLAMA_CHAT), lambda: answer([line("a") + junk])):
            with pytest.raises(BrokeMidStream):
                read()

    def test_an_error_in_the_shape_of_a_record(self) -> None:
        stream = Stream("ours")
        stream.feed(line("a"))
        with pytest.raises(BrokeMidStream):
            stream.feed(b'{"model":"theirs","error":"x","done":false}\n')

    def test_a_blank_line_goes_no_further(self) -> None:
        told, stream = passed([line("a") + b"\n" + line("b") + b"\r\n" + line("c") + LAST])
        assert [record["message"]["content"] for record in lines(told)] == ["a", "b", "c", ""]
        assert stream.events == 3

    def test_a_name_elsewhere_is_left_alone(self) -> None:
        body = line("a") + calling({"name": "f", "arguments": {"model": "theirs", "done": True, "error": "x"}}) + line('{"model":"theirs"') + LAST
        ours = lines(passed([body])[0])
        assert ours[1]["message"]["tool_calls"][0]["function"]["arguments"] == {"model": "theirs", "done": True, "error": "x"}
        assert ours[2]["message"]["content"] == '{"model":"theirs"'
        assert {record["model"] for record in ours} == {"ours"}

    def test_blanks_and_another_order(self) -> None:
        spaced = [json.dumps(json.loads(text)).encode() + b"\n" for text in (line("a"), line("b"), line("c"), LAST)]
        turned = [json.dumps(dict(reversed(json.loads(text).items()))).encode() + b"\n" for text in (line("a"), line("b"), LAST)]
        for body in (b"".join(spaced), b"".join(turned)):
            ours = lines(passed([body])[0])
            assert [record["model"] for record in ours] == ["ours"] * len(ours)
            assert "".join(record["message"]["content"] for record in ours) == "".join(record["message"]["content"] for record in lines(body))

    def test_no_counts_are_estimated(self) -> None:
        for usage in (
            passed([line("a") * 4 + line(done=True, done_reason="stop")])[1].usage,
            answer([line("a") * 4 + line(done=True, done_reason="stop")])[0].usage,
        ):
            assert usage == Usage(0, 4, estimated=True)


class TestVanishedCalls:
    """Ollama says 200 and an empty message where a call named a tool that was not offered, or could not be read."""

    @pytest.mark.parametrize(
        ("last", "broke"),
        [(LAST, True), (line(done=True, done_reason="length", eval_count=9), False), (line(done=True, done_reason="stop", eval_count=1), False)],
    )
    def test_an_empty_answer_to_tools(self, last: bytes, broke: bool) -> None:
        reads = (
            lambda tools: passed([last], tools=tools),
            lambda tools: assembled([last], OLLAMA_CHAT, tools=tools),
            lambda tools: answer([last], tools=tools),
        )
        for read in reads:
            read(False)
            if broke:
                with pytest.raises(BrokeMidStream):
                    read(True)
            else:
                read(True)

    @pytest.mark.parametrize("name", ["chat: tools, stream", "native: tools, stream", "chat: two tool calls after prose, stream"])
    def test_a_call_is_an_answer(self, name: str) -> None:
        assert passed([said(name)], tools=True)[1].finish == "tool_calls"
        assert assembled([said(name)], OLLAMA_CHAT, tools=True)[1:] == ("tool_calls", False)
        assert answer([said(name)], tools=True)[0].finish == "tool_calls"

    def test_one_cut_by_its_limit_says_so(self) -> None:
        body = said("chat: tools, cut by num_predict, stream")
        assert passed([body], tools=True)[1].finish == "length"
        assert assembled([body], OLLAMA_CHAT, tools=True)[1:] == ("length", True)


class TestAssembly:
    @pytest.mark.parametrize("name", WHOLE)
    def test_a_whole_has_what_the_stream_had(self, name: str) -> None:
        reply, _, empty = assembled([said(name)], surface_of(name))
        records = lines(said(name))
        holders = [record.get("message", record) for record in records]
        whole = reply.get("message", reply)
        for field, text in (("message", "content"), ("response", "response")):
            if field in records[0]:
                assert whole[text] == "".join(holder[text] for holder in holders)
        assert whole.get("thinking", "") == "".join(holder.get("thinking", "") for holder in holders)
        assert whole.get("tool_calls", []) == [call for holder in holders for call in holder.get("tool_calls", [])]
        assert reply.get("logprobs", []) == [odds for record in records for odds in record.get("logprobs", [])]
        last = {field: value for field, value in records[-1].items() if field not in ("model", "message", "response", "logprobs")}
        assert reply.items() >= last.items()
        assert reply["model"] == "ours"
        assert empty == (not any(whole.get(field) for field in ("content", "response", "thinking", "tool_calls")))

    @pytest.mark.parametrize(
        ("stream", "whole"),
        [
            ("chat: stream", "chat: whole"),
            ("chat: think true, stream", "chat: think true, whole"),
            ("generate: stream", "generate: whole"),
            ("native: tools, stream", "native: tools, whole"),
        ],
    )
    def test_its_shape_is_ollamas_own(self, stream: str, whole: str) -> None:
        reply, _, _ = assembled([said(stream)], surface_of(stream))
        theirs = json.loads(said(whole))
        assert list(reply) == list(theirs)
        assert list(reply.get("message", ())) == list(theirs.get("message", ()))

    def test_unknown_fields_survive(self) -> None:
        reply, _, _ = assembled([line("a", wibble=[1]) + line("b", wibble=[2], message={"content": "b", "audio": "x"}) + LAST], OLLAMA_CHAT)
        assert (reply["wibble"], reply["message"]) == ([1, 2], {"role": "assistant", "content": "ab", "audio": "x"})

    def test_nothing_after_the_end_counts(self) -> None:
        assembly = Assembly("ours", GENERATE)
        assembly.feed(b'{"response":"a","done":false}\n{"response":"","done":true,"done_reason":"stop"}\n{"error":"late"}\n')
        assert json.loads(assembly.whole()[0])["response"] == "a"


class TestReader:
    @pytest.mark.parametrize("name", WHOLE)
    def test_it_reads_what_the_assembly_does(self, name: str) -> None:
        read, done = answer([said(name)])
        reply, finish, empty = assembled([said(name)], surface_of(name))
        whole = reply.get("message", reply)
        assert done
        assert (read.text, read.reasoning, read.finish, read.empty) == (whole.get("content", whole.get("response")), whole.get("thinking", ""), finish, empty)
        theirs = whole.get("tool_calls", [])
        assert [(call.id, call.name, json.loads(call.arguments)) for call in read.calls] == [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in theirs
        ]

    def test_an_empty_record_between_thinking_and_format_is_no_piece(self) -> None:
        body = said("chat: think and format json, stream")
        assert any(not record["message"]["content"] and not record["message"].get("thinking") for record in lines(body)[:-1])
        reader = Reader()
        pieces = reader.feed(body)
        assert all(piece.says_something or piece.finish for piece in pieces)
        assert (reader.events, reader.done) == (len(pieces) - 1, True)

    def test_calls_are_numbered_through(self) -> None:
        reader = Reader()
        body = calling({"index": 0, "name": "f", "arguments": {"a": "<"}}) + calling(
            {"name": "g"}, {"name": "h", "arguments": {}}, done=True, done_reason="stop"
        )
        calls = [call for piece in reader.feed(body) for call in piece.calls or ()]
        assert calls == [CallPiece(0, "", "f", '{"a":"<"}'), CallPiece(1, "", "g", "{}"), CallPiece(2, "", "h", "{}")]
        assert answer([body])[0].calls == [Call("", "f", '{"a":"<"}'), Call("", "g", "{}"), Call("", "h", "{}")]

    @pytest.mark.parametrize("call", [{"name": "f", "arguments": [1]}, {"name": "f", "arguments": "{}"}, {"arguments": {}}])
    def test_a_call_that_is_none(self, call: dict[str, Any]) -> None:
        with pytest.raises(BrokeMidStream):
            Reader().feed(calling(call))


def test_an_endless_line_is_given_up() -> None:
    cutter = LineCutter()
    with pytest.raises(BrokeMidStream):
        for _ in range(3):
            cutter.feed(b"x" * (MAX_LINE // 2))


def last_count(name: str, field: str) -> int:
    count: int = lines(said(name))[-1][field]
    return count
