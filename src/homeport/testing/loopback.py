"""A server on loopback with an event loop in a thread of its own, or on the loop of its caller."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")
HOST = "127.0.0.1"


class Loopback(ABC):
    """Start and stop: `with` runs the server in a thread of its own, `async with` on the caller's loop.

    `port` is the port it listens on: 0 until it is started where none was given. Raises OSError where the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self.host = HOST
        self.port = port
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as an HTTP URL without a slash at its end."""
        return f"http://{self.address}"

    @abstractmethod
    async def _open(self) -> None:
        """Begin to listen and set `port`."""

    @abstractmethod
    async def _close(self) -> None:
        """Stop listening and drop every connection."""

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        self.loop = loop
        self._thread = threading.Thread(target=self._run, args=(loop,), name=f"{type(self).__name__}", daemon=True)
        self._thread.start()
        try:
            self.on_loop(self._open())
        except OSError:
            self._stop_thread()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.on_loop(self._close())
        self._stop_thread()

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's own loop from another thread and wait for its result (30 s at most)."""
        assert self.loop is not None, "not started"
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def until(self, predicate: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        """Wait in the calling thread until `predicate()` holds; False where it did not within `timeout_s` seconds."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    async def reached(self, predicate: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        """The same as `until` for a coroutine on any loop."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not predicate():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.002)
        return True

    def changed(self) -> None:
        """Wake those who wait in `until`."""
        with self._changed:
            self._changed.notify_all()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _stop_thread(self) -> None:
        assert self.loop is not None
        assert self._thread is not None
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)


def bound(port: int = 0) -> socket.socket:
    """A socket that holds a port of loopback without listening: who connects is refused."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, port))
    return holder
