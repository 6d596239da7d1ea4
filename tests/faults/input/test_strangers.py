"""Who has no key, comes from a foreign page or sends what nobody means: refused early, cheaply, and without a trace."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.errors import Malformed
from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.vocabulary import CHAT as CHAT_SURFACE
from homeport.wire import body as wire_body
from homeport.wire.openai import request as openai_request
from tests.caller import chat, request_bytes
from tests.faults.doors import TEXT, over, refused
from tests.gateway import Running, config

NEST = {"arrays": (b"[", b"]"), "objects": (b'{"a":', b"}"), "alternating": (b'[{"a":', b"}]")}
MEGABYTE = 1024 * 1024


def nested(kind: str, depth: int) -> bytes:
    """So many levels, of which the last is empty; none of its own for depth 0."""
    opened, closed = NEST[kind]
    levels = depth // 2 if kind == "alternating" else depth
    odd = kind == "alternating" and depth % 2 == 1
    inside = b"[]" if odd else b"1"
    return opened * levels + inside + closed * levels


class TestDepth:
    @pytest.mark.parametrize("kind", NEST)
    @pytest.mark.parametrize("depth", [95, 96, 97, 98, 200])
    def test_96_levels_and_no_more(self, kind: str, depth: int) -> None:
        siblings = b"[]," * 200  # so that counting brackets is not enough
        for body in (nested(kind, depth), b"[" + siblings + nested(kind, depth - 1) + b"]"):
            if depth <= 96:
                wire_body.check_depth(body)
            else:
                with pytest.raises(Malformed) as raised:
                    wire_body.check_depth(body)
                assert raised.value.code == "too_deep"

    @pytest.mark.parametrize(
        "text", ["[" * 500, '[{"' * 500, '\\"[' * 500, "\\" * 501 + "[{" * 300, "]" * 500], ids=["open", "objects", "quotes", "backslashes", "closed"]
    )
    def test_brackets_in_strings_do_not_count(self, text: str) -> None:
        wire_body.check_depth(json.dumps([[text] for _ in range(100)]).encode())
        with pytest.raises(Malformed):
            wire_body.check_depth(json.dumps([text]).encode()[:-1] + b"," + nested("arrays", 96) + b"]")

    @pytest.mark.parametrize("unit", ["x", '"', "\\", "[", "é"], ids=["plain", "quotes", "backslashes", "brackets", "escapes"])
    def test_a_long_string_is_cheap(self, unit: str) -> None:
        text = unit * (8 * MEGABYTE // len(json.dumps(unit)[1:-1]))
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}] * 100 + [{"role": "user", "content": text}]}).encode()
        assert len(body) > 8 * MEGABYTE - 10
        began = time.perf_counter()
        wire_body.check_depth(body)
        assert time.perf_counter() - began < 1.0
        tracemalloc.start()
        try:
            wire_body.check_depth(body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 60 * MEGABYTE
        assert openai_request.read(body, CHAT_SURFACE)[1] == "m"

    def test_many_brackets_are_cheap(self) -> None:
        deep = b"[" * (MEGABYTE // 2) + b"]" * (MEGABYTE // 2)
        wide = b"[" + b"[]," * (MEGABYTE // 4) + b"[]]"
        began = time.perf_counter()
        with pytest.raises(Malformed):
            wire_body.check_depth(deep)
        wire_body.check_depth(wide)
        assert time.perf_counter() - began < 2.0


class TestKeysFirst:
    @pytest.fixture
    def own(self, tmp_path: Path, backend: ScriptedBackend) -> Iterator[Running]:
        Keys(tmp_path / "data").add("one")
        with Running(config(tmp_path, {"only": backend.url}, max_body_mb=32)) as own:
            yield own

    @pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}], ids=["none", "wrong", "x-api-key"])
    def test_no_body_is_read_from_a_stranger(self, own: Running, front: str, headers: dict[str, str]) -> None:
        head = request_bytes(b"", headers={**headers, "content-length": str(16 * MEGABYTE)})
        refused(over(own, front, head, seconds=2), 401)

    def test_expect_continue_is_not_invited(self, own: Running, front: str) -> None:
        head = request_bytes(b"", headers={"content-length": "1000", "expect": "100-continue"})
        refused(over(own, front, head, seconds=2), 401)

    @pytest.mark.parametrize("body", [b"{", b"", b"[" * 5000, b"\xff"], ids=["cut", "none", "deep", "no text"])
    def test_no_body_is_judged_either(self, own: Running, front: str, body: bytes) -> None:
        heard = over(own, front, request_bytes(body), seconds=2)
        refused(heard, 401)
        assert heard.error["code"] == "invalid_api_key"
        assert own.journal.lines() == []


class TestForeignPages:
    PAGES = (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/status"))

    @pytest.mark.parametrize(
        "origin", ["null", "https://evil.example", "http://localhost.evil.example", "file://", "http://127.0.0.1.evil.example:80", "localhost"]
    )
    def test_an_origin_of_elsewhere(self, gateway: Running, backend: ScriptedBackend, front: str, origin: str) -> None:
        before = backend.generations
        for method, path in self.PAGES:
            body = chat() if method == "POST" else None
            refused(over(gateway, front, request_bytes(body, method=method, path=path, headers={"origin": origin})), 403)
        assert backend.generations == before

    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.2.evil.example:8080", ""])
    def test_a_host_of_elsewhere(self, gateway: Running, backend: ScriptedBackend, front: str, host: str) -> None:
        before = backend.generations
        for method, path in self.PAGES:
            body = chat() if method == "POST" else None
            refused(over(gateway, front, request_bytes(body, method=method, path=path, host=host)), 403)
        assert backend.generations == before

    @pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"])
    def test_an_origin_of_this_machine(self, gateway: Running, front: str, origin: str) -> None:
        for host in ("localhost:7777", "127.0.0.1", "[::1]:80"):
            assert over(gateway, front, request_bytes(chat(), host=host, headers={"origin": origin})).text == TEXT
            assert over(gateway, front, request_bytes(method="GET", path="/status", host=host, headers={"origin": origin})).status == 200


class TestLongNames:
    def test_of_a_model(self, tmp_path: Path, backend: ScriptedBackend, front: str) -> None:
        with Running(config(tmp_path, {"only": backend.url}, max_body_mb=4)) as own:
            began = time.perf_counter()
            heard = over(own, front, request_bytes(chat(model="marzipan" * (MEGABYTE // 4))))
            assert time.perf_counter() - began < 1.0
            refused(heard, 404, param="model")
            assert heard.error["code"] == "model_not_found"
            assert len(heard.body) < 1000
            assert asked_text(own, front) == TEXT
            own.journal.settled(1)
        written = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
        assert b"marzipan" not in written
        assert len(written) < MEGABYTE


def asked_text(gateway: Running, front: str) -> str:
    """What a good ask gets."""
    return over(gateway, front, request_bytes(chat())).text
