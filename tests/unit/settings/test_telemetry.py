"""`[telemetry]`."""

from __future__ import annotations

from pathlib import Path

import pytest

import homeport.settings.telemetry
from homeport.settings.telemetry import VARIABLE, installed

from .test_reading import HOME, folder, problems, read

__all__ = ["folder"]

URL = '[telemetry]\notlp_url = "http://collector.lan:4318/"\n'
NAME = "telemetry.otlp_url"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed."""
    monkeypatch.setattr(homeport.settings.telemetry, "installed", lambda: False)


def test_off_unless_told(folder: Path) -> None:
    assert read(HOME, folder).telemetry.otlp_url is None


def test_from_the_file(folder: Path) -> None:
    settings = read(HOME + URL, folder)
    assert settings.telemetry.otlp_url == "http://collector.lan:4318"
    assert settings.origins[NAME] == "file"


def test_the_variable_wins(folder: Path) -> None:
    settings = read(HOME + URL, folder, **{VARIABLE: "https://other.example/otlp"})
    assert settings.telemetry.otlp_url == "https://other.example/otlp"
    assert settings.origins[NAME] == "environment"
    assert read(HOME, folder, **{VARIABLE: ""}).telemetry.otlp_url is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('otlp_url = "collector:4318"', 'did you mean "http://collector:4318"?'),
        ('otlp_url = "http://me:secret@collector"', "may not hold a user name or password"),
        ("otlp_url = 4318", "takes a text, not a whole number"),
        ('url = "http://collector"', "it takes otlp_url"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, text: str, words: str) -> None:
    [problem] = problems(HOME + f"[telemetry]\n{text}\n", folder)
    assert words in problem
    assert "homeport.toml:" in problem
    assert "secret" not in problem


def test_a_bad_variable_is_refused(folder: Path) -> None:
    [problem] = problems(HOME, folder, **{VARIABLE: "collector"})
    assert problem.startswith(f"{VARIABLE} takes http:// or https://")


@pytest.mark.usefixtures("absent")
def test_without_the_extra_the_file_is_refused_with_the_remedy(folder: Path) -> None:
    [problem] = problems(HOME + URL, folder)
    assert "telemetry.otlp_url is set, and what sends spans is not installed; pip install 'homeport[otel]'" in problem


@pytest.mark.usefixtures("absent")
def test_without_the_extra_the_variable_which_may_be_meant_for_others_is_worth_a_notice(folder: Path) -> None:
    settings = read(HOME, folder, **{VARIABLE: "http://collector:4318"})
    assert settings.telemetry.otlp_url is None
    assert any("pip install 'homeport[otel]'" in notice for notice in settings.notices)


def test_whether_the_extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed()

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(homeport.settings.telemetry, "find_spec", missing)
    assert not installed()
    monkeypatch.setattr(homeport.settings.telemetry, "find_spec", lambda _: None)
    assert not installed()
