"""A real Chromium without a window, driven over a pipe by its own protocol (CDP): pages, their looks, and what it complains of."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"]
ALONE = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-default-browser-check", "--no-proxy-server"]
TIMEOUT_S = 60.0


def found() -> str | None:
    """The program, or None where there is none that runs, or the pipe would not work (Windows)."""
    return None if sys.platform == "win32" else next((path for name in NAMES if (path := shutil.which(name)) and _runs(path)), None)


def _runs(program: str) -> bool:
    """Whether it is more than a stub that would fetch a browser."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


class Chromium:
    """One browser with one page. `said` holds what the browser logged: violations of the policy, errors, failed loads."""

    def __init__(self, write: int, read: int) -> None:
        self.said: list[str] = []
        self._write = write
        self._read = read
        self._received = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps({"id": self._number, "method": method, "params": parameters, **session}).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Be a screen of this size; below 600 pixels, a phone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url: str) -> None:
        """Go there, as a person would, and wait until all of it is loaded."""
        self._events.clear()
        loaded = self.call("Page.navigate", url=url)
        assert "errorText" not in loaded, loaded
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._note(self._message())

    def tell(self, expression: str) -> Any:
        """What an expression of JavaScript is, in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """One key, down and up."""
        said = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **said)

    def shot(self, path: Path) -> None:
        """A picture of the whole page, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def _note(self, message: dict[str, Any]) -> None:
        self._events.append(message)
        parameters = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            self.said.append(parameters["entry"]["text"])
        elif message.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed"):
            self.said.append(json.dumps(parameters))

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser says nothing any more"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has ended"
            self._received += more
        line, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def browser(program: str) -> Iterator[Chromium]:
    """A browser with a profile of its own, ended with all its processes."""
    ours_read, theirs_write = os.pipe()
    theirs_read, ours_write = os.pipe()
    profile = tempfile.mkdtemp(prefix="chromium-")
    words = [program, *QUIET, *ALONE, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    # the browser reads commands at descriptor 3 and writes at 4, wherever our ends of the pipes are
    script = f'exec 3<&{theirs_read} 4>&{theirs_write}; exec "$@"'
    environment = {**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
    child = subprocess.Popen(
        ["bash", "-c", script, "bash", *words],
        pass_fds=(theirs_read, theirs_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    for end in (theirs_read, theirs_write):
        os.close(end)
    try:
        page = Chromium(ours_write, ours_read)
        yield page
        page._session = None
        with contextlib.suppress(AssertionError, OSError):
            page.call("Browser.close")
    finally:
        for end in (ours_read, ours_write):  # it ends where nobody drives it any more
            os.close(end)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
        shutil.rmtree(profile, ignore_errors=True)
