"""Whatever a caller asks: the error of the contract, a receipt where one is due, nothing leaked, nothing else disturbed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from tests.caller import Caller, Heard, ask, asked, chat, request_bytes
from tests.faults.doors import CHAT, TEXT, over, refused
from tests.gateway import Running, config

NOT_JSON = [
    b"{",
    b"",
    b"   ",
    b"null",
    b"[]",
    b'"text"',
    b"3",
    b"{} {}",
    b"{'model': 1}",
    b'{"model": NaN}',
    b"\xff\xfe",
    b'{"model": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"\x00",
    b'{"a":' * 5000,
]


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:16]))
@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings"])
def test_no_json_object(gateway: Running, front: str, path: str, body: bytes) -> None:
    heard = over(gateway, front, request_bytes(body, path=path))
    assert heard.status == 400
    assert {"message", "type", "param", "code"} <= heard.error.keys()
    assert heard.error["type"] == "invalid_request_error"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": 3}, "model"),
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"messages": "hi"}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": 3, "content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"stream": "yes"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream_options": "usage"}, "stream_options"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_tokens": "5"}, "max_tokens"),
    ({"max_tokens": 5.5}, "max_tokens"),
    ({"n": 0}, "n"),
    ({"n": "two"}, "n"),
    ({"n": 10**30}, "n"),
    ({"tools": {}}, "tools"),
    ({"tools": ["weather"]}, "tools[0]"),
    ({"response_format": "json"}, "response_format"),
    ({"seed": "x"}, "seed"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else value)
def test_a_wrong_type_names_the_field(gateway: Running, backend: ScriptedBackend, fields: dict[str, Any], param: str) -> None:
    before = backend.generations
    heard = asked(gateway.url, chat(**fields) if "model" not in fields else {**chat(), **fields})
    refused(heard, 400, param=param)
    assert param.partition("[")[0].partition(".")[0] in heard.error["message"]
    assert backend.generations == before


@pytest.mark.parametrize(
    ("path", "missing"), [(CHAT, "messages"), (CHAT, "model"), ("/v1/completions", "model"), ("/v1/embeddings", "input"), ("/v1/embeddings", "model")]
)
def test_a_missing_field_is_named(gateway: Running, path: str, missing: str) -> None:
    body = {"model": "assistant", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "input": "hi"}
    del body[missing]
    refused(asked(gateway.url, body, path=path), 400, param=missing)


def test_an_unknown_model_is_told_the_nearest(gateway: Running, front: str) -> None:
    heard = over(gateway, front, request_bytes(chat(model="asistant", stream=True)))
    refused(heard, 404, param="model")
    assert heard.error["code"] == "model_not_found"
    assert "`assistant`" in heard.error["message"]
    long = over(gateway, front, request_bytes(chat(model="x" * 100_000)))
    refused(long, 404, param="model")
    assert len(long.body) < 1000
    refused(over(gateway, front, request_bytes(chat(model="\r\nx-injected: 1\r\n\u2028"))), 404, param="model")


def test_refusals_have_a_receipt_and_reach_no_backend(tmp_path: Path, backend: ScriptedBackend) -> None:
    with Running(config(tmp_path, {"only": backend.url})) as own:
        before = backend.generations
        asked(own.url, chat(model="nobody"))
        receipt = own.journal.settled(1)[0]
        assert (receipt["outcome"], receipt["attempts"], receipt["asked"]) == ("refused", [], "nobody")
        assert backend.generations == before
        assert own.journal.started == []


class TestSize:
    LIMIT = 1024 * 1024

    def body(self, size: int) -> bytes:
        empty = len(json.dumps(chat("")).encode())
        return json.dumps(chat("x" * (size - empty))).encode()

    def test_at_the_limit(self, gateway: Running, front: str) -> None:
        assert over(gateway, front, request_bytes(self.body(self.LIMIT))).text == TEXT

    def test_one_byte_over(self, gateway: Running, front: str) -> None:
        refused(over(gateway, front, request_bytes(self.body(self.LIMIT + 1))), 413)

    def test_told_in_advance(self, gateway: Running, front: str) -> None:
        """The refusal does not wait for a body that is too long."""
        head = request_bytes(b"", headers={"content-length": str(10**12)})
        refused(over(gateway, front, head), 413)

    def test_chunked(self, gateway: Running, front: str) -> None:
        body = self.body(self.LIMIT + 1)
        head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        refused(over(gateway, front, head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)), 413)
        body = self.body(self.LIMIT)
        pieces = [body[i : i + 60_000] for i in range(0, len(body), 60_000)]
        data = head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        assert over(gateway, front, data).text == TEXT

    def test_an_endless_chunked_body(self, gateway: Running, front: str) -> None:
        async def go() -> Heard:
            async with Caller(gateway.url) as caller:
                if front == "asgi":
                    await caller.ask(method="GET", path="/ready")
                hearing = asyncio.ensure_future(caller.hear())
                await caller.send(f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n".encode())
                try:
                    for _ in range(1000):
                        await caller.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                        await asyncio.sleep(0)
                except ConnectionError:
                    pass  # it closed, as it may
                return await asyncio.wait_for(hearing, 5)

        heard = asyncio.run(go())
        assert heard.status in (413, 0)

    def test_headers_without_end(self, gateway: Running, front: str) -> None:
        data = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode() + b"x-long: " + b"y" * 200_000
        heard = over(gateway, front, data)
        assert heard.status in (400, 431)

    def test_many_headers(self, gateway: Running, front: str) -> None:
        data = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode() + b"".join(b"x-%d: y\r\n" % n for n in range(20_000))
        heard = over(gateway, front, data)
        assert heard.status in (400, 431)


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_json(gateway: Running, front: str, depth: int) -> None:
    deep = b'{"model":"assistant","messages":[],"tools":' + b"[" * depth + b"]" * depth + b"}"
    refused(over(gateway, front, request_bytes(deep)), 400)
    objects = b'{"model":"assistant","x":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    refused(over(gateway, front, request_bytes(objects)), 400)


def test_a_long_prompt(gateway: Running, front: str) -> None:
    """Head and body may come in one read of any size: what counts as head is the head alone."""
    for _ in range(20):
        assert over(gateway, front, request_bytes(chat("word " * 40_000))).text == TEXT


def test_brackets_in_a_string_are_not_depth(gateway: Running) -> None:
    assert asked(gateway.url, chat('[{"' * 50_000)).text == TEXT


def test_odd_but_right(gateway: Running, backend: ScriptedBackend) -> None:
    for content in ("\x00", "\u2028", "\U0001f6a2", '\\"', "x" * 200_000):
        assert asked(gateway.url, chat(content)).text == TEXT
        assert backend.asks[-1].fields["messages"][0]["content"] == content
    assert asked(gateway.url, b'{"model":"nobody","model":"assistant","messages":[{"role":"user","content":"hi"}]}').text == TEXT
    assert asked(gateway.url, chat(unknown={"deep": [1, None]})).text == TEXT
    assert backend.asks[-1].fields["unknown"] == {"deep": [1, None]}


def test_a_lone_surrogate_harms_nobody(gateway: Running) -> None:
    heard = asked(gateway.url, b'{"model":"assistant","messages":[{"role":"user","content":"\\ud800"}]}')
    assert heard.status in (200, 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_method(gateway: Running, front: str, method: str) -> None:
    heard = over(gateway, front, request_bytes(method=method))
    refused(heard, 405)
    assert "POST" in heard.headers["allow"]
    assert "POST" in heard.error["message"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/nope", "/v1/chat/completions/", "//v1/chat/completions", "/v1/../health", "/v1/chat/completions%00", "/api/pull"]
)
def test_unknown_path(gateway: Running, backend: ScriptedBackend, path: str) -> None:
    before = backend.generations
    assert asked(gateway.url, chat(), path=path).status in ((403,) if path == "/api/pull" else (404, 405, 307))
    assert backend.generations == before


def test_a_query_is_ignored(gateway: Running, front: str) -> None:
    assert over(gateway, front, request_bytes(chat(), path=f"{CHAT}?api-version=1")).text == TEXT


def test_a_foreign_page_is_refused(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    before = backend.generations
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        heard = over(gateway, front, request_bytes(chat(), headers=headers))
        refused(heard, 403)
    assert backend.generations == before


class TestKeys:
    @pytest.fixture
    def key(self, tmp_path: Path) -> str:
        return Keys(tmp_path / "data").add("one")

    @pytest.fixture
    def own(self, key: str, tmp_path: Path, backend: ScriptedBackend) -> Iterator[Running]:
        with Running(config(tmp_path, {"only": backend.url})) as own:
            yield own

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic abc"},
            {"authorization": "Bearer"},
            {"x-api-key": "wrong"},
            {"authorization": "\xff"},
            {"authorization": "Bearer " + "x" * 60_000},
        ],
    )
    def test_missing_or_wrong(self, own: Running, backend: ScriptedBackend, front: str, headers: dict[str, str]) -> None:
        before = backend.generations
        heard = over(own, front, request_bytes(chat(stream=True), headers=headers))
        refused(heard, 401)
        assert heard.error["code"] == "invalid_api_key"
        assert backend.generations == before
        assert own.journal.lines() == []

    def test_right(self, own: Running, backend: ScriptedBackend, key: str, front: str) -> None:
        for headers in ({"authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}, {"authorization": key}, {"x-api-key": key}):
            assert over(own, front, request_bytes(chat(), headers=headers)).text == TEXT
            assert key not in backend.asks[-1].head.decode("latin-1")
        assert {receipt["key"] for receipt in own.journal.settled(4)} == {"one"}
        assert key not in "".join(map(str, own.journal.lines()))


def test_nothing_said_stands_in_the_journal(tmp_path: Path) -> None:
    with ScriptedBackend("the answer is swordfish") as backend, Running(config(tmp_path, {"only": backend.url})) as own:
        asyncio.run(ask(own.url, chat("my secret is marzipan", stream=True)))
        asyncio.run(ask(own.url, chat("my secret is marzipan", temperature="marzipan")))
        own.journal.settled(1)
    written = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())  # the ledger is at rest now too
    assert b"receipts" in written
    assert b"swordfish" not in written
    assert b"marzipan" not in written
