"""`homeport drift` beside a running gateway: recorded, the same, changed, told once, accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.cli import main
from homeport.monitor.outbox import Outbox
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Refuse
from tests.gateway import Running, config, soon

Drift = Callable[..., tuple[int, Any]]


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend('"question"') as backend:
        yield backend


@pytest.fixture
def drift(backend: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Drift]:
    monkeypatch.delenv("HOMEPORT_CONFIG", raising=False)
    path = config(
        tmp_path, {"only": backend.url}, models={"default": {"routes": [{"backend": "only", "model": "m"}]}}, monitor={"notify": ["json://127.0.0.1:9/x"]}
    )
    with Running(path) as gateway:
        monkeypatch.setenv("HOMEPORT_URL", gateway.url)
        monkeypatch.setenv("HOMEPORT_DATA", str(gateway.journal.data))
        monkeypatch.chdir(tmp_path)

        def run(*words: str) -> tuple[int, Any]:
            capsys.readouterr()
            code = main(("drift", *words, "--json"))
            return code, json.loads(capsys.readouterr().out)

        yield run


@pytest.mark.slow
def test_a_changed_answer_is_told_once_until_it_is_accepted(drift: Drift, backend: ScriptedBackend, tmp_path: Path) -> None:
    assert drift() == (0, {"ok": True, "drift": [], "models": 1, "cases": 0, "recorded": True})
    assert drift("--add", "classify", "Where is it?") == (0, {"ok": True, "drift": [], "models": 1, "cases": 1, "recorded": True})
    assert drift() == (0, {"ok": True, "drift": [], "models": 1, "cases": 1, "recorded": False})
    backend.default = '"request"'
    for _ in range(2):
        code, told = drift()
        assert (code, [(row["kind"], row["name"]) for row in told["drift"]]) == (1, [("answer", "classify")])
    outbox = Outbox(tmp_path / "data")
    [event] = [event for event in outbox.waiting(_target()) if event.kind == "drift"]
    outbox.close()
    assert "classify has drifted: its answer changed" in event.reason
    assert drift("--accept")[0] == 0
    assert drift()[1]["ok"]
    backend.default = "nothing of the kind"
    assert "no answer holds any more" in drift()[1]["drift"][0]["reason"]


def test_while_nothing_answers_nothing_has_drifted(drift: Drift, backend: ScriptedBackend) -> None:
    drift("--add", "classify", "Where is it?")
    backend.default = Refuse(status=503)
    code, told = drift()
    assert (code, "drift" in told) == (1, False)
    backend.default = '"question"'
    assert drift()[1]["ok"]


def test_what_is_no_case_is_refused(drift: Drift) -> None:
    assert drift("--add", "classify")[0] == 2
    assert drift("Where is it?")[0] == 2
    assert drift("--add", "clasify", "x")[0] == 1


def _target() -> str:
    from homeport.monitor.notify import targets

    return targets(["json://127.0.0.1:9/x"])[0].key


def test_a_backend_that_is_off_or_was_not_looked_at_has_not_drifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HOMEPORT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_DATA", str(tmp_path / "data"))

    def drift(gateway: Running) -> tuple[int, Any]:
        monkeypatch.setenv("HOMEPORT_URL", gateway.url)
        capsys.readouterr()
        return main(("drift", "--json")), json.loads(capsys.readouterr().out)

    def digest(gateway: Running) -> str | None:
        card = gateway.status()["models"][0]["routes"][0]["card"]
        return card["digest"] if card else None

    models = {"default": {"routes": [{"backend": "home", "model": "m"}]}}
    with ScriptedBackend("x", style="ollama", models=["m"]) as backend:
        path = config(tmp_path, {"home": {"kind": "ollama", "url": backend.url}}, models=models, monitor={"probe_interval_s": 0.2})
        with Running(path) as gateway:
            assert soon(lambda: digest(gateway) is not None, 20)
            assert drift(gateway)[1]["recorded"] is True
    with Running(path) as gateway:
        assert digest(gateway) is None
        assert drift(gateway) == (0, {"ok": True, "drift": [], "models": 1, "cases": 0, "recorded": False})
