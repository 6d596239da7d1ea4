"""A request made to fit one model: lowered, put in other words, or left out; and left alone where it fits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, OLLAMA_CHAT, RESPONSES, Card, Surface
from homeport.wire.fitting import Fit, fit, fitted
from tests.unit.wire.test_needs import ask

OBJECT = {"type": "object"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}}


def test_what_follows_from_a_card() -> None:
    assert fit(Card(engine="llama.cpp", context=2048, format="yes")) is None
    assert fit(Card(engine="vllm", max_tokens=2048)) == Fit(max_tokens=2048)
    assert fit(Card(engine="ollama", capabilities={"thinking": False}, format="yes")) == Fit(thinks=False)
    assert fit(Card(engine="ollama", capabilities={"thinking": True}, format="schema")) == Fit(schemas_only=True)
    assert fit(Card(engine="ollama")) is None
    assert fit(Card(engine="anthropic", capabilities={"thinking": False})) is None


CASES: list[tuple[Fit, Surface, dict[str, Any], dict[str, Any]]] = [
    (Fit(max_tokens=100), CHAT, {"max_tokens": 32000, "max_completion_tokens": 101}, {"max_tokens": 100, "max_completion_tokens": 100}),
    (Fit(max_tokens=100), COMPLETIONS, {"max_tokens": 1e6}, {"max_tokens": 100}),
    (Fit(max_tokens=100), MESSAGES, {"max_tokens": 32000}, {"max_tokens": 100}),
    (Fit(max_tokens=100), RESPONSES, {"max_output_tokens": 32000}, {"max_output_tokens": 100}),
    (Fit(max_tokens=100), OLLAMA_CHAT, {"options": {"num_predict": 32000, "seed": 1}}, {"options": {"num_predict": 100, "seed": 1}}),
    (Fit(thinks=False), CHAT, {"reasoning_effort": "high", "seed": 1}, {"seed": 1}),
    (Fit(thinks=False), RESPONSES, {"reasoning": {"effort": "high"}, "input": "hi"}, {"input": "hi"}),
    (Fit(thinks=False), MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 5}, "max_tokens": 9}, {"max_tokens": 9}),
    (Fit(thinks=False), MESSAGES, {"output_config": {"effort": "high", "format": {"type": "x"}}}, {"output_config": {"format": {"type": "x"}}}),
    (
        Fit(schemas_only=True),
        CHAT,
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "json", "schema": OBJECT}}},
    ),
    (
        Fit(schemas_only=True),
        RESPONSES,
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        {"text": {"format": {"type": "json_schema", "name": "json", "schema": OBJECT}, "verbosity": "low"}},
    ),
    (Fit(schemas_only=True), OLLAMA_CHAT, {"format": "json"}, {"format": OBJECT}),
]


@pytest.mark.parametrize(("fitting", "surface", "given", "sent"), CASES)
def test_made_to_fit(fitting: Fit, surface: Surface, given: dict[str, Any], sent: dict[str, Any]) -> None:
    asked = ask(surface, **given)
    before = dict(asked.fields)
    made = fitted(asked, fitting)
    assert {name: msgspec.json.decode(raw) for name, raw in made.fields.items()} == sent
    assert asked.fields == before
    assert (made.id, made.surface, made.model) == (asked.id, asked.surface, asked.model)


@pytest.mark.parametrize(
    ("fitting", "surface", "given"),
    [
        (Fit(max_tokens=100), CHAT, {"max_tokens": 100}),
        (Fit(max_tokens=100), CHAT, {"max_tokens": None}),
        (Fit(max_tokens=100), CHAT, {"max_tokens": "many"}),
        (Fit(max_tokens=100), EMBEDDINGS, {"input": "hi"}),
        (Fit(max_tokens=100), OLLAMA_CHAT, {"options": {"num_predict": -1}}),
        (Fit(max_tokens=100), OLLAMA_CHAT, {"options": None}),
        (Fit(thinks=False), OLLAMA_CHAT, {"think": True}),  # Ollama's own callers are told, as by Ollama
        (Fit(thinks=False), MESSAGES, {"output_config": {"format": {"type": "x"}}}),
        (Fit(schemas_only=True), CHAT, {"response_format": SCHEMA}),
        (Fit(schemas_only=True), CHAT, {"response_format": {"type": "text"}}),
        (Fit(schemas_only=True), RESPONSES, {"text": None}),
        (Fit(schemas_only=True), OLLAMA_CHAT, {"format": OBJECT}),
        (Fit(schemas_only=True), OLLAMA_CHAT, {"format": ""}),
    ],
)
def test_what_fits_is_left_alone(fitting: Fit, surface: Surface, given: dict[str, Any]) -> None:
    asked = ask(surface, **given)
    assert fitted(asked, fitting) is asked
