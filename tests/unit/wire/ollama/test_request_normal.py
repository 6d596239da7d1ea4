"""Ollama requests in the normal form, and prompts of any dialect as Ollama's requests."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.errors import Malformed, Uncarried
from homeport.vocabulary import EMBED, GENERATE, OLLAMA_CHAT, Ask
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.ollama.request import compose, understand
from tests.unit.wire.ollama_samples import PNG, TOOL, chat, embed, generate, old_embed, rows

HI = [Turn("user", ["Hi"])]


def prompt_of(asked: Ask) -> Prompt:
    prompt = understand(asked)
    assert isinstance(prompt, Prompt)
    return prompt


def composed(prompt: Prompt | Texts, **options: Any) -> dict[str, Any]:
    return compose(prompt, model="theirs", stream=True, options=options)[1]


class TestUnderstand:
    def test_a_conversation(self) -> None:
        asked = chat(
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "What?", "images": [PNG]},
                {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
                {"role": "tool", "tool_name": "f", "content": "rain"},
                {"role": "tool", "name": "g", "tool_call_id": "c", "content": "sun"},
            ],
            tools=[TOOL],
        )
        prompt = prompt_of(asked)
        assert prompt.turns == [
            Turn("system", ["Be brief."]),
            Turn("user", ["What?", Image(PNG, "image/png")]),
            Turn("assistant", [], reasoning="Hm", calls=[Call("", "f", '{"a":1}')]),
            Turn("tool", ["rain"], name="f"),
            Turn("tool", ["sun"], name="g", answers="c"),
        ]
        assert prompt.tools == [Tool("get_weather", "Weather of a city.", {"type": "object", "properties": {}})]

    def test_options(self) -> None:
        options = {
            "num_predict": 7,
            "stop": ["a", "b"],
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 20,
            "min_p": 0.1,
            "seed": 3,
            "repeat_penalty": 1.1,
            "frequency_penalty": 0.2,
            "presence_penalty": 0.3,
        }
        hints = {"num_ctx": 2048, "num_gpu": 1, "use_mmap": True, "mirostat": 0, "tfs_z": 1.0, "typical_p": None}
        prompt = prompt_of(chat(options=options | hints, keep_alive="5m", truncate=True, shift=False, think=None, format="", logprobs=False))
        assert prompt == Prompt(
            HI,
            stop=["a", "b"],
            max_tokens=7,
            temperature=0.5,
            top_p=0.9,
            top_k=20,
            min_p=0.1,
            frequency_penalty=0.2,
            presence_penalty=0.3,
            repeat_penalty=1.1,
            seed=3,
        )

    @pytest.mark.parametrize("number", [0, -1, -2])
    def test_no_limit(self, number: int) -> None:
        assert prompt_of(chat(options={"num_predict": number, "seed": -1})) == Prompt(HI)

    def test_one_stop_and_a_number_with_a_point(self) -> None:
        prompt = prompt_of(chat(options={"stop": "x", "num_predict": 8.0}))
        assert (prompt.stop, prompt.max_tokens) == (["x"], 8)

    @pytest.mark.parametrize(("think", "form"), [(True, "json"), ("high", {"type": "object"}), (False, None)])
    def test_thinking_and_format(self, think: Any, form: Any) -> None:
        for asked in (chat(think=think, format=form), generate(think=think, format=form)):
            prompt = prompt_of(asked)
            assert prompt.thinking == think
            assert prompt.format == (Schema(form) if isinstance(form, dict) else form)

    def test_generate(self) -> None:
        prompt = prompt_of(generate(prompt="What?", system="Be brief.", images=[PNG], suffix="end", template="", context=[]))
        assert prompt == Prompt([Turn("system", ["Be brief."]), Turn("user", ["What?", Image(PNG, "image/png")])], suffix="end")
        assert prompt_of(generate(prompt="Once", raw=True)) == Prompt([Turn("user", ["Once"])], raw=True)

    def test_embeddings(self) -> None:
        assert understand(embed(input="a")) == Texts(["a"], truncate=True)
        assert understand(embed(input=["a", "b"], truncate=False, dimensions=4, options={"wibble": 1})) == Texts(["a", "b"], dimensions=4)
        assert understand(old_embed(prompt="a", keep_alive=1)) == Texts(["a"])

    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            (generate(template="{{ .Prompt }}"), "template"),
            (generate(context=[1, 2]), "context"),
            (chat(logprobs=True, top_logprobs=2), "logprobs"),
            (chat(wibble=1), "wibble"),
            (chat(options={"wibble": 1}), "options.wibble"),
            (chat(options={"mirostat": 2}), "options.mirostat"),
            (chat(options={"repeat_last_n": -1}), "options.repeat_last_n"),
            (chat(messages=[{"role": "user", "content": "a"}, {"role": "wizard", "content": "Hi"}]), "messages[1].role"),
            (chat(messages=[{"content": "Hi"}]), "messages[0].role"),
            (chat(messages=[{"role": "user", "content": "a", "wibble": 1}]), "messages[0].wibble"),
            (chat(tools=[{"type": "retrieval", "function": {"name": "f"}}]), "tools[0].type"),
            (embed(input="a", wibble=1), "wibble"),
        ],
    )
    def test_what_no_other_dialect_says_is_refused(self, asked: Ask, param: str) -> None:
        with pytest.raises(Uncarried) as raised:
            understand(asked)
        assert raised.value.param == param

    def test_what_is_wrong_is_malformed(self) -> None:
        with pytest.raises(Malformed):
            understand(chat(tools=[{"type": "function", "function": {}}]))
        with pytest.raises(Malformed):
            understand(chat(messages=[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": None}}, {}]}]))


class TestCompose:
    def test_a_conversation(self) -> None:
        turns = [
            Turn("system", ["Be brief."]),
            Turn("user", ["What?", Image(PNG, "image/png"), "Now?"]),
            Turn("assistant", [], reasoning="Hm", calls=[Call("c1", "f", '{"a": 1}'), Call("", "g", "")]),
            Turn("tool", ["rain"], answers="c1"),
            Turn("tool", ["gone"], name="g", failed=True),
        ]
        surface, body = compose(Prompt(turns, tools=[Tool("f", "Does.", {"type": "object"}, strict=True)]), model="theirs", stream=False, options={})
        assert surface is OLLAMA_CHAT
        assert body == {
            "model": "theirs",
            "stream": False,
            "truncate": False,
            "tools": [{"type": "function", "function": {"name": "f", "description": "Does.", "parameters": {"type": "object"}}}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What?\nNow?", "images": [PNG]},
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "Hm",
                    "tool_calls": [
                        {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
                        {"function": {"index": 1, "name": "g", "arguments": {}}},
                    ],
                },
                {"role": "tool", "content": "rain", "tool_name": "f", "tool_call_id": "c1"},
                {"role": "tool", "content": "Error: gone", "tool_name": "g"},
            ],
        }

    def test_all_that_can_be_said_comes_back_as_it_was(self) -> None:
        prompt = Prompt(
            [*HI, Turn("assistant", ["Yes"], calls=[Call("c", "f", '{"a":1}')]), Turn("tool", ["b"], answers="c", name="f")],
            tools=[Tool("f", "", {"type": "object"})],
            format=Schema({"type": "object"}),
            stop=["x"],
            max_tokens=5,
            temperature=0.0,
            top_p=0.5,
            top_k=1,
            min_p=0.2,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            repeat_penalty=1.2,
            seed=0,
            thinking="low",
        )
        body = composed(prompt)
        assert prompt_of(chat(**{name: value for name, value in body.items() if name != "model"})) == prompt

    def test_a_raw_prompt_and_a_gap(self) -> None:
        surface, body = compose(Prompt([Turn("user", ["def f("])], raw=True, suffix="return", max_tokens=3), model="theirs", stream=True, options={})
        assert surface is GENERATE
        assert body == {
            "model": "theirs",
            "prompt": "def f(",
            "suffix": "return",
            "options": {"num_predict": 3},
            "stream": True,
            "truncate": False,
        }
        assert composed(Prompt([Turn("system", ["a"]), Turn("user", ["b", Image(PNG)])], suffix="c")) == {
            "model": "theirs",
            "system": "a",
            "prompt": "b",
            "images": [PNG],
            "suffix": "c",
            "stream": True,
            "truncate": False,
        }

    def test_texts(self) -> None:
        surface, body = compose(Texts(["a"], dimensions=4, truncate=True), model="theirs", stream=False, options={"keep_alive": 1, "top_k": 3, "num_ctx": 9})
        assert surface is EMBED
        assert body == {"model": "theirs", "input": ["a"], "dimensions": 4, "truncate": True, "keep_alive": 1, "options": {"num_ctx": 9}}
        assert composed(Texts(["a"]))["truncate"] is False

    @pytest.mark.parametrize(
        ("thinking", "think"),
        [
            (True, True),
            (False, False),
            ("none", False),
            ("minimal", "low"),
            ("low", "low"),
            ("medium", "medium"),
            ("high", "high"),
            ("xhigh", "max"),
            ("max", "max"),
        ],
    )
    def test_thinking(self, thinking: bool | str, think: bool | str) -> None:
        body = composed(Prompt(HI, thinking=thinking, thinking_tokens=100), think="medium")
        assert (body["think"], type(body["think"])) == (think, type(think))

    def test_thinking_that_nobody_mentioned_is_left_out(self) -> None:
        assert "think" not in composed(Prompt(HI))
        assert composed(Prompt(HI), think=False)["think"] is False

    def test_a_routes_options_are_defaults(self) -> None:
        body = composed(Prompt(HI, temperature=1.0, format="json"), temperature=0.3, seed=42, keep_alive=-1, format="x", num_ctx=8192, truncate=True)
        assert body["options"] == {"temperature": 1.0, "seed": 42, "num_ctx": 8192}
        assert (body["keep_alive"], body["format"], body["truncate"]) == (-1, "json", True)

    def test_no_tool_wanted_is_none_offered(self) -> None:
        assert "tools" not in composed(Prompt(HI, tools=[Tool("f")], tool_choice="none"))
        assert "tools" in composed(Prompt(HI, tools=[Tool("f")], tool_choice="auto", parallel_calls=True))

    @pytest.mark.parametrize(
        ("prompt", "param"),
        [
            (Prompt(HI, tools=[Tool("f")], tool_choice="required"), "tool_choice"),
            (Prompt(HI, tools=[Tool("f")], tool_choice="tool", tool_name="f"), "tool_choice"),
            (Prompt(HI, raw=True, tools=[Tool("f")]), "tools"),
            (Prompt([*HI, Turn("user", [Image(url="https://pictures.example/a.png")])]), "messages[1]"),
            (Prompt([Turn("assistant", [], calls=[Call("", "f", "[1]")])]), "messages[0]"),
            (Prompt([Turn("assistant", [], calls=[Call("", "f", '{"a":')])]), "messages[0]"),
            (Prompt(HI, max_tokens=0), "max_tokens"),
            (Prompt(HI, thinking="enormous"), "reasoning_effort"),
            (Prompt([]), "messages"),
            (Prompt([*HI, *HI], raw=True), "prompt"),
            (Prompt([Turn("user", [""])], raw=True), "prompt"),
        ],
    )
    def test_what_ollama_cannot_do_is_refused(self, prompt: Prompt, param: str) -> None:
        with pytest.raises(Uncarried) as raised:
            composed(prompt)
        assert raised.value.param == param

    def test_recorded_requests_survive_the_round_trip(self) -> None:
        row = rows()["chat: tool result sent back"]
        body = composed(prompt_of(chat(**{name: value for name, value in row.request.body.items() if name != "model"})))
        assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool"]
        assert body["options"] == row.request.body["options"]
        assert body["tools"] == row.request.body["tools"]
