"""Scripted backends do with a last turn of the assistant's what their engines were seen to do."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.testing import prefill
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from homeport.testing.shapes import StyleName
from tests.caller import asked

TOKENS = ("Hello", "! I", " am", " a small", " model")
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}


def said(style: StyleName, text: str, *, stream: bool, **fields: Any) -> str:
    with ScriptedBackend(Answer(tokens=TOKENS), style=style) as backend:
        turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": text}]
        heard = asked(backend.url, {"model": "talker", "messages": turns, "stream": stream, **fields})
        assert heard.status == 200
        return heard.text


@pytest.mark.parametrize("flags", [{}, FLAGS], ids=["plain", "flags"])
@pytest.mark.parametrize("text", ["Hel", "Hello", "Hello! I am"])
def test_llama_cpp_goes_on_and_repeats_only_in_wholes(text: str, flags: dict[str, Any]) -> None:
    assert text + said("llama.cpp", text, stream=True, **flags) == "".join(TOKENS)
    assert said("llama.cpp", text, stream=True, echo=True, **flags) == "".join(TOKENS)
    assert said("llama.cpp", text, stream=False, **flags) == "".join(TOKENS)


@pytest.mark.parametrize("stream", [True, False])
def test_vllm_goes_on_where_it_is_told_to(stream: bool) -> None:
    assert said("vllm", "Hello! I", stream=stream, **FLAGS) == " am a small model"
    assert said("vllm", "Hello! I", stream=stream) == "".join(TOKENS)
    assert said("vllm", "Moin", stream=stream, **FLAGS) == "".join(TOKENS)


def test_ollama_answers_anew() -> None:
    assert said("ollama", "Hello", stream=True) == "".join(TOKENS)


@pytest.mark.parametrize("style", ["llama.cpp", "vllm"])
def test_what_is_refused(style: StyleName) -> None:
    user, assistant = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}
    with ScriptedBackend("x", style=style) as backend:
        both = asked(backend.url, {"model": "talker", "messages": [user, assistant], "continue_final_message": True})
        assert (both.status, both.error["message"]) == (400, prefill.BOTH)
        two = asked(backend.url, {"model": "talker", "messages": [user, assistant, assistant]})
        assert two.status == (400 if style == "llama.cpp" else 200)
        assert backend.generations == (style == "vllm")
