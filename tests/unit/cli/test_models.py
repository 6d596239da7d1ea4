"""`homeport models`."""

from __future__ import annotations

from .conftest import FakeGateway, Homeport

MODELS = [
    {
        "name": "assistant",
        "routes": [{"backend": "home", "model": "qwen3.5:latest"}, {"backend": "vm", "model": "assistant"}, {"backend": "pilot", "model": "pilot"}],
    },
    {"name": "pilot", "routes": [{"backend": "pilot", "model": None}]},
]


def test_the_screen(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"models": MODELS})
    ended = homeport("models")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "MODEL      ANSWERED BY",
        "assistant  home (qwen3.5:latest), then vm, then pilot",
        "pilot      pilot",
    ]


def test_json(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"models": MODELS})
    assert homeport("models", "--json").json == MODELS


def test_none(homeport: Homeport, gateway: FakeGateway) -> None:
    assert homeport("models").out.startswith("No model yet.")
    assert homeport("models", "--json").json == []
