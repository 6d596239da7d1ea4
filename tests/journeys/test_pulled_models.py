"""Pulled models through a running gateway: served without a restart, one at a time in memory, each answer from the right one."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.cli import main
from homeport.testing.talker import babble, write_talker
from tests.caller import Heard, asked, chat, request_bytes
from tests.conftest import child_processes
from tests.gateway import Running, soon
from tests.hub import Hub

pytestmark = pytest.mark.slow
SAID = {"a": "Your parcel is here.", "b": "It comes on Monday.", "c": "Nobody knows."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data" / "models"
    found.mkdir(parents=True)
    return found


@pytest.fixture
def gateway(tmp_path: Path, folder: Path) -> Iterator[Running]:
    """One without backends in its settings."""
    path = tmp_path / "homeport.toml"
    path.write_text(f'[server]\nlisten = "127.0.0.1:0"\ndata = "{tmp_path / "data"}"\ndrain_timeout_s = 2\n', encoding="utf-8")
    before = child_processes()
    with Running(path) as running:
        yield running
    assert child_processes() == before


def put(folder: Path, name: str, says: str, **more: Any) -> None:
    """A model on the shelf, whole from the start."""
    write_talker(folder / f"{name}.part", says, **more)
    os.replace(folder / f"{name}.part", folder / f"{name}.gguf")


def names(gateway: Running) -> list[str]:
    return [model["name"] for model in gateway.status()["models"]]


def says(gateway: Running, model: str) -> str:
    heard = asked(gateway.url, chat(model=model))
    assert heard.status == 200, heard.body
    text: str = heard.json["choices"][0]["message"]["content"]
    return text


def engines(gateway: Running) -> list[str]:
    """Which pulled models are in memory."""
    return [name for name, backend in gateway.app._backends.items() if backend.kind == "engine" and backend._endpoint.engine.pid]


@contextlib.contextmanager
def streaming(gateway: Running, model: str) -> Iterator[list[Heard]]:
    """An answer under way; what was heard of it is there at the end."""
    heard: list[Heard] = []
    listener = threading.Thread(target=lambda: heard.append(asked(gateway.url, chat(model=model, stream=True))))
    listener.start()
    assert soon(lambda: engines(gateway) == [model] and gateway.backend(model)["state"] == "healthy", 20)
    yield heard
    listener.join(30)


def test_a_pulled_model_is_served_without_a_restart(
    gateway: Running, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(gateway) == ["default", "pilot"]
    model = write_talker(tmp_path / "talker.gguf", SAID["a"]).read_bytes()
    with Hub({"org/talker-GGUF": {"talker-Q4_K_M.gguf": model}}) as hub:
        for name, value in (("HF_ENDPOINT", hub.url), ("HOMEPORT_URL", gateway.url), ("HOMEPORT_DATA", str(tmp_path / "data"))):
            monkeypatch.setenv(name, value)
        assert main(["pull", "hf.co/org/talker-GGUF"]) == 0
    assert f"The gateway at {gateway.url} serves it." in capsys.readouterr().out
    assert names(gateway) == ["default", "talker-Q4_K_M", "pilot"]
    assert (gateway.backend("talker-Q4_K_M")["state"], gateway.backend("talker-Q4_K_M")["reason"]) == ("healthy", "loads when it is asked")
    assert engines(gateway) == []
    assert says(gateway, "talker-Q4_K_M") == says(gateway, "default") == SAID["a"]
    assert main(["models"]) == 0
    assert "talker-Q4_K_M" in capsys.readouterr().out


def test_one_at_a_time_is_in_memory_and_each_answers_for_itself(gateway: Running, folder: Path) -> None:
    for name, text in SAID.items():
        put(folder, name, text)
    assert soon(lambda: set(SAID) <= set(names(gateway)))
    for name in "abacb":
        assert says(gateway, name) == SAID[name]
        assert engines(gateway) == [name]


def test_asked_all_at_once_every_one_has_its_turn(gateway: Running, folder: Path) -> None:
    for name, text in SAID.items():
        put(folder, name, text)
    assert soon(lambda: set(SAID) <= set(names(gateway)))
    heard: list[tuple[str, str]] = []

    def ask(name: str) -> None:
        heard.extend((name, says(gateway, name)) for _ in range(4))

    askers = [threading.Thread(target=ask, args=(name,)) for name in SAID for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert len(heard) == 36
    assert set(heard) == set(SAID.items())
    assert gateway.idle()


def test_an_answer_under_way_is_ended_before_another_model_comes(gateway: Running, folder: Path) -> None:
    long = babble(400)
    put(folder, "a", long, slow_layers=1)
    put(folder, "b", SAID["b"])
    assert soon(lambda: {"a", "b"} <= set(names(gateway)))
    assert says(gateway, "b") == SAID["b"]
    with streaming(gateway, "a") as first:
        assert says(gateway, "b") == SAID["b"]
        assert engines(gateway) == ["b"]
    [heard] = first
    assert (heard.text, heard.finish) == (long, "stop")


def test_what_was_replaced_or_removed_is_noticed(gateway: Running, folder: Path) -> None:
    put(folder, "a", SAID["a"])
    assert soon(lambda: "a" in names(gateway))
    assert says(gateway, "a") == SAID["a"]
    put(folder, "a", SAID["b"])
    assert soon(lambda: says(gateway, "a") == SAID["b"])
    (folder / "a.gguf").unlink()
    assert soon(lambda: names(gateway) == ["default", "pilot"])
    assert asked(gateway.url, chat(model="a")).status == 404
    assert soon(lambda: engines(gateway) == [])
    put(folder, "a", SAID["c"])
    assert soon(lambda: "a" in names(gateway))
    assert says(gateway, "a") == SAID["c"]


def test_a_file_that_is_no_model_does_not_keep_the_others_out(gateway: Running, folder: Path) -> None:
    (folder / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    put(folder, "a", SAID["a"])
    assert soon(lambda: {"a", "broken"} <= set(names(gateway)))
    heard = asked(gateway.url, chat(model="broken"))
    assert heard.status == 503
    assert "could not load broken.gguf" in heard.error["message"]
    assert says(gateway, "a") == SAID["a"]


def test_who_leaves_while_it_waits_keeps_nobody(gateway: Running, folder: Path) -> None:
    put(folder, "a", babble(300), slow_layers=1)
    put(folder, "b", SAID["b"])
    assert soon(lambda: {"a", "b"} <= set(names(gateway)))
    with streaming(gateway, "a") as first:
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as leaver:
            leaver.sendall(request_bytes(chat(model="b")))
            assert soon(lambda: gateway.backend("b")["in_flight"] == 1)
            assert gateway.backend("a")["reason"] == "makes room for another model"
        assert soon(lambda: gateway.backend("b")["in_flight"] == 0)
        assert soon(lambda: gateway.backend("a")["state"] == "healthy")
        assert first == []
    assert first[0].finish == "stop"
    assert engines(gateway) == ["a"]
