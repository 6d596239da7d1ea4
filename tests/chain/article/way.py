"""The route, with a bare `ssh -N -R` in a loop, on the machines of a chain that has Homeport too: same sshd, same nginx configuration, same engine."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Self

from tests.chain.chain import Chain
from tests.chain.home import ENGINE
from tests.chain.visitor import Visitor
from tests.clients.installing import python, room

USER = "plain"
ROUTE, BOUND, HTTPS, HTTP = 8000, 8463, 8443, 8080  # its ports on the VPS: the route's, the one that leads home, the front door's
AGAIN_S = 5  # between two runs of ssh


class ArticlesWay:
    """`with ArticlesWay(chain) as way:` beside Homeport; `way.visitor` asks through it. Raises CannotInstall."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._stack = contextlib.ExitStack()
        self._python = python(room("article"))
        self.log = chain.vps.folder / "route.jsonl"
        self.log.touch()
        self.visitor: Visitor

    def __enter__(self) -> Self:
        chain, vps = self._chain, self._chain.vps
        key = chain.home.folder / "plain_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
        vps.authorize(USER, Path(f"{key}.pub").read_text(encoding="ascii"))
        vps.kill_sshd()
        vps.start_sshd()
        ssh = f"ssh -F none -N -R 127.0.0.1:{BOUND}:127.0.0.1:{ENGINE} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i {key}"
        chain.home.more = [["sh", "-c", f"while true; do {ssh} {USER}@{vps.place.address}; sleep {AGAIN_S}; done"]]
        chain.box.start("plain.log", chain.home.more[0])
        environ = {"BOX": f"http://127.0.0.1:{BOUND}", "LOG": str(self.log)}
        serve = ["-m", "uvicorn", "--log-level", "warning", "--no-access-log", "--port", str(ROUTE), "--app-dir", str(Path(__file__).parent), "route:app"]
        vps.place.start("route.log", [str(self._python), *serve], environ=environ)
        folder = vps.folder / "plain"
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            stack.enter_context(vps.front_door(ROUTE, HTTPS, HTTP, folder))
            self.visitor = stack.enter_context(Visitor(chain.visitor.place, vps, chain.visitor.key, port=HTTPS))
            vps.until(lambda: self.visitor.ask().status == 200, "route.log")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def lines(self) -> int:
        """How many its log has."""
        return len(self.log.read_bytes().splitlines())
