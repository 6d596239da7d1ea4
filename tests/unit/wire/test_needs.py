"""What a request needs of a model, told from its fields in each dialect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from homeport.vocabulary import CHAT, COMPLETIONS, COUNT_TOKENS, EMBED, EMBEDDINGS, GENERATE, MESSAGES, OLD_EMBED, OLLAMA_CHAT, RESPONSES, Ask, Caller, Surface
from homeport.wire import needs
from homeport.wire.bridge import SURFACES

ALL = ("completion", "tools", "vision", "format", "thinking", "insert", "embedding")
DIALECTS = {surface: dialect for dialect, surfaces in SURFACES.items() for surface in surfaces}
URL = {"type": "image_url", "image_url": {"url": "data:x"}}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
TOOL = {"type": "function", "function": {"name": "f"}}


def ask(surface: Surface, **fields: Any) -> Ask:
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return Ask("req-1", DIALECTS[surface], surface, "m", raw, False, False, 0, Caller(None), 0.0)


def user(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


CASES: list[tuple[Surface, dict[str, Any], set[str]]] = [
    (CHAT, {"messages": user("hi")}, set()),
    (CHAT, {"messages": user("hi"), "tools": [TOOL]}, {"tools"}),
    (CHAT, {"messages": user("hi"), "tools": [], "functions": [TOOL]}, {"tools"}),
    (CHAT, {"messages": user("hi"), "tools": None}, set()),
    (CHAT, {"messages": user("hi"), "tools": [TOOL], "tool_choice": "none"}, set()),
    (CHAT, {"messages": user("hi"), "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tools"}),
    (CHAT, {"messages": user([{"type": "text", "text": "what?"}, URL])}, {"vision"}),
    (CHAT, {"messages": user('say "image_url" twice')}, set()),
    (CHAT, {"messages": user("image_url")}, set()),
    (CHAT, {"messages": user("hi"), "response_format": {"type": "json_object"}}, {"format"}),
    (CHAT, {"messages": user("hi"), "response_format": {"type": "text"}}, set()),
    (CHAT, {"messages": user("hi"), "reasoning_effort": "high"}, set()),
    (COMPLETIONS, {"prompt": "hi"}, set()),
    (COMPLETIONS, {"prompt": "hi", "suffix": "!"}, {"insert"}),
    (RESPONSES, {"input": "image"}, set()),
    (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]}, {"vision"}),
    (RESPONSES, {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": "data:x"}]}]}, {"vision"}),
    (RESPONSES, {"input": "hi", "text": {"format": {"type": "json_schema", "schema": {}}}, "tools": [{"type": "function", "name": "f"}]}, {"format", "tools"}),
    (MESSAGES, {"messages": user("image")}, set()),
    (MESSAGES, {"messages": user([PICTURE])}, {"vision"}),
    (MESSAGES, {"messages": user([{"type": "tool_result", "tool_use_id": "1", "content": [PICTURE]}])}, {"vision"}),
    (MESSAGES, {"messages": user("hi"), "tools": [{"name": "f"}], "tool_choice": {"type": "none"}}, set()),
    (MESSAGES, {"messages": user("hi"), "tools": [{"name": "f"}], "thinking": {"type": "enabled", "budget_tokens": 1024}}, {"tools"}),
    (MESSAGES, {"messages": user("hi"), "output_config": {"format": {"type": "json_schema", "schema": {}}}}, {"format"}),
    (MESSAGES, {"messages": user("hi"), "output_config": {"effort": "high"}}, set()),
    (OLLAMA_CHAT, {"messages": user("hi"), "think": True, "format": "json"}, {"thinking", "format"}),
    (OLLAMA_CHAT, {"messages": user("hi"), "think": "high", "format": ""}, {"thinking"}),
    (OLLAMA_CHAT, {"messages": user("hi"), "think": False, "tools": [TOOL]}, {"tools"}),
    (OLLAMA_CHAT, {"messages": user("images", images=["aGk="])}, {"vision"}),
    (OLLAMA_CHAT, {"messages": user("images", images=[])}, set()),
    (GENERATE, {"prompt": "hi", "images": ["aGk="], "suffix": "!"}, {"vision", "insert"}),
    (GENERATE, {"prompt": "hi", "images": []}, set()),
]


@pytest.mark.parametrize(("surface", "fields", "needed"), CASES)
def test_what_is_needed(surface: Surface, fields: dict[str, Any], needed: set[str]) -> None:
    assert set(needs.of(ask(surface, **fields), ALL)) == {"completion", *needed}


@pytest.mark.parametrize("surface", [EMBEDDINGS, EMBED, OLD_EMBED])
def test_embeddings(surface: Surface) -> None:
    assert needs.of(ask(surface, input="hi"), ALL) == ["embedding"]
    assert needs.of(ask(surface, input="hi"), ("tools",)) == []


def test_counting_tokens_needs_nothing() -> None:
    assert needs.of(ask(COUNT_TOKENS, messages=user([PICTURE]), tools=[TOOL]), ALL) == []


def test_only_what_is_in_question_is_looked_for() -> None:
    assert needs.of(ask(CHAT, messages=user([URL]), tools=[TOOL]), ("tools",)) == ["tools"]
