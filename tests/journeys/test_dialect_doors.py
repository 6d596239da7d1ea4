"""Each dialect's paths lead to the journey the short way, under the URLs its clients write, and its requests are metered."""

from __future__ import annotations

import json
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
def test_a_request_that_only_loads_asks_no_backend_that_is_no_ollama(gateway: Running, path: str) -> None:
    heard = asked(gateway.url, {"model": "assistant"}, path=path)
    assert (heard.status, heard.json["done_reason"], heard.headers["x-homeport-attempts"]) == (200, "load", "0")
    (receipt,) = gateway.journal.settled(1)
    assert (receipt["outcome"], receipt["backend"], receipt["attempts"]) == ("ok", None, [])
    refused = asked(gateway.url, {"model": "assistant", "keep_alive": 0}, path=path)
    assert refused.status == 400
    assert "no backend of this one is an Ollama" in refused.json["error"]


@pytest.mark.parametrize(
    ("path", "field"), [("/v1/messages", "output_config"), ("/v1/messages/count_tokens", "odd"), ("/api/chat", "options"), ("/v1/responses", "text")]
)
def test_a_number_beyond_all_floats_is_told_and_not_stumbled_over(gateway: Running, path: str, field: str) -> None:
    """1e999 passes as JSON until somebody reads it."""
    body = json.dumps({"model": "assistant"} | DOORS.get(path, DOORS["/v1/messages"])[1] | {field: {"a": "BIG"}})
    assert asked(gateway.url, body.replace('"BIG"', "1e999").encode(), path=path).status in (200, 400)  # a count is an estimate where it cannot be read


def test_lists_in_several_lines_and_the_id_where_its_sdk_looks(tmp_path: Path) -> None:
    with ScriptedBackend("one", style="anthropic") as backend:
        with Running(config(tmp_path, {"cloud": {"kind": "anthropic", "url": backend.url}})) as gateway:
            body = {"model": "assistant", "max_tokens": 5, "messages": TURN}
            heard = asked(gateway.url, body, path="/v1/messages", headers={"anthropic-beta": "one", "Anthropic-Beta": "two"})
            assert heard.status == 200
            assert heard.headers["request-id"] == heard.headers["x-request-id"]
            assert backend.asks[-1].headers["anthropic-beta"] == "one, two"


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


@pytest.mark.parametrize(("path", "keep", "reason"), [("/api/chat", 0, "unload"), ("/api/generate", 300, "load")])
def test_a_real_ollama_loads_and_unloads_by_itself(tmp_path: Path, path: str, keep: int, reason: str) -> None:
    with ScriptedBackend("never said", style="ollama", models=["m"]) as backend:
        with Running(config(tmp_path, {"home": {"kind": "ollama", "url": backend.url}})) as gateway:
            heard = asked(gateway.url, {"model": "assistant", "keep_alive": keep}, path=path)
            assert (heard.status, heard.json["done_reason"], heard.json["model"]) == (200, reason, "assistant")
            assert (heard.headers["x-homeport-backend"], heard.headers["x-homeport-attempts"]) == ("home", "1")
