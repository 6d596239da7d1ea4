"""The pages of a gateway: Ollama's, the model list, the root; what is refused; and errors in the dialect of their path."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Model
from tests.caller import Heard, asked
from tests.gateway import Running, config, soon

VERSIONED = {"anthropic-version": "2023-06-01"}
MODELS = {
    "assistant": {"routes": [{"backend": "home", "model": "talker"}]},
    "claude-at-home": {"routes": [{"backend": "home", "model": "talker"}]},
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with ScriptedBackend(style="ollama", models=[Model("talker:latest", context=512, capabilities=("completion", "tools"))]) as backend:
        with Running(config(tmp_path, {"home": {"kind": "ollama", "url": backend.url}}, models=MODELS)) as gateway:
            assert soon(lambda: gateway.status()["models"][0]["routes"][0]["card"] is not None)
            yield gateway
        assert backend.generations == 0


def got(gateway: Running, path: str, method: str = "GET", body: Any = None, **headers: str) -> Heard:
    return asked(gateway.url, body, method=method, path=path, headers=headers)


def test_ollamas_pages(gateway: Running) -> None:
    assert got(gateway, "/api/version").json["version"].startswith("0.")
    tags = got(gateway, "/api/tags").json["models"]
    assert [row["name"] for row in tags] == ["assistant", "claude-at-home"]
    assert tags[0]["digest"] != tags[1]["digest"]
    shown = got(gateway, "/api/show", "POST", {"model": "assistant:latest"}).json
    assert (shown["capabilities"], shown["model_info"]["llama.context_length"]) == (["completion", "tools"], 4096)
    (running, _) = got(gateway, "/api/ps").json["models"]
    assert (running["name"], running["context_length"]) == ("assistant", 512)
    assert [asked(gateway.url, {"model": name, "messages": []}, path="/api/chat").status for name in ("assistant", "assistant:latest")] == [200, 200]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "assistent"}, 404, "Did you mean `assistant`?"),
        ({}, 400, "`model` is missing"),
        (b"{", 400, "`model` is missing"),
        (b"x" * 70000, 413, "it need only name a model"),
    ],
)
def test_show_refuses_in_ollamas_words(gateway: Running, body: Any, status: int, words: str) -> None:
    heard = got(gateway, "/api/show", "POST", body)
    assert (heard.status, list(heard.json)) == (status, ["error"])
    assert words in heard.json["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/sha256:00"),
    ],
)
def test_models_are_not_managed_through_here(gateway: Running, method: str, path: str) -> None:
    heard = got(gateway, path, method, {"model": "x"})
    assert heard.status == 403
    assert heard.json["error"].startswith(f"`{path.split('/')[2]}` is refused: models are managed where they run")


def status_line(gateway: Running, request: bytes) -> bytes:
    """The first line of an answer; `Caller` would wait for the body that HEAD does not have."""
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536).split(b"\r\n")[0]


@pytest.mark.parametrize(("path", "status"), [("/", b"200"), ("/api/version", b"200"), ("/api/tags", b"200"), ("/api/blobs/sha256:00", b"403")])
def test_head(gateway: Running, path: str, status: bytes) -> None:
    assert status in status_line(gateway, f"HEAD {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())


def test_the_root_says_that_it_runs(gateway: Running) -> None:
    heard = got(gateway, "/")
    assert (heard.status, heard.body, heard.headers["content-type"]) == (200, b"Homeport is running", "text/plain; charset=utf-8")


def test_the_list_is_paged_for_anthropics_clients(gateway: Running) -> None:
    first = got(gateway, "/v1/models?limit=1", **VERSIONED).json
    assert ([row["id"] for row in first["data"]], first["has_more"], first["last_id"]) == (["assistant"], True, "assistant")
    rest = got(gateway, "/v1/models?limit=1000&after_id=assistant", **VERSIONED).json
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (["claude-at-home"], False)
    bad = got(gateway, "/v1/models?limit=0", **VERSIONED)
    assert (bad.status, bad.json["error"]["type"]) == (400, "invalid_request_error")
    assert got(gateway, "/v1/models?limit=0").json["error"]["param"] == "limit"


ENVELOPES: dict[str, list[str]] = {
    "/api/chat": ["error"],
    "/api/nothing": ["error"],
    "/v1/messages": ["type", "error", "request_id"],
    "/v1/messages/batches": ["type", "error", "request_id"],
    "/v1/chat/completions": ["error"],
    "/v1/responses": ["error"],
    "/nothing": ["error"],
}


def wears(heard: Heard, path: str) -> bool:
    """Whether an error is in the dialect of the path."""
    error = heard.json["error"]
    return list(heard.json) == ENVELOPES[path] and isinstance(error, str) == path.startswith("/api/")


@pytest.mark.parametrize("path", ENVELOPES)
def test_an_unknown_path_or_a_wrong_method_is_told_in_the_dialect_of_the_path(gateway: Running, path: str) -> None:
    heard = got(gateway, path)
    assert heard.status in (404, 405)
    assert wears(heard, path)


def test_anthropics_clients_are_told_so_on_every_page(gateway: Running) -> None:
    heard = got(gateway, "/v1/models/nobody", **VERSIONED)
    assert (heard.status, heard.json["error"]["type"]) == (404, "not_found_error")
    assert got(gateway, "/v1/models/nobody").json["error"]["code"] == "model_not_found"


MODEL_PATHS = [path for path in ENVELOPES if path in ("/api/chat", "/v1/messages", "/v1/chat/completions", "/v1/responses")]


@pytest.mark.parametrize("long_way", [False, True], ids=["front", "asgi"])
@pytest.mark.parametrize("path", MODEL_PATHS)
def test_a_bad_key_is_told_in_the_dialect_of_the_path(tmp_path: Path, path: str, long_way: bool) -> None:
    with ScriptedBackend() as backend:
        made = config(tmp_path, {"only": backend.url})
        (tmp_path / "data").mkdir(exist_ok=True)
        keys = Keys(tmp_path / "data")
        keys.add("app")
        with Running(made) as gateway:
            prefix = "?x=1" if long_way else ""
            heard = asked(gateway.url, {"model": "assistant"}, path=path + prefix)
            assert heard.status == 401
            assert wears(heard, path)
            again = asked(gateway.url, method="GET", path="/api/tags")
            assert (again.status, list(again.json)) == (401, ["error"])
            assert asked(gateway.url, {"model": "x"}, path="/api/pull").status == 401
            assert asked(gateway.url, method="GET", path="/").status == 200


@pytest.mark.parametrize("path", MODEL_PATHS)
def test_a_body_too_large_is_told_in_the_dialect_of_the_path(tmp_path: Path, path: str) -> None:
    with ScriptedBackend() as backend, Running(config(tmp_path, {"only": backend.url}, max_body_mb=1)) as gateway:
        heard = asked(gateway.url, b"{" + b" " * (1 << 20) + b"}", path=path)
        assert heard.status == 413
        assert wears(heard, path)


@pytest.mark.parametrize("path", MODEL_PATHS)
def test_broken_framing_is_told_in_the_dialect_of_the_path(gateway: Running, path: str) -> None:
    heard = asked(gateway.url, method="POST", path=path, headers={"content-length": "1", "transfer-encoding": "chunked"})
    assert heard.status == 400
    assert wears(heard, path)


@pytest.mark.parametrize("path", MODEL_PATHS)
def test_a_head_too_long_is_told_in_the_dialect_of_the_path(gateway: Running, path: str) -> None:
    for query in ("", "?x=1"):
        heard = asked(gateway.url, {}, path=path + query, headers={"x-long": "y" * 600_000})
        assert heard.status == 431
        assert wears(heard, path)
