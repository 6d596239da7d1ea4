"""Whatever a caller sends: the error of the contract, a receipt where one is due, nothing leaked, nothing else disturbed."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeport.app
import homeport.front.protocol
from homeport.testing.backend import ScriptedBackend
from tests.caller import Caller, Heard, ask, asked, chat, request_bytes
from tests.gateway import Running, config

TEXT = "all is well"
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(TEXT) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(backend: ScriptedBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(config(tmp_path_factory.mktemp("gateway"), {"only": backend.url}, max_body_mb=1)) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def nothing_disturbed(gateway: Running, backend: ScriptedBackend) -> Iterator[None]:
    """After each test: no lease, no stray request, and the next caller is served."""
    yield
    assert gateway.idle()
    assert backend.until(lambda: backend.in_flight == 0, 1.0)
    assert asked(gateway.url, chat(stream=True)).text == TEXT


@pytest.fixture(params=["protocol", "asgi"])
def front(request: pytest.FixtureRequest) -> str:
    """Each of the two ways in; a connection that once asked for a page stays with the second."""
    return str(request.param)


def over(gateway: Running, front: str, data: bytes, *, seconds: float = 5.0) -> Heard:
    """Raw bytes over one connection, and the first response to them."""

    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data)
            return await asyncio.wait_for(caller.hear(), seconds)

    return asyncio.run(go())


def refused(heard: Heard, status: int, *, param: str | None = None) -> None:
    """An error in OpenAI's envelope."""
    assert (heard.status, heard.end) == (status, "complete")
    assert heard.headers["content-type"].startswith("application/json")
    assert heard.json.keys() == {"error"}
    assert {"message", "type", "param", "code"} <= heard.error.keys()
    assert heard.error["type"] in ("invalid_request_error", "authentication_error", "permission_error")
    assert heard.error["param"] == param
    assert "Traceback" not in heard.error["message"]


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
    assert asked(gateway.url, chat(), path=path).status in (404, 405, 307)
    assert backend.generations == before


def test_a_query_is_ignored(gateway: Running, front: str) -> None:
    assert over(gateway, front, request_bytes(chat(), path=f"{CHAT}?api-version=1")).text == TEXT


