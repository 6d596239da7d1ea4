"""Each dialect's paths lead to the journey the short way, under the URLs its clients write, and its requests are metered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from tests.caller import asked
from tests.gateway import Running, config

TURN = [{"role": "user", "content": "Hi"}]
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/messages": ("anthropic", {"max_tokens": 5, "messages": TURN}),
    "/v1/messages?beta=true": ("anthropic", {"max_tokens": 5, "messages": TURN}),
    "/v1/messages/count_tokens?beta=true": ("anthropic", {"messages": TURN}),
    "/v1/responses": ("responses", {"input": "Hi"}),
    "/api/chat": ("ollama", {"messages": TURN, "stream": False}),
    "/api/generate": ("ollama", {"prompt": "Hi", "stream": False}),
    "/api/embed": ("ollama", {"input": ["Hi"]}),
    "/api/embeddings": ("ollama", {"prompt": "Hi"}),
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with ScriptedBackend("Red green blue.") as backend, Running(config(tmp_path, {"only": backend.url})) as gateway:
        yield gateway


@pytest.mark.parametrize("path", DOORS)
def test_a_path_is_answered_and_leaves_one_receipt(gateway: Running, path: str) -> None:
    dialect, body = DOORS[path]
    heard = asked(gateway.url, {"model": "assistant"} | body, path=path)
    assert heard.status == 200
    assert "date" not in heard.headers  # as uvicorn, the long way, would say
    assert heard.headers["x-homeport-backend"] == "only"
    (receipt,) = gateway.journal.settled(1)
    assert (receipt["dialect"], receipt["outcome"], receipt["asked"], receipt["model"]) == (dialect, "ok", "assistant", "m")


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_request_that_only_loads_asks_no_backend(gateway: Running, path: str) -> None:
    heard = asked(gateway.url, {"model": "assistant", "keep_alive": 0}, path=path)
    assert (heard.status, heard.json["done_reason"], heard.headers["x-homeport-attempts"]) == (200, "unload", "0")
    (receipt,) = gateway.journal.settled(1)
    assert (receipt["outcome"], receipt["backend"], receipt["attempts"]) == ("ok", None, [])


def test_what_no_route_can_carry_is_refused_and_what_another_can_goes_there(tmp_path: Path) -> None:
    with ScriptedBackend("one") as first, ScriptedBackend("two") as second:
        both = {"cloud": {"kind": "anthropic", "url": first.url}, "home": second.url}
        alone = {"routes": [{"backend": "cloud", "model": "m"}]}
        models = {"assistant": {"routes": [{"backend": name, "model": "m"} for name in both]}, "alone": alone}
        with Running(config(tmp_path, both, models=models)) as gateway:
            seeded = {"messages": TURN, "seed": 7}
            refused = asked(gateway.url, {"model": "alone"} | seeded)
            assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "not_carried", "seed")
            carried = asked(gateway.url, {"model": "assistant"} | seeded)
            assert (carried.status, carried.headers["x-homeport-backend"]) == (200, "home")
            assert [attempt["outcome"] for attempt in gateway.journal.settled(2)[1]["attempts"]] == ["rejected", "ok"]
        assert first.generations == 0
