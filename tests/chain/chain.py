"""The whole chain: visitor → nginx (TLS) → gateway → sshd ← tunnel ← node → engine, each machine in a place of its own."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Self

from tests.chain.home import Home
from tests.chain.places import Place, Street
from tests.chain.visitor import Visitor
from tests.chain.vps import USER, Vps

HOME, VPS, VISITOR = 1, 2, 3  # their networks


class Chain:
    """`with Chain(folder) as chain:` all of it up, and answering from home. With `socket` the tunnel ends in a Unix socket on the VPS, not in a port."""

    def __init__(self, folder: Path, *, socket: bool = False) -> None:
        self._folder = folder
        self._socket = socket
        self._stack = contextlib.ExitStack()
        self._host = 2  # the last number of home's address
        self.street: Street
        self.vps: Vps
        self.home: Home
        self.visitor: Visitor

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.street = stack.enter_context(Street(self._folder))
            sockets = Path(stack.enter_context(tempfile.TemporaryDirectory())) if self._socket else None  # where sshd's user gets to
            self.vps = Vps(self.street.build("vps", VPS), sockets)
            self.home = Home(self.street.build("home", HOME), self.vps)
            self.vps.authorize(USER, self.home.authorized, self.home.confined)
            self.vps.start_sshd()
            key = self.vps.start({"api_key": {"file": self._kept("token", self.home.token)}})
            stack.enter_context(self.vps.door)
            self.home.boot(self.box)
            self.visitor = stack.enter_context(Visitor(self.street.build("visitor", VISITOR), self.vps, key))
            self.vps.until(lambda: self.visitor.ask().headers.get("x-homeport-backend") == "home", "gateway.log")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def box(self) -> Place:
        """The machine at home that is there now; another one after it was without power."""
        return self.street.places["home"]

    def power_off(self) -> None:
        """Home is without power: its line is dead, and whatever ran is gone, at once."""
        self.street.demolish(self.box)

    def boot(self, *, elsewhere: bool = False) -> None:
        """Home has power again, and the address it had, or another; returns as soon as its programs were started."""
        self._host = self._other if elsewhere else self._host
        self.home.boot(self.street.build("home", HOME, self._host), wait=False)

    def change_address(self) -> None:
        """Home goes on at another address."""
        self._host = self._other
        self.street.move(self.box, HOME, self._host)

    @property
    def _other(self) -> int:
        return 2 if self._host == 3 else 3

    def _kept(self, name: str, secret: str) -> str:
        file = self.vps.folder / name
        file.write_text(secret, encoding="utf-8")
        file.chmod(0o600)
        return str(file)
