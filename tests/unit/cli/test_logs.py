"""`homeport logs`, and the ledger it reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.cli import logs as page
from homeport.storage.journal import Journal
from homeport.vocabulary import Attempt, Receipt

from .conftest import Homeport


def receipt(number: int, **changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "id": f"req-{number}",
        "ts": 1_700_000_000.0 + number,
        "key": None,
        "app": "curl",
        "task": None,
        "dialect": "openai",
        "asked": "assistant",
        "model": "qwen",
        "backend": "home",
        "provider": "openai",
        "location": "local",
        "stream": True,
        "outcome": "ok",
        "attempts": [Attempt("home", "qwen", "ok", "", 800.0)],
        "prompt_tokens": 12,
        "completion_tokens": 48,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "prompt_chars": 40,
        "queue_ms": 0.0,
        "first_token_ms": 120.0,
        "total_ms": 1600.0,
        "tok_per_s": 31.0,
        "cost_usd": None,
        "cloud_usd": None,
        "cache": None,
        "checks": [],
    }
    return Receipt(**(fields | changes))


@pytest.fixture
def settle(homeport: Homeport, tmp_path: Path) -> Callable[..., None]:
    """Writes receipts to the journal of the data folder, as a gateway does."""

    def write(*receipts: Receipt) -> None:
        journal = Journal(tmp_path / "data")
        for each in receipts:
            journal.settled(each)
        journal.close()

    return write


def test_nothing_yet(homeport: Homeport, tmp_path: Path) -> None:
    ended = homeport("logs")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f'No request yet (in {tmp_path / "data"}). Try: homeport run default "Where is my parcel?"\n'
    assert (homeport("logs", "--json").code, homeport("logs", "--json").out) == (0, "")
    assert not (tmp_path / "data").exists(), "looking changes nothing"


def test_a_line_each_oldest_first(homeport: Homeport, settle: Callable[..., None]) -> None:
    failed = [Attempt("vm", "m", "stalled", "silent for 15 s", 15000.0), Attempt("home", "qwen", "ok", "", 800.0)]
    settle(receipt(1), receipt(2, attempts=failed, key="laptop", total_ms=16600.0))
    settle(
        receipt(
            3,
            outcome="refused",
            asked="qwem",
            model=None,
            backend=None,
            attempts=[],
            prompt_tokens=0,
            completion_tokens=0,
            first_token_ms=None,
            tok_per_s=None,
            total_ms=0.2,
        )
    )
    lines = homeport("logs").out.splitlines()
    assert [line[21:] for line in lines] == [
        "ok           assistant -> home qwen  12+48 tokens, first 120 ms, total 1.6 s, 31 tok/s",
        "ok           assistant -> home qwen  12+48 tokens, first 120 ms, total 17 s, 31 tok/s, key laptop  [vm: silent for 15 s]",
        "refused      qwem -> nobody  total 0 ms",
    ]
    assert all(line.startswith("2023-11-1") for line in lines)
    assert [line[21:23] for line in homeport("logs", "--last", "1").out.splitlines()] == ["re"]
    assert homeport("logs", "-n", "0").out == ""
    assert homeport("logs", "-n", "-1").code == 2


def test_json_has_every_field(homeport: Homeport, settle: Callable[..., None]) -> None:
    settle(receipt(1), receipt(2))
    rows = [json.loads(line) for line in homeport("logs", "--json", "--last", "5").out.splitlines()]
    assert [row["id"] for row in rows] == ["req-1", "req-2"]
    assert set(rows[0]) == set(Receipt.__struct_fields__)
    assert rows[0]["attempts"] == [{"backend": "home", "model": "qwen", "outcome": "ok", "reason": "", "ms": 800.0}]


def test_follow_shows_each_new_one_once(homeport: Homeport, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """More come between two looks than one look sees; one of them arrived before what is shown already. Ctrl-C ends it well."""
    monkeypatch.setattr(page, "WINDOW", 4)
    settle(*(receipt(number) for number in range(10, 20)))
    turns = iter([[receipt(5, ts=1_700_000_018.5), *(receipt(number) for number in range(20, 33))], [], [receipt(33)]])

    def sleep(_: float) -> None:
        news = next(turns, None)
        if news is None:
            raise KeyboardInterrupt
        settle(*news)

    monkeypatch.setattr(time, "sleep", sleep)
    ended = homeport("logs", "-f", "--last", "2", "--json")
    assert ended.code == 0
    ids = [json.loads(line)["id"] for line in ended.out.splitlines()]
    assert ids == ["req-18", "req-19", "req-5", *(f"req-{number}" for number in range(20, 34))]
