"""Machines on one Linux: network namespaces with a street between them, whose lines can be cut, and which can lose their power."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

PREFIX = 24  # bits of a place's network
TOOLS = ("ip", "nsenter", "unshare")
SYSTEM = "/usr/sbin:/usr/local/sbin:/sbin"  # where daemons are, which is not on every PATH
_LIBC = ctypes.CDLL(None, use_errno=True)


def lacking() -> str:
    """Why there can be no places here; "" where there can."""
    if missing := [tool for tool in TOOLS if executable(tool) is None]:
        return f"no {', '.join(missing)} on this machine"
    if os.geteuid() != 0:
        return "network namespaces need root"
    trial = ["unshare", "--net", "--mount", "sh", "-c", "ip link add name one type veth peer name two && mount -t tmpfs none /run"]  # gone with its shell
    done = subprocess.run(trial, capture_output=True, text=True, timeout=30, check=False)
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else ""


def executable(name: str) -> str | None:
    """Where a program is, a daemon's too."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM)


class Place:
    """A network namespace and the processes in it. It is gone once they are: nothing of it has a name on this machine."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.address = ""
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # ends with us
        self._children = [self._holder]
        ours = os.readlink("/proc/self/ns/net")
        while (inside := os.readlink(self._file)) == ours or _command(self._holder.pid) != "cat":
            assert self._holder.poll() is None, "no network namespace"
            time.sleep(0.002)
        self._inside = inside
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """Of the process that keeps the namespace."""
        return self._holder.pid

    @property
    def _file(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    def command(self, *command: str) -> list[str]:
        """The same command, run in here."""
        return ["nsenter", f"--net={self._file}", "--", *command]

    def run(self, *command: str) -> str:
        """Run to its end; its output. Fails the test where it fails."""
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr}"
        return done.stdout

    def start(self, log: str, command: Sequence[str], *, environ: dict[str, str] | None = None, stdin: int | None = None) -> subprocess.Popen[bytes]:
        """Start a process in here; what it says on stdout can be read, the rest is appended to the file `log` in this place's folder."""
        with (self.folder / log).open("ab") as errors:
            child = subprocess.Popen(
                self.command(*command),
                stdin=stdin or subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | (environ or {}),
                cwd=self.folder,
            )
        self._children.append(child)
        return child

    def said(self, log: str) -> str:
        """The end of a log."""
        file = self.folder / log
        return file.read_text(encoding="utf-8", errors="replace")[-3000:] if file.exists() else ""

    @property
    def processes(self) -> list[int]:
        """All that runs in here, but for what keeps the namespace."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and int(entry.name) != self._holder.pid and os.readlink(entry / "ns/net") == self._inside:
                    found.append(int(entry.name))
        return found

    def kill(self, name: str = "") -> None:
        """SIGKILL to every process in here, or to those of one program."""
        while left := [pid for pid in self.processes if not name or _command(pid) == name]:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            time.sleep(0.002)

    def destroy(self) -> None:
        """All of it is gone at once, sockets and interfaces too: nobody outside is told."""
        self.kill()
        self._holder.kill()
        self._reap(10)

    def enter(self) -> None:
        """The sockets that the calling thread makes from now on are in here."""
        handle = os.open(self._file, os.O_RDONLY)
        try:
            if _LIBC.setns(handle, 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(handle)

    def _reap(self, patience_s: float = 0) -> None:
        for child in list(self._children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience_s) if patience_s else child.poll()
            if child.returncode is not None:
                self._children.remove(child)
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()


class Street:
    """`with Street(folder) as street:` the network between the places: a router, and a line from it to each of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._router: Place
        self.places: dict[str, Place] = {}

    def __enter__(self) -> Self:
        self._router = Place("street", self._folder)
        self._router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places.values():
            place.destroy()
        self._router.destroy()

    def build(self, name: str, network: int, host: int = 2) -> Place:
        """A place with the address 10.77.NETWORK.HOST, on a line to the router, which is 10.77.NETWORK.1."""
        place = self.places[name] = Place(name, self._folder)
        subprocess.run(
            ["ip", "link", "add", "eth0", "netns", str(place.pid), "type", "veth", "peer", "name", name, "netns", str(self._router.pid)], check=True, timeout=30
        )
        self._router.run("ip", "address", "add", f"10.77.{network}.1/{PREFIX}", "dev", name)
        self._router.run("ip", "link", "set", name, "up")
        place.run("ip", "link", "set", "eth0", "up")
        self.move(place, network, host)
        return place

    def move(self, place: Place, network: int, host: int) -> None:
        """Give a place another address; the one it had is nobody's from now on."""
        before, place.address = place.address, f"10.77.{network}.{host}"
        if before:
            place.run("ip", "address", "del", f"{before}/{PREFIX}", "dev", "eth0")
        place.run("ip", "address", "add", f"{place.address}/{PREFIX}", "dev", "eth0")
        place.run("ip", "route", "replace", "default", "via", f"10.77.{network}.1")

    def cut(self, place: Place) -> None:
        """The line is dead at the router's end; who sends is not told."""
        self._router.run("ip", "link", "set", place.name, "down")

    def mend(self, place: Place) -> None:
        """The line is whole again."""
        self._router.run("ip", "link", "set", place.name, "up")

    def swallow(self, place: Place) -> None:
        """What is sent to a place's address is swallowed, without a word; what it sends arrives."""
        self._router.run("ip", "route", "add", "blackhole", f"{place.address}/32")

    def spit_out(self, place: Place) -> None:
        """What is sent there arrives again."""
        self._router.run("ip", "route", "del", "blackhole", f"{place.address}/32")

    def demolish(self, place: Place) -> None:
        """A place loses its power: its line first, so that nothing of its end gets out; the connections of what is killed stay open elsewhere."""
        self._router.run("ip", "link", "del", place.name)
        place.destroy()
        del self.places[place.name]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""
