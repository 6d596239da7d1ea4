"""Whole Ollama replies and errors, and what a backend says of its models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import BrokeMidStream, CallerError, NoRouteLeft, Refused, TooLong, Uncarried
from homeport.vocabulary import Ask, Usage
from homeport.wire.normal import Call, Vectors, gather
from homeport.wire.ollama import reply as ollama_reply
from tests.unit.wire.ollama_samples import FIGURES, answer, assembled, chat, generate, lines, rows, said, surface_of

ANSWERS = [name for name in rows() if name.endswith("whole") and rows()[name].response.status == 200] + ["generate: raw", "generate: suffix"]


def asked(name: str) -> Ask:
    return generate() if surface_of(name).value == "/api/generate" else chat()


def refusal(name: str) -> Exception:
    status = rows()[name].response.status
    assert status is not None
    return ollama_reply.refusal(status, said(name))


class TestRead:
    @pytest.mark.parametrize("name", ANSWERS)
    def test_a_reply_under_the_asked_name(self, name: str) -> None:
        theirs = json.loads(said(name))
        body, usage, finish, empty = ollama_reply.read(said(name), "ours")
        assert json.loads(body) == theirs | {"model": "ours"}
        assert len(body) == len(said(name)) + len("ours") - len(theirs["model"])  # no other byte changed
        assert usage == Usage(theirs["prompt_eval_count"], theirs["eval_count"])
        assert finish == ("tool_calls" if "tool_calls" in theirs.get("message", {}) else theirs["done_reason"])
        assert not empty

    @pytest.mark.parametrize("name", ANSWERS)
    def test_as_pieces(self, name: str) -> None:
        read = gather(ollama_reply.pieces(said(name)))
        theirs = json.loads(said(name))
        holder = theirs.get("message", theirs)
        assert (read.text, read.reasoning) == (holder.get("content", holder.get("response")), holder.get("thinking", ""))
        assert read.calls == [
            Call(call["id"], call["function"]["name"], json.dumps(call["function"]["arguments"], separators=(",", ":")))
            for call in holder.get("tool_calls", ())
        ]
        assert read.usage == Usage(theirs["prompt_eval_count"], theirs["eval_count"])

    def test_embeddings(self) -> None:
        body, usage, finish, empty = ollama_reply.read(said("embed: list"), "ours")
        assert (json.loads(body)["model"], usage, finish, empty) == ("ours", Usage(11), None, False)
        assert ollama_reply.read(said("embeddings: prompt"), "ours") == (said("embeddings: prompt"), Usage(), None, False)
        vectors = ollama_reply.vectors(said("embed: list"))
        assert (len(vectors.vectors), len(vectors.vectors[1]), vectors.usage) == (2, 16, Usage(11))
        assert ollama_reply.vectors(said("embed: empty list")) == Vectors([])
        old = ollama_reply.vectors(said("embeddings: prompt")).vectors
        assert [round(number, 5) for number in old[0]] == [round(number, 5) for number in vectors.vectors[0]]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"oops",
            b"[]",
            b"{}",
            b'{"error":"a","done":true,"done_reason":"stop"}',
            b'{"response":"a","done":false}',
            b'{"response":"a","done":true}',
            b'{"message":3,"done":true,"done_reason":"stop"}',
            b'{"response":"","done":true,"done_reason":"load"}',
        ],
    )
    def test_what_is_no_reply(self, body: bytes) -> None:
        for read in (lambda: ollama_reply.read(body, "ours"), lambda: ollama_reply.pieces(body), lambda: ollama_reply.vectors(body)):
            with pytest.raises(BrokeMidStream):
                read()

    def test_a_call_that_vanished(self) -> None:
        body = said("chat: tools, but the call names another tool")
        assert ollama_reply.read(body, "ours")[2:] == ("stop", True)
        with pytest.raises(BrokeMidStream):
            ollama_reply.read(body, "ours", tools=True)
        with pytest.raises(BrokeMidStream):
            ollama_reply.pieces(body, tools=True)

    @pytest.mark.parametrize("name", ANSWERS)
    def test_unfolded_it_is_the_same_answer(self, name: str) -> None:
        body = ollama_reply.unfold(said(name), asked(name), FIGURES)
        assert answer([body])[0] == answer([said(name) + b"\n"])[0]
        assert lines(body)[-1]["homeport"] == FIGURES
        assert [line["done"] for line in lines(body)] == [False] * (len(lines(body)) - 1) + [True]
        back, _, _ = assembled([body], surface_of(name))
        assert "homeport" not in back  # it is in the headers of a whole
        assert back == json.loads(said(name)) | {"model": "ours"}

    def test_unfolded_odds_stay_with_their_text(self) -> None:
        whole = {"model": "m", "message": {"role": "assistant", "content": "a"}, "done": True, "done_reason": "stop", "logprobs": [{"token": "a"}]}
        first, last = lines(ollama_reply.unfold(json.dumps(whole).encode(), chat(), {}))
        assert first["logprobs"] == [{"token": "a"}]
        assert "logprobs" not in last


class TestErrors:
    @pytest.mark.parametrize(
        "name",
        [
            "overflow: chat, truncate false",
            "overflow: chat, truncate false, stream",
            "overflow: chat, truncate false, native",
            "overflow: generate, truncate false",
        ],
    )
    def test_a_prompt_too_long_with_both_numbers(self, name: str) -> None:
        error = ollama_reply.too_long(rows()[name].response.status or 0, said(name))
        assert isinstance(error, TooLong)
        assert "1400 tokens" in str(error)
        assert "512 tokens" in str(error)
        assert str(refusal(name)) == str(error)

    @pytest.mark.parametrize("name", ["overflow: chat, shift false", "embed: too long, truncate false", "embeddings: too long"])
    def test_a_prompt_too_long_without_them(self, name: str) -> None:
        assert isinstance(refusal(name), TooLong)

    def test_the_numbers_from_the_sentence(self) -> None:
        error = ollama_reply.too_long(400, b'{"error":"request (70 tokens) exceeds the available context size (64 tokens), try increasing it"}')
        assert "70 tokens" in str(error)
        assert "64 tokens" in str(error)

    def test_nothing_else_is_too_long(self) -> None:
        long = {"overflow: chat, shift false", "embed: too long, truncate false", "embeddings: too long"}
        for name, row in rows().items():
            if "truncate false" not in name and name not in long:
                assert ollama_reply.too_long(row.response.status or 0, said(name)) is None, name
        for status, body in ((200, said("overflow: chat, truncate false")), (400, b""), (400, b"oops"), (400, b'{"error":"{"}'), (400, b'{"error":["a"]}')):
            assert ollama_reply.too_long(status, body) is None

    @pytest.mark.parametrize(
        ("name", "kind", "status"),
        [
            ("chat: tools on a model without", Uncarried, 400),
            ("chat: think on a model without", Uncarried, 400),
            ("chat: image on a model without vision", Uncarried, 400),
            ("embed: chat on an embedder", Uncarried, 400),
            ("embed: on a model that chats", Uncarried, 400),
            ("chat: format unknown word", CallerError, 400),
            ("chat: format bad schema", CallerError, 400),
            ("generate: bad template", CallerError, 400),
            ("generate: raw with context", CallerError, 400),
            ("error: chat, option of the wrong type", CallerError, 400),
            ("error: chat, content is a list", CallerError, 400),
            ("error: chat, unknown model", Refused, 503),
            ("error: foreign Host", Refused, 503),
            ("event: runner killed, chat, whole", Refused, 503),
            ("event: runner killed while loading, chat, stream", Refused, 503),
            ("event: six at once, model not loaded", Refused, 503),
            ("event: model file cut short, chat, stream", Refused, 503),
            ("native: num_predict reached in a tool call, whole", Refused, 503),
        ],
    )
    def test_whose_fault_it_is(self, name: str, kind: type[CallerError | Refused], status: int) -> None:
        error = refusal(name)
        assert type(error) is kind
        assert error.status == status
        assert json.loads(said(name) or b'{"error":"-"}')["error"] not in str(error) or kind is CallerError

    def test_the_runners_own_words_reach_the_caller(self) -> None:
        assert "JSON schema conversion failed" in str(refusal("chat: format bad schema"))
        assert '{"error"' not in str(refusal("chat: format bad schema"))

    def test_strange_refusals(self) -> None:
        for status in (400, 404, 418, 429, 500, 503):
            for body in (b"", b"404 page not found", b"[]", b'{"error":null}', b'{"error":{"message":7}}', b"\xff"):
                assert isinstance(ollama_reply.refusal(status, body), CallerError | Refused)

    def test_our_own_errors_in_its_words(self) -> None:
        error = NoRouteLeft('No route is left: "home" is down.')
        assert ollama_reply.error_body(error, "req-1") == b'{"error":"No route is left: \\"home\\" is down."}'
        assert ollama_reply.error_event(error, "req-1") == ollama_reply.error_body(error, "req-1") + b"\n"
        with pytest.raises(BrokeMidStream):
            answer([ollama_reply.error_event(error, "req-1")])


class TestCards:
    def test_models(self) -> None:
        assert ollama_reply.models(said("about: tags")) == ["slow:latest", "embedder:latest", "filler:latest"]
        assert ollama_reply.running(said("about: ps, one loaded")) == {"talker:latest": 4096}

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("about: show", (8192, {"completion", "tools", "thinking"}, True)),
            ("about: show, native", (8192, {"completion", "tools", "thinking"}, False)),
            ("about: show, old field name", (512, {"embedding"}, True)),
        ],
    )
    def test_cards(self, name: str, expected: tuple[int, set[str], bool]) -> None:
        context, capabilities, held = ollama_reply.card(said(name))
        assert (context, set(capabilities), held) == expected

    @pytest.mark.parametrize(
        ("shown", "expected"),
        [
            ({}, (None, [], False)),
            ({"model_info": {"x.context_length": 99}, "capabilities": ["a", 1]}, (99, ["a"], False)),
            ({"model_info": {"x.context_length": 99}, "parameters": "num_ctx                        64\nstop x"}, (64, [], False)),
            ({"model_info": {"x.context_length": 99}, "parameters": "num_ctx 640"}, (99, [], False)),
            ({"parameters": "num_ctx 640"}, (640, [], False)),
            ({"template": "{% if tools %}", "modelfile": "FROM a\nRENDERER qwen\nPARSER qwen\n"}, (None, [], True)),
            ({"model_info": [], "parameters": 3, "capabilities": {}, "template": 1}, (None, [], False)),
        ],
    )
    def test_strange_cards(self, shown: dict[str, Any], expected: tuple[int | None, list[str], bool]) -> None:
        assert ollama_reply.card(json.dumps(shown).encode()) == expected

    @pytest.mark.parametrize("body", [b"", b"oops", b"[]", b"{}", b'{"models":3}', b'{"models":[3,{},{"name":4}]}'])
    def test_what_is_no_list(self, body: bytes) -> None:
        assert ollama_reply.models(body) == []
        assert ollama_reply.running(body) == {}
        assert ollama_reply.card(body)[0] is None