BODY = json.dumps(chat()).encode()
SMUGGLED: dict[str, bytes] = {
    "CL and TE": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: %d\r\ncontent-length: 3\r\n\r\n%b" % (len(BODY), BODY),
    "a list of lengths": b"content-length: %d, %d\r\n\r\n%b" % (len(BODY), len(BODY), BODY),
    "negative length": b"content-length: -1\r\n\r\n",
    "signed length": b"content-length: +%d\r\n\r\n%b" % (len(BODY), BODY),
    "hexadecimal length": b"content-length: 0x%x\r\n\r\n%b" % (len(BODY), BODY),
    "blank before the colon": b"content-length : %d\r\n\r\n%b" % (len(BODY), BODY),
    "bare LF": b"content-length: %d\n\n%b" % (len(BODY), BODY),
    "bare LF in a header": b"x-a: 1\nx-b: 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "bare CR in a header": b"x-a: 1\rx-b: 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "NUL in a header": b"x-a: 1\x002\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "a folded header": b"x-a: 1\r\n 2\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "unknown TE": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE twice": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk without size": b"transfer-encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "a chunk of a huge size": b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a chunk ended by LF": b"transfer-encoding: chunked\r\n\r\n%x\n%b\n0\n\n" % (len(BODY), BODY),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_framing_that_can_be_read_two_ways_is_refused(gateway: Running, backend: ScriptedBackend, front: str, name: str) -> None:
    before = backend.generations
    heard = over(gateway, front, f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode() + SMUGGLED[name])
    assert heard.status in (400, 413)
    assert backend.generations == before


@pytest.mark.parametrize(
    "junk",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http_is_refused_and_closed(gateway: Running, junk: bytes) -> None:
    async def go() -> bytes:
        async with Caller(gateway.url) as caller:
            await caller.send(junk)
            caller.writer.write_eof()
            return await asyncio.wait_for(caller.reader.read(), 5)

    answer = asyncio.run(go())
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405"))


def test_pipelined_requests_are_answered_or_closed_never_mixed(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    async def go() -> list[Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(request_bytes(chat("a")) + request_bytes(chat("b")) + request_bytes(chat("c")))
            heards = [await asyncio.wait_for(caller.hear(), 5)]
            while heards[-1].status and len(heards) < 3:
                heards.append(await asyncio.wait_for(caller.hear(), 5))
            return heards

    before = backend.generations
    heards = asyncio.run(go())
    answered = [heard for heard in heards if heard.status]
    assert 1 <= len(answered) <= 3
    assert {heard.text for heard in answered} == {TEXT}
    assert all(heard.end == "complete" for heard in answered)
    assert backend.generations - before == len(answered)


def test_pipelined_behind_a_stream(gateway: Running, backend: ScriptedBackend) -> None:
    async def go() -> tuple[Heard, bytes]:
        async with Caller(gateway.url) as caller:
            await caller.send(request_bytes(chat("a", stream=True)))
            await caller.send(request_bytes(method="GET", path="/health"))
            first = await asyncio.wait_for(caller.hear(), 5)
            caller.writer.write_eof()
            return first, await asyncio.wait_for(caller.reader.read(), 5)

    first, rest = asyncio.run(go())
    assert first.finished
    assert rest == b"" or rest.startswith(b"HTTP/1.1 200")


def test_a_bad_request_first_and_a_good_one_behind_it(gateway: Running, front: str) -> None:
    async def go() -> list[Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(request_bytes(b"{") + request_bytes(chat()))
            return [await asyncio.wait_for(caller.hear(), 5), await asyncio.wait_for(caller.hear(), 5)]

    bad, good = asyncio.run(go())
    assert bad.status == 400
    assert good.status in (0, 200)


def test_a_half_closed_socket_is_a_caller_who_left(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    """It may be answered or not, but quickly, and nothing stays behind."""

    async def go(data: bytes) -> bytes:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data)
            caller.writer.write_eof()
            return await asyncio.wait_for(caller.reader.read(), 5)

    whole = request_bytes(chat(stream=True))
    for data in (whole, whole[:-5], whole[:30], b""):
        answer = asyncio.run(go(data))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


def test_a_caller_who_leaves_at_any_byte(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    data = request_bytes(chat(stream=True))

    async def one(size: int) -> None:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data[:size])
            if size % 3 == 0:
                await asyncio.sleep(0.005)
            await caller.leave(reset=size % 2 == 0)

    async def go() -> None:
        for size in range(0, len(data) + 1, 1 if front == "protocol" else 5):
            await one(size)

    before, receipts = backend.generations, len(gateway.journal.receipts)
    asyncio.run(go())
    assert gateway.idle()
    assert backend.generations - before <= 1
    assert len(gateway.journal.receipts) - receipts <= 1


def test_a_request_byte_by_byte(gateway: Running, front: str) -> None:
    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            for byte in request_bytes(chat(stream=True)):
                await caller.send(bytes([byte]))
                await asyncio.sleep(0)
            return await asyncio.wait_for(caller.hear(), 5)

    assert asyncio.run(go()).text == TEXT


def test_expect_continue(gateway: Running, front: str) -> None:
    async def go() -> tuple[bytes, Heard]:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            data = request_bytes(chat(), headers={"expect": "100-continue"})
            head, body = data.split(b"\r\n\r\n", 1)
            await caller.send(head + b"\r\n\r\n")
            interim = await asyncio.wait_for(caller.reader.readuntil(b"\r\n\r\n"), 5)
            await caller.send(body)
            return interim, await asyncio.wait_for(caller.hear(), 5)

    interim, heard = asyncio.run(go())
    assert interim.startswith(b"HTTP/1.1 100 ")
    assert heard.text == TEXT


STALLS = {
    "nothing at all": b"",
    "half a request line": b"POST /v1/ch",
    "half a request line of a page": b"GET /stat",
    "half a head": f"POST {CHAT} HTTP/1.1\r\nhost: 127".encode(),
    "half a head of a page": b"GET /status HTTP/1.1\r\nhost: 127",
    "half a head of an unknown path": b"GET /nope HTTP/1.1\r\nhost: 127",
    "half a body": request_bytes(chat())[:-5],
    "no body": request_bytes(chat()).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", STALLS)
def test_slow_headers_and_bodies_are_given_up(tmp_path: Path, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(homeport.front.protocol, "HEAD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(homeport.front.protocol, "KEEP_ALIVE_S", 0.3)
    monkeypatch.setattr(homeport.app, "SWEEP_S", 0.1)

    async def go(url: str) -> bytes:
        async with Caller(url) as caller:
            await caller.send(STALLS[name])
            return await asyncio.wait_for(caller.reader.read(), 3)

    with Running(config(tmp_path, {"only": backend.url})) as own:
        answer = asyncio.run(go(own.url))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_a_thousand_idle_connections_disturb_nobody(gateway: Running) -> None:
    sockets = [socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) for _ in range(500)]
    try:
        assert asked(gateway.url, chat()).text == TEXT
    finally:
        for idle in sockets:
            idle.close()


def test_a_foreign_page_is_refused(gateway: Running, backend: ScriptedBackend, front: str) -> None:
    before = backend.generations
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        heard = over(gateway, front, request_bytes(chat(), headers=headers))
        refused(heard, 403)
    assert backend.generations == before


class TestKeys:
    @pytest.fixture
    def key(self, tmp_path: Path) -> str:
        from homeport.storage.keys import Keys

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
        written = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
        assert b"swordfish" not in written
        assert b"marzipan" not in written
