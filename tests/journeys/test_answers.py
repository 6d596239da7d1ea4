"""Answers without a model through the whole app: in every dialect, streamed and whole, with the same receipt; and what is left to the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.errors import BadSettings
from homeport.settings import Settings, load
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from homeport.vocabulary import CHAT, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES, Surface
from tests.caller import asked, chat
from tests.dialects import body, told
from tests.gateway import Running, config

DATA = {"projects": {"Homeport": {"summary": "A front door.", "tags": ["python", "http"], "stars": 12}, "Other {item}": {"summary": "{data.projects}"}}}
TEXT = """
[answers.help]
models = ["assistant"]
exact = ["help", "What can you do?"]
reply = "Ask about {a project}."
[answers.list]
models = ["assistant"]
exact = ["list"]
data = "projects.json"
reply = "{data.projects}"
[answers.show]
models = ["assistant"]
pattern = 'show (?P<item>.+) (?P<field>\\w+)'
data = "projects.json"
reply = "{item}: {data.projects.item.field}"
"""
SHOWN = (CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE)


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(Answer(text="the model's own")) as backend:
        yield backend


def written(folder: Path, url: str, answers: str = TEXT) -> Path:
    (folder / "projects.json").write_text(json.dumps(DATA), encoding="utf-8")
    path = config(folder, {"only": url})
    path.write_text(path.read_text(encoding="utf-8") + answers, encoding="utf-8")
    return path


@pytest.fixture
def gateway(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Running]:
    with Running(written(tmp_path, backend.url)) as gateway:
        yield gateway


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("surface", SHOWN)
def test_every_dialect_hears_it_in_its_own_form(gateway: Running, backend: ScriptedBackend, surface: Surface, stream: bool) -> None:
    heard = asked(gateway.url, body(surface, "  HELP ", stream=stream), path=surface.value)
    assert heard.status == 200, heard.body
    answer = told(surface, heard.body, stream=stream)
    assert (answer.text, answer.finish, answer.ended, answer.errors) == ("Ask about {a project}.", "stop", True, [])
    assert heard.headers["x-homeport-attempts"] == "0"
    [receipt] = gateway.journal.settled(1)
    assert (receipt["outcome"], receipt["backend"], receipt["model"], receipt["attempts"], receipt["completion_tokens"]) == ("ok", None, None, [], 0)
    assert (receipt["asked"], receipt["stream"], receipt["cost_usd"]) == ("assistant", stream, None)
    assert backend.asks == []


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("what  can you\ndo?", "Ask about {a project}."),
        ("list", "Homeport\nOther {item}"),
        ("show Homeport summary", "Homeport: A front door."),
        ("SHOW homeport Summary", "homeport: A front door."),
        ("show homeport tags", "homeport: python\nhttp"),
        ("show homeport stars", "homeport: 12"),
        ("show other {item} summary", "other {item}: {data.projects}"),
    ],
)
def test_a_message_is_answered_from_data_and_nothing_in_it_is_filled_in_twice(gateway: Running, text: str, reply: str) -> None:
    assert asked(gateway.url, chat(text)).text == reply


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": "help me"}]},
        {"messages": [{"role": "user", "content": "show Nothing summary"}]},
        {"messages": [{"role": "user", "content": "help"}, {"role": "assistant", "content": "With what?"}, {"role": "user", "content": "a parcel"}]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": "show " + "x" * 300 + " summary"}]},
        {"messages": [{"role": "system", "content": "help"}]},
    ],
)
def test_all_else_goes_to_the_model(gateway: Running, backend: ScriptedBackend, more: dict[str, Any]) -> None:
    assert asked(gateway.url, chat("help", **more)).text == "the model's own"
    assert len(backend.asks) == 1


def test_it_is_answered_while_every_backend_is_off_and_for_no_name_that_is_not_served(tmp_path: Path) -> None:
    with Running(written(tmp_path, "http://127.0.0.1:9", TEXT.replace('exact = ["list"]', 'exact = ["list", "names"]'))) as gateway:
        assert asked(gateway.url, chat("names")).text == "Homeport\nOther {item}"
        assert asked(gateway.url, chat("names", model="assistant:latest")).text == "Homeport\nOther {item}"
        assert asked(gateway.url, chat("names", model="nobody")).status == 404


def test_a_task_is_never_answered_so(gateway: Running) -> None:
    heard = asked(gateway.url, chat("help"), headers={"homeport-task": "classify"})
    assert heard.text == "the model's own"


def test_what_is_private_is(gateway: Running, backend: ScriptedBackend) -> None:
    """A Homeport in front says only that; a task says its name as well."""
    assert asked(gateway.url, chat("help"), headers={"homeport-private": "true"}).text == "Ask about {a project}."
    assert backend.generations == 0


def test_a_reload_reads_the_data_anew_and_refuses_a_file_that_is_broken(gateway: Running, tmp_path: Path) -> None:
    def reloaded(settings: Settings) -> None:
        asyncio.run_coroutine_threadsafe(gateway.app.reload(settings), gateway._loop).result(20)

    file = tmp_path / "projects.json"
    file.write_text('{"projects": {"New": {}}}', encoding="utf-8")
    reloaded(load(config=tmp_path / "homeport.toml"))
    assert asked(gateway.url, chat("list")).text == "New"
    settings = load(config=tmp_path / "homeport.toml")
    file.write_text('{"projects": ', encoding="utf-8")
    with pytest.raises(BadSettings, match="is no JSON"):
        reloaded(settings)
    assert asked(gateway.url, chat("list")).text == "New"
