"""`homeport models`."""

from __future__ import annotations

from .conftest import FakeGateway, Homeport

TALKER = {"context": 4096, "trained": 32768, "capabilities": {"completion": True, "tools": True, "vision": False}, "format": "schema", "cuts": False}
OLD = {"context": None, "trained": 8192, "capabilities": {}, "format": "unknown", "cuts": True}
PILOT = {
    "context": 512,
    "trained": 512,
    "capabilities": {"completion": True, "embedding": True},
    "format": "yes",
    "cuts": False,
    "about": "the bundled model: small, for trying out",
}
MODELS = [
    {
        "name": "assistant",
        "routes": [
            {"backend": "home", "model": "qwen3.5:latest", "card": TALKER},
            {"backend": "vm", "model": "assistant", "card": None},
            {"backend": "old", "model": "assistant", "card": OLD},
            {"backend": "pilot", "model": "pilot", "card": PILOT},
        ],
    },
    {"name": "pilot", "routes": [{"backend": "pilot", "model": None}]},  # as an older gateway says it
    {"name": "none", "routes": []},
]


def test_the_screen(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"models": MODELS})
    ended = homeport("models")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "MODEL      ANSWERED BY            CONTEXT        CAN",
        "assistant  home (qwen3.5:latest)  4096 of 32768  chat, tools, JSON",
        "           then vm                -              not known",
        "           then old               up to 8192     cuts long prompts in silence",
        "           then pilot             512            chat, embeddings, JSON; the bundled model: small, for trying out",
        "pilot      pilot                  -              not known",
        "none       -                      -              not known",
    ]


def test_json(homeport: Homeport, gateway: FakeGateway) -> None:
    gateway.says({"models": MODELS})
    assert homeport("models", "--json").json == MODELS


def test_none(homeport: Homeport, gateway: FakeGateway) -> None:
    assert homeport("models").out.startswith("No model yet.")
    assert homeport("models", "--json").json == []
