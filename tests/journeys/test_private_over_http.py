"""Private tasks over a Client: only gateways that say that they keep to it, and have a local backend, ever get one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.client import Timeouts
from homeport.errors import TaskFailed
from homeport.tasks import task
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Bytes, Refuse
from tests.gateway import Running, config

ONE_LOCAL = {"backends": [{"name": "home", "location": "local"}], "models": [{"name": "default", "routes": [{"backend": "home"}]}]}


@task(private=True)
def secret(text: str) -> str:
    """Say it again."""


@contextmanager
def stranger(status: Any) -> Iterator[ScriptedBackend]:
    """What answers like a gateway, with this `/status`."""
    body = json.dumps(status).encode()
    with ScriptedBackend("leaked") as backend:
        backend.pages["/status"] = Bytes(data=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        yield backend


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[Running, ScriptedBackend]]:
    with ScriptedBackend("kept") as backend:
        path = config(tmp_path, {"home": backend.url}, models={"default": {"routes": [{"backend": "home", "model": "m"}]}})
        with Running(path) as gateway:
            yield gateway, backend


def now(urls: list[str]) -> str:
    with homeport.Client(urls=urls, retries=0) as client:
        return secret.over(client)("x")


def awaited(urls: list[str]) -> str:
    async def go() -> str:
        async with homeport.AsyncClient(urls=urls, retries=0) as client:
            return await secret.over(client).aio("x")

    return asyncio.run(go())


BOTH = pytest.mark.parametrize("call", [now, awaited])


@BOTH
@pytest.mark.parametrize("status", [{"verdict": "All is well."}, ONE_LOCAL, {**ONE_LOCAL, "honours": ["other"]}, {**ONE_LOCAL, "honours": None}])
def test_who_does_not_say_that_it_keeps_to_it_gets_nothing(call: Callable[[list[str]], str], status: Any) -> None:
    with stranger(status) as backend:
        with pytest.raises(TaskFailed, match="does not say in /status that it keeps private asks") as caught:
            call([backend.url])
        assert (caught.value.status, caught.value.should_retry) == (503, False)
        assert backend.generations == 0


@BOTH
def test_of_several_only_those_that_keep_to_it_are_asked_whatever_their_order(call: Callable[[list[str]], str], local: tuple[Running, ScriptedBackend]) -> None:
    gateway, backend = local
    with stranger(ONE_LOCAL) as other:
        for urls in ([other.url, gateway.url], [gateway.url, other.url], [other.url, "http://127.0.0.1:9", gateway.url]):
            assert call(urls) == "kept"
        assert other.generations == 0
    assert backend.generations == 3


@BOTH
def test_the_next_is_not_asked_where_the_one_that_keeps_to_it_fails(call: Callable[[list[str]], str], local: tuple[Running, ScriptedBackend]) -> None:
    gateway, backend = local
    backend.default = Refuse(status=503)
    with stranger(ONE_LOCAL) as other:
        with pytest.raises(TaskFailed):
            call([gateway.url, other.url])
        assert other.generations == 0


@BOTH
def test_two_that_keep_to_it_stand_in_for_each_other(call: Callable[[list[str]], str], local: tuple[Running, ScriptedBackend], tmp_path: Path) -> None:
    gateway, backend = local
    with ExitStack() as stack, ScriptedBackend("kept too") as second:
        folder = tmp_path / "second"
        folder.mkdir()
        path = config(folder, {"den": second.url}, models={"default": {"routes": [{"backend": "den", "model": "m"}]}})
        other = stack.enter_context(Running(path))
        backend.default = Refuse(status=503)
        assert call([gateway.url, other.url]) == "kept too"


@BOTH
def test_a_gateway_with_clouds_alone_gets_nothing(call: Callable[[list[str]], str], tmp_path: Path) -> None:
    with ScriptedBackend("leaked") as cloud:
        path = config(tmp_path, {"cloud": {"url": cloud.url, "location": "cloud"}}, models={"default": {"routes": [{"backend": "cloud", "model": "m"}]}})
        with Running(path) as gateway:
            with pytest.raises(TaskFailed, match="private"):
                call([gateway.url])
            assert len(gateway.journal.started) == 0
        assert cloud.generations == 0


@BOTH
def test_where_nobody_answers_it_is_told_as_that(call: Callable[[list[str]], str]) -> None:
    with pytest.raises(TaskFailed, match=r"no gateway answers at http://127\.0\.0\.1:9") as caught:
        call(["http://127.0.0.1:9"])
    assert caught.value.status == 503


def test_a_client_is_narrowed_to_addresses_of_its_own_only() -> None:
    with homeport.Client(urls=["http://127.0.0.1:9", "http://127.0.0.1:10"]) as client:
        one = client.to("http://127.0.0.1:9")
        assert (one.urls, client.to(()).urls, len(client.urls)) == (["http://127.0.0.1:9"], [], 2)
        with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:10$"):
            one.to(["http://127.0.0.1:10"])


def test_one_that_stands_still_is_not_waited_for_again(local: tuple[Running, ScriptedBackend]) -> None:
    gateway, _ = local
    timeouts = Timeouts(silence_s=0.3, health_s=0.3)

    async def awaited_twice(urls: list[str]) -> list[int]:
        async with homeport.AsyncClient(urls=urls, retries=0, timeouts=timeouts) as client:
            return [await secret.over(client).aio("x") == "kept" and taken(frozen) for _ in range(2)]

    for asynchronous in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            frozen.setblocking(False)
            urls = [gateway.url, f"http://127.0.0.1:{frozen.getsockname()[1]}"]
            if asynchronous:
                first, second = asyncio.run(awaited_twice(urls))
            else:
                with homeport.Client(urls=urls, retries=0, timeouts=timeouts) as client:
                    first, second = [secret.over(client)("x") == "kept" and taken(frozen) for _ in range(2)]
        assert (first > 0, second) == (True, 0)


def taken(server: socket.socket) -> int:
    """How many connections came since the last look."""
    number = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number
