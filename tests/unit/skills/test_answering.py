"""Who answers a chat: code, or the engine alone; and how an answer of code's looks on the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from homeport.errors import Refused, Stalled, Unreachable
from homeport.pilot import Spoilt
from homeport.skills import answering, drafting, extracting, reading, talk
from homeport.skills.extraction import Proposal
from homeport.skills.mind import Mind
from homeport.skills.spans import Candidate
from homeport.tasks.shipped import prompts
from homeport.vocabulary import CHAT, Ask, Caller, Route

ROUTE = Route("pilot", "pilot")


def ask(text: str, *, stream: bool = False, **fields: Any) -> Ask:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream, **fields}
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in body.items()}
    return Ask("req-1", "openai", CHAT, "m", raw, stream, False, len(text), Caller(None), 0.0)


class Engine:
    """An engine that says one text to a chat, and takes each word of a text for a token."""

    def __init__(self, said: str | None = None, finish: str = "stop") -> None:
        self.said, self.finish = said, finish
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, path: str, body: bytes | None = None) -> bytes:
        given = json.loads(body or b"{}")
        if path == "/tokenize":
            words = given["content"].split(" ")
            return msgspec.json.encode({"tokens": [{"id": n, "piece": word if n == 0 else f" {word}"} for n, word in enumerate(words)]})
        self.asked.append(given)
        if self.said is None:
            raise Unreachable("gone")
        assert given["stream"]
        halves = (self.said[:3], self.said[3:])
        events: list[Any] = [{"choices": [{"delta": {"content": half}, "finish_reason": None}]} for half in halves]
        events += [{"choices": [{"delta": {}, "finish_reason": self.finish}]}, {"choices": [], "usage": {"prompt_tokens": 7}}]
        return b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"


async def made(asked: Ask, engine: Engine) -> tuple[answering.Composed, bytes]:
    work = answering.work(asked)
    assert work is not None
    upstream = answering.Composed(work, asked, ROUTE, engine)
    head = await upstream.head()
    parts: list[bytes] = []

    def take(data: bytes) -> bool:
        parts.append(data)
        return False

    if head is None:
        assert not await upstream.pump(take)
    upstream.close()
    return upstream, head if head is not None else b"".join(parts)


def test_a_whole_is_that_of_an_engine() -> None:
    upstream, body = asyncio.run(made(ask("Write a poem", max_tokens=5), Engine()))
    said = json.loads(body)
    assert (upstream.status, upstream.headers[b"content-type"]) == (200, b"application/json")
    assert said["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": " ".join(talk.BEYOND.split(" ")[:5])},
        "logprobs": None,
        "finish_reason": "length",
    }
    assert said["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def test_a_stream_has_an_event_for_each_token_and_its_usage_at_the_end() -> None:
    _, body = asyncio.run(made(ask("Write a poem", stream=True), Engine()))
    events = [json.loads(line[6:]) for line in body.decode().split("\n\n") if line.startswith("data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]) == talk.BEYOND
    assert events[-2]["choices"][0]["finish_reason"] == "stop" and events[-1]["usage"]["completion_tokens"] == len(talk.BEYOND.split(" "))
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"ignore_eos": True},
        {"grammar": 'root ::= "a"'},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
    ],
)
def test_what_only_the_engine_can_do_is_left_to_it(fields: dict[str, Any]) -> None:
    assert answering.work(ask("Write a poem", **fields)) is None


@pytest.mark.parametrize("form", [None, {"type": "text"}])
def test_no_form_is_asked_for_by_null_or_text(form: Any) -> None:
    assert answering.work(ask("Write a poem", response_format=form)) is not None
    assert answering.work(ask(prompts.classify("hm"), response_format=form)) is not None
    assert answering.work(ask("Hello!", response_format=form)) is None


def test_more_labels_than_a_task_takes_are_no_task() -> None:
    async def beyond(count: int) -> bool:
        work = answering.work(ask(prompts.classify("hm", [f"l{n}" for n in range(count)])))
        assert work is not None
        return await work.make(Mind(Engine("x"), "pilot")) == talk.BEYOND

    assert asyncio.run(beyond(answering.NAMES + 1)) and not asyncio.run(beyond(answering.NAMES))


def test_the_tokens_of_a_very_long_prompt_are_guessed() -> None:
    text = "word " * (answering.COUNTED // 5 + 1)
    _, body = asyncio.run(made(ask(text), Engine()))
    assert json.loads(body)["usage"]["prompt_tokens"] == len(text) // 4


def test_what_it_was_taught_is_left_to_it_and_the_rest_is_not() -> None:
    assert answering.work(ask("Hello!")) is None
    assert answering.work(ask("")) is not None
    assert answering.work(ask("What is the meaning of zorbl?")) is not None


def test_a_grammar_for_other_fields_than_the_prompt_names_is_not_ours() -> None:
    prompt = prompts.extract("a", ["x, y"])
    assert answering.work(ask(prompt, grammar=r'root ::= "{\"x, y\":" string "}"')) is None
    assert answering.work(ask(prompts.extract("a", ["x", "y"]), grammar=r'root ::= "{\"x\":" string ",\"y\":" string "}"')) is not None


@pytest.mark.parametrize(
    ("prompt", "ours", "theirs"),
    [
        (prompts.classify("hm", ["a", "b"]), r'root ::= "\"a\"" | "\"b\""', 'root ::= "yes"'),
        (prompts.ask("Who?", "Ann."), r'root ::= "{" "\"answer\":" string "}"', r'root ::= "{" "\"who\":" string "}"'),
        (prompts.draft("firm"), r'root ::= "{" "\"subject\":" string "," "\"body\":" string "}"', r'root ::= "\"subject\""'),
    ],
)
def test_a_form_that_is_not_the_tasks_own_is_left_to_the_engine(prompt: str, ours: str, theirs: str) -> None:
    assert answering.work(ask(prompt, grammar=ours)) is not None
    assert answering.work(ask(prompt, grammar=theirs)) is None
    assert (answering.work(ask(prompt, response_format={"type": "json_object"})) is None) == prompt.startswith("Classify")
    assert answering.work(ask(prompt, response_format={"type": "json_schema", "json_schema": {"schema": {"type": "integer"}}})) is None


def test_the_decoder_is_asked_only_for_what_is_open_and_code_checks_it() -> None:
    text = "Paid 3 EUR to K. Zorbl-Ä in Oslo"
    engine = Engine('{"amount":"3 EUR","colour":"Oslo"}')
    _, body = asyncio.run(made(ask(prompts.extract(text, ["amount", "colour"])), engine))
    assert json.loads(json.loads(body)["choices"][0]["message"]["content"]) == {"amount": "3 EUR", "colour": "Oslo"}
    assert r"\"amount\":\"3 EUR\"" in engine.asked[0]["grammar"] and engine.asked[0]["temperature"] == 0
    _, body = asyncio.run(made(ask(prompts.extract(text, ["amount", "colour"])), Engine('{"amount":"3 EUR","colour":"Bergen"}')))
    assert json.loads(json.loads(body)["choices"][0]["message"]["content"])["colour"] is None


@pytest.mark.parametrize("engine", [Engine("nonsense"), Engine('{"answer":"', "length"), Engine("[1]"), Engine('{"answer":3}')])
def test_a_decoder_that_fails_its_grammar_costs_nothing(engine: Engine) -> None:
    for prompt in (
        prompts.ask("Why did they blue?", "They sailed. Nobody knows."),
        prompts.extract("a b c", ["zorbl"]),
        prompts.classify("hm", ["a", "b"]),
        prompts.scatter("x"),
        prompts.draft("firm"),
    ):
        _, body = asyncio.run(made(ask(prompt), engine))
        assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


def test_an_engine_that_is_gone_is_told() -> None:
    with pytest.raises(Unreachable):
        asyncio.run(made(ask(prompts.draft("firm")), Engine(None)))


def test_where_the_engine_takes_too_long_code_answers_alone() -> None:
    class Slow(Engine):
        async def __call__(self, path: str, body: bytes | None = None) -> bytes:
            raise Stalled("not done within 5 s")

    _, body = asyncio.run(made(ask(prompts.draft("firm")), Slow()))
    assert json.loads(json.loads(body)["choices"][0]["message"]["content"]) == drafting.TEMPLATES["firm"]
    assert json.loads(body)["usage"]["completion_tokens"] > 20


def test_a_spoilt_file_is_a_refusal_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt() -> None:
        raise Spoilt("intent.bin is not as it was made. Install Homeport anew.")

    monkeypatch.setattr("homeport.skills.linear.model", spoilt)
    with pytest.raises(Refused, match=r"intent\.bin is not as it was made"):
        asyncio.run(made(ask(prompts.classify("hm")), Engine("x")))


def test_the_decoders_word_weighs_and_does_not_decide_alone() -> None:
    found = [Candidate(0, 3, "Ann", 0.4), Candidate(10, 13, "Bob", 0.2), Candidate(-1, -1, None, 0.05)]
    text = "Ann......Bob......"
    assert reading.chosen(found, "Bob", text).text == "Bob"
    assert reading.chosen(found, None, text).text == "Ann"
    assert reading.chosen(found, "nothing of it", text).text == "Ann"


def test_who_is_right_on_a_field() -> None:
    assert extracting.accepted(Proposal(None, 0.3), "Oslo")
    assert not extracting.accepted(Proposal("Oslo", 0.5), None)
    assert not extracting.accepted(Proposal(None, 0.3), "x" * 200)
    assert not extracting.accepted(Proposal("Oslo", 0.55), "Bergen")
    kinds = {
        "email": ("Ann", "a@b.example"),
        "name": ("INV-7", "Ann Berg"),
        "amount": ("soon", "3 EUR"),
        "phone": ("12", "0151 2345678"),
        "invoice": ("Oslo", "INV-7"),
    }
    for kind, (bad, good) in kinds.items():
        assert not extracting.accepted(Proposal(None, 0.3), bad, kind) and extracting.accepted(Proposal(None, 0.3), good, kind)


def test_a_silent_mind_is_never_asked() -> None:
    engine = Engine("x")
    assert asyncio.run(Mind(engine, "pilot").silent().say("p", 'root ::= "x"\n')) is None
    assert engine.asked == []
