"""A gateway inside this process, in a thread of its own: for tests, notebooks and apps that bring their own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from homeport.app import App
from homeport.foreground import loop_factory
from homeport.settings import Settings, load

if TYPE_CHECKING:
    from homeport.client import Client


class Gateway:
    """Runs from `with` to the end of its block; `url` is where it answers, and `client` asks it.

        with homeport.Gateway(config="homeport.toml") as gateway:
            gateway.client.chat("Where is my parcel?").text
            OpenAI(base_url=gateway.url + "/v1", api_key="none")

    `config` is a homeport.toml or Settings; without one, the same search as the command line's. `listen` defaults to
    a free port on loopback.
    Raises BadSettings for a configuration that cannot be used, OSError where the address cannot be had.
    """

    def __init__(self, config: Path | str | Settings | None = None, *, listen: str = "127.0.0.1:0") -> None:
        self.settings = config if isinstance(config, Settings) else load(config=Path(config) if config is not None else None, listen=listen)
        self.url = ""
        self.app: App | None = None
        self._thread = threading.Thread(target=self._run, name="homeport", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A Client of this gateway, closed with it. Where keys exist it sends $HOMEPORT_KEY. Raises RuntimeError before the `with`."""
        if not self.url:
            raise RuntimeError("the gateway does not run yet: use it in a `with` block")
        if self._client is None:
            from homeport.client import Client

            self._client = Client(urls=self.url)
        return self._client

    def __enter__(self) -> Gateway:
        self._thread.start()
        self._up.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._client is not None:
            self._client.close()
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # handed to the thread that entered
            self._failure = failure
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = self.app = App(self.settings)
        await app.start()
        self.url = app.url
        self._up.set()
        await self._end.wait()
        await app.stop()
