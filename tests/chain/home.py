"""The box at home: an engine, the node before it, and the tunnel out; it can be booted again on the same disk."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.chain import engine
from tests.chain.places import Place
from tests.chain.vps import USER, Vps, added, first_line, homeport, started
from tests.gateway import config

NODE, ENGINE = 8461, 8480  # its ports on loopback


class Home:
    """What is on its disk, and what runs there once it is booted."""

    def __init__(self, place: Place, vps: Vps) -> None:
        self.folder = place.folder
        self.more: list[list[str]] = []  # what else is started at boot
        models = {engine.MODEL: {"routes": [{"backend": "engine", "model": engine.MODEL}]}}
        backends = {"engine": {"url": f"http://127.0.0.1:{ENGINE}", "max_in_flight": 32}}
        self.path = config(self.folder, backends, models=models, listen=f"127.0.0.1:{NODE}")
        self.token = added(place, self.path, "vps")
        tunnel = {"to": f"{USER}@{vps.place.address}", "host_key": vps.host_key, "remote": vps.remote}
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n".join(["[tunnel]", *(f'{key} = "{value}"' for key, value in tunnel.items()), ""]))
        told = json.loads(place.run(*homeport("tunnel", "key", "--config", str(self.path), "--json")))
        self.authorized: str = told["authorized_keys"]
        self.confined: str = told["sshd"]

    def boot(self, place: Place, *, wait: bool = True) -> None:
        """Start everything, each when the one before it is there; with `wait=False` all at once."""
        children = [place.start("engine.log", [sys.executable, engine.__file__, "home", str(ENGINE)], stdin=subprocess.PIPE)]
        if wait:
            first_line(place, children[0], "engine.log")
            started(place, self.path, "node.log")
        else:
            place.start("node.log", homeport("up", "--config", str(self.path), "--json"))
        place.start("tunnel.log", homeport("tunnel", "up", "--config", str(self.path)))
        for number, command in enumerate(self.more):
            place.start(f"more{number}.log", command)
