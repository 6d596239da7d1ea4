"""Answers of any backend as Ollama's: streams, wholes, embeddings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream
from homeport.vocabulary import OLLAMA_CHAT, Ask, Usage
from homeport.wire.normal import Answer, Call, CallPiece, Piece, Vectors
from homeport.wire.ollama.reply import embeddings, whole
from homeport.wire.ollama.stream import Writer
from tests.unit.wire.ollama_samples import FIGURES, answer, chat, embed, generate, lines, old_embed, said

CREATED = 1_795_000_000
STAMP = "2026-11-18T11:06:40.000000000Z"
HEAD = {"model": "m", "created_at": STAMP}


def written(asked: Ask, *pieces: Piece, usage: Usage | None = None) -> list[dict[str, Any]]:
    writer = Writer(asked, CREATED)
    return lines(b"".join(writer.write([piece]) for piece in pieces) + writer.end(usage or Usage(), FIGURES))


def message(content: str = "", **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def call(index: int, name: str, arguments: dict[str, Any], id: str = "c") -> dict[str, Any]:
    return {"id": id, "function": {"index": index, "name": name, "arguments": arguments}}


class TestStream:
    def test_text_and_thinking(self) -> None:
        out = written(chat(), Piece(reasoning="Hm"), Piece(text='<a> "b" é\u2028'), Piece(), Piece(finish="stop"), usage=Usage(5, 3))
        assert out == [
            HEAD | {"message": message(thinking="Hm"), "done": False},
            HEAD | {"message": message('<a> "b" é\u2028'), "done": False},
            HEAD
            | {
                "message": message(),
                "done": True,
                "done_reason": "stop",
                "total_duration": 1_520_500_000,
                "prompt_eval_count": 5,
                "prompt_eval_duration": 20_500_000,
                "eval_count": 3,
                "eval_duration": 1_500_000_000,
                "homeport": FIGURES,
            },
        ]

    def test_a_generated_text(self) -> None:
        out = written(generate(), Piece(text="a", reasoning="Hm"), Piece(text="b", finish="length"))
        assert [(line.get("response"), line.get("thinking"), line["done"]) for line in out] == [
            ("", "Hm", False),
            ("a", None, False),
            ("b", None, False),
            ("", None, True),
        ]
        assert out[-1]["done_reason"] == "length"
        assert "message" not in out[-1]

    @pytest.mark.parametrize("name", ["chat: stream", "chat: think true, stream", "generate: stream"])
    def test_its_lines_have_ollamas_shape(self, name: str) -> None:
        asked = chat() if name.startswith("chat") else generate()
        ours = written(asked, Piece(reasoning="Hm"), Piece(text="a"), Piece(finish="stop"), usage=Usage(1, 1))
        theirs = lines(said(name))
        for mine, other in ((ours[1], theirs[-2]), (ours[-1], theirs[-1])):
            left_out = ("load_duration", "context")
            assert list(mine) == [field for field in other if field not in left_out] + (["homeport"] if mine["done"] else [])
            assert list(mine.get("message", ())) == list(other.get("message", ()))

    def test_zeros_are_left_out(self) -> None:
        writer = Writer(chat(), CREATED)
        writer.write([Piece(finish="stop")])
        assert lines(writer.end(Usage(), {})) == [HEAD | {"message": message(), "done": True, "done_reason": "stop", "homeport": {}}]

    @pytest.mark.parametrize(("finish", "reason"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter", "content_filter")])
    def test_why_it_ended(self, finish: str, reason: str) -> None:
        assert written(chat(), Piece(text="a", finish=finish))[-1]["done_reason"] == reason

    def test_a_call_goes_out_whole(self) -> None:
        writer = Writer(chat(), CREATED)
        assert writer.write([Piece(calls=[CallPiece(0, "c", "f")])]) == b""
        assert writer.write([Piece(calls=[CallPiece(0, arguments='{"a"')]), Piece(calls=[CallPiece(0, arguments=": 1}")])]) == b""
        first = lines(writer.write([Piece(calls=[CallPiece(1, "", "g")])]))
        assert first == [HEAD | {"message": message(tool_calls=[call(0, "f", {"a": 1})]), "done": False}]
        assert writer.write([Piece(calls=[CallPiece(1, arguments="")]), Piece(finish="tool_calls")]) == b""
        out = lines(writer.end(Usage(), {}))
        assert out[0]["message"]["tool_calls"] == [call(1, "g", {}, "call_7f-1_1")]
        assert [line["done"] for line in out] == [False, True]

    def test_calls_side_by_side(self) -> None:
        pieces = [CallPiece(0, "a", "f"), CallPiece(1, "b", "g"), CallPiece(0, arguments="{}"), CallPiece(1, arguments='{"x":2}')]
        out = written(chat(), Piece(calls=pieces), Piece(finish="tool_calls"))
        assert [line["message"].get("tool_calls") for line in out] == [[call(0, "f", {}, "a")], [call(1, "g", {"x": 2}, "b")], None]

    @pytest.mark.parametrize("arguments", ['{"a":', "[1]", "1", '"{}"', "{}{}"])
    def test_a_call_that_is_not_whole_breaks_the_answer(self, arguments: str) -> None:
        writer = Writer(chat(), CREATED)
        writer.write([Piece(calls=[CallPiece(0, "c", "f", arguments)], finish="tool_calls")])
        with pytest.raises(BrokeMidStream):
            writer.end(Usage(), {})
        with pytest.raises(BrokeMidStream):
            whole(chat(), Answer(calls=[Call("c", "f", arguments)], finish="tool_calls"))

    def test_a_call_without_a_name_and_one_that_goes_on(self) -> None:
        writer = Writer(chat(), CREATED)
        writer.write([Piece(calls=[CallPiece(0, "c", "", "{}")], finish="tool_calls")])
        with pytest.raises(BrokeMidStream):
            writer.end(Usage(), {})
        writer = Writer(chat(), CREATED)
        writer.write([Piece(calls=[CallPiece(0, "c", "f", "{}"), CallPiece(1, "d", "g", "{}"), CallPiece(0, arguments=" ")])])
        with pytest.raises(BrokeMidStream):
            writer.write([Piece(calls=[CallPiece(0, arguments='{"a":1}')])])

    def test_without_a_finish_there_is_no_end(self) -> None:
        writer = Writer(chat(), CREATED)
        writer.write([Piece(text="a")])
        with pytest.raises(BrokeMidStream):
            writer.end(Usage(), {})
        with pytest.raises(BrokeMidStream):
            whole(chat(), Answer(text="a"))

    def test_what_is_written_can_be_read(self) -> None:
        writer = Writer(chat(), CREATED)
        pieces = [Piece(reasoning="Hm"), Piece(text="a"), Piece(calls=[CallPiece(0, "c", "f", '{"a":1}')]), Piece(finish="tool_calls")]
        read, done = answer([writer.write(pieces) + writer.end(Usage(5, 3), {})])
        assert done
        assert read == Answer("a", "Hm", [Call("c", "f", '{"a":1}')], "tool_calls", usage=Usage(5, 3))


class TestWhole:
    def test_a_chat(self) -> None:
        told = Answer("a", "Hm", [Call("c", "f", '{"a": 1}'), Call("", "g", "")], "tool_calls", usage=Usage(5, 3))
        assert json.loads(whole(chat(), told, CREATED + 0.25, FIGURES)) == {
            "model": "m",
            "created_at": "2026-11-18T11:06:40.250000000Z",
            "message": message("a", thinking="Hm", tool_calls=[call(0, "f", {"a": 1}), call(1, "g", {}, "call_7f-1_1")]),
            "done": True,
            "done_reason": "stop",
            "total_duration": 1_520_500_000,
            "prompt_eval_count": 5,
            "prompt_eval_duration": 20_500_000,
            "eval_count": 3,
            "eval_duration": 1_500_000_000,
        }

    def test_a_generated_text(self) -> None:
        told = json.loads(whole(generate(), Answer("a", "Hm", finish="length", usage=Usage(5, 3)), CREATED))
        assert told == HEAD | {"response": "a", "thinking": "Hm", "done": True, "done_reason": "length", "prompt_eval_count": 5, "eval_count": 3}

    @pytest.mark.parametrize("name", ["chat: whole", "chat: think true, whole", "chat: tools, whole", "generate: raw"])
    def test_its_shape_is_ollamas_own(self, name: str) -> None:
        theirs = json.loads(said(name))
        holder = theirs.get("message", theirs)
        calls = [Call(c["id"], c["function"]["name"], json.dumps(c["function"]["arguments"])) for c in holder.get("tool_calls", ())]
        told = Answer(holder.get("content", holder.get("response")), holder.get("thinking", ""), calls, "tool_calls" if calls else "stop", usage=Usage(9, 9))
        asked = chat() if "message" in theirs else generate()
        ours = json.loads(whole(asked, told, CREATED, FIGURES))
        assert list(ours) == [field for field in theirs if field != "load_duration"]
        assert asked.surface is not OLLAMA_CHAT or ours["message"] == theirs["message"]


def test_embeddings() -> None:
    assert json.loads(embeddings(embed(input="a"), Vectors([[0.5, 1.0]], Usage(7)))) == {"model": "m", "embeddings": [[0.5, 1.0]], "prompt_eval_count": 7}
    assert json.loads(embeddings(embed(input="a"), Vectors([[0.5]]))) == {"model": "m", "embeddings": [[0.5]]}
    assert json.loads(embeddings(old_embed(prompt="a"), Vectors([[0.5]], Usage(7)))) == {"embedding": [0.5]}
