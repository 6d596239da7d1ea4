"""A Homeport in front of a Homeport: the one at home is the node, and stands in front of an engine; the other one is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.loopback import HOST, Loopback
from tests.gateway import Running, config, soon

NAMES = {"qwen": {"routes": [{"backend": "gpu", "model": "m"}]}}  # what the node serves
BY_NODE = {"assistant": {"routes": [{"backend": "home", "model": "qwen"}]}}
TO_BOTH = {"assistant": {"routes": [{"backend": "home", "model": "qwen"}, {"backend": "vm", "model": "m"}]}}
OFTEN = {"probe_interval_s": 1.0}


def node_config(folder: Path, backends: Mapping[str, str | Mapping[str, Any]], models: Mapping[str, Any] = NAMES, **more: Any) -> Path:
    """The node's homeport.toml, in a folder of its own."""
    at = folder / "node"
    at.mkdir(exist_ok=True)
    return config(at, backends, models=models, monitor=more.pop("monitor", OFTEN), **more)


def front_config(
    folder: Path, node: str, models: Mapping[str, Any] = BY_NODE, others: Mapping[str, Any] = {}, monitor: Mapping[str, Any] = OFTEN, **home: Any
) -> Path:
    """The front's homeport.toml: its backend `home` is the node, with these settings more; then there are `others`."""
    at = folder / "front"
    at.mkdir(exist_ok=True)
    return config(at, {"home": {"url": node, **home}, **others}, models=models, monitor=monitor)


@contextlib.contextmanager
def pair(
    folder: Path, engine: str, *, models: Mapping[str, Any] = BY_NODE, others: Mapping[str, Any] = {}, gpu: Mapping[str, Any] = {}, **home: Any
) -> Iterator[tuple[Running, Running]]:
    """A front, and the node that it has met; `gpu` and `home` are settings of the node's backend and of the front's."""
    with Running(node_config(folder, {"gpu": {"url": engine, **gpu}})) as node, Running(front_config(folder, node.url, models, others, **home)) as front:
        assert met(front)
        yield front, node


@contextlib.contextmanager
def with_a_vm(folder: Path, engine: str, *, gpu: dict[str, Any] | None = None, **home: Any) -> Iterator[tuple[Running, Running, ScriptedBackend]]:
    """A pair whose front has another backend after the node."""
    with (
        ScriptedBackend("from the vm", style="vllm", models=["m"]) as vm,
        pair(folder, engine, models=TO_BOTH, others={"vm": vm.url}, gpu=gpu or {}, **home) as (
            front,
            node,
        ),
    ):
        yield front, node, vm


def met(front: Running, name: str = "home") -> bool:
    """Whether the front has found out that its backend is a Homeport."""
    return soon(lambda: front.backend(name)["node"] is not None)


def a_key(gateway_folder: Path, name: str = "vps") -> str:
    """A key for the gateway whose homeport.toml is in this folder."""
    return Keys(gateway_folder / "data").add(name)


class Joined(Loopback):
    """A Unix socket that leads to a port of loopback, as the remote end of a tunnel does."""

    delay_s = 0.0  # from a connection to the one it leads to

    def __init__(self, path: Path, port: int) -> None:
        super().__init__(port)
        self.path = path
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def _open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            self._writers.add(writer)
            await asyncio.sleep(self.delay_s)
            there, theirs = await asyncio.open_connection(HOST, self.port)
            ends.append(theirs)
            self._writers.add(theirs)
            await asyncio.gather(self._copy(reader, theirs), self._copy(there, writer))
        except OSError:
            pass
        finally:
            for end in ends:
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
                self._writers.discard(end)
            self._tasks.discard(task)

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def joined(path: Path, port: int) -> Iterator[str]:
    """The path of a Unix socket that leads to a port."""
    with Joined(path, port):
        yield str(path)
