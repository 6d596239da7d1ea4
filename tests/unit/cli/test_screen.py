"""How things are written."""

from __future__ import annotations

import io
import json
import os
import sys
import time

import pytest

from homeport.cli import screen


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 ms"),
        (0.0001, "0 ms"),
        (0.85, "850 ms"),
        (0.9994, "999 ms"),
        (1, "1.0 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (3599, "59 min"),
        (12000, "3 h 20 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert screen.duration(seconds) == told


def test_moments() -> None:
    now = time.time()
    assert screen.moment(now) == time.strftime("%H:%M:%S", time.localtime(now))
    assert len(screen.moment(86400.0)) == len("1970-01-02 00:00:00")


def test_counted() -> None:
    assert [screen.counted(number, "key") for number in (0, 1, 1200)] == ["0 keys", "1 key", "1,200 keys"]


def test_wide_and_strange_characters_keep_the_columns() -> None:
    assert screen.table(("A", "B"), [("日本", 1), ("e\u0301", 2), ("x\ny\x1b[2J", 3)]) == ["A        B", "日本     1", "e\u0301        2", "x y [2J  3"]


def test_a_table_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, terminal: None) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((10, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen.table(("A", "B"), [("abc", "defghijkl")]) == ["A    B", "abc  defg…"]


def test_json_on_a_terminal_that_is_no_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, raw in (("ascii", b'{"a":"\\u00e9"}\n'), ("utf-8", '{"a":"é"}\n'.encode())):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        screen.print_json({"a": "é"})
        assert out.buffer.getvalue() == raw  # type: ignore[attr-defined]
        assert json.loads(raw) == {"a": "é"}
