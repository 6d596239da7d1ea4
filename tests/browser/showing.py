"""An example in a process of its own, and what is asked of every page of one: promises, what overflows, what can hardly be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.browser.chromium import Chromium
from tests.gateway import soon

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0

# For every element with words of its own that is shown: its colour against what lies behind it (WCAG 2.2, 1.4.3); the worst pairs first.
CONTRAST = """(() => {
  const parts = colour => { const found = colour.match(/[\\d.]+/g).map(Number); return {rgb: found.slice(0, 3), alpha: found[3] ?? 1}; };
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = rgb => rgb.map(v => linear(v / 255)).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = element => { for (; element; element = element.parentElement) {
    const found = parts(getComputedStyle(element).backgroundColor); if (found.alpha > 0) return found.rgb; } return [255, 255, 255]; };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.textContent.trim()).map(node => node.textContent.trim()).join(' ');
    const words = own || (element.matches('input, textarea') ? element.value || element.placeholder : '');
    if (!words || !element.checkVisibility() || element.matches('option, .unseen, script, noscript') || element.closest('title')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parts(element.ownerSVGElement ? style.fill : style.color).rgb), light(behind(element))];
    found.push([Math.round((Math.max(a, b) + .05) / (Math.min(a, b) + .05) * 100) / 100, words.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
})()"""
# What reaches beyond the screen, but for what scrolls by itself (`.wide`).
WIDER = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide'))
  .map(e => e.outerHTML.slice(0, 120))"""
UNNAMED = """[...document.querySelectorAll('button, input, select, textarea')].filter(e => e.checkVisibility())
  .filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML.slice(0, 120))"""


class Example:
    """`with Example("terminal", gateway.url) as example:` it runs at `example.url`; `pid` is its process. Without a gateway it starts its own."""

    def __init__(self, name: str, gateway: str | None = None, *, key: str | None = None) -> None:
        self.name = name
        self.url = ""
        self.pid = 0
        self._gateway = {"HOMEPORT_URL": gateway} if gateway else {}
        self._key = {"HOMEPORT_KEY": key} if key else {}
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT_") and name != "PORT"}
        environment = {**kept, **self._gateway, **self._key, "PORT": "0", "PYTHONWARNINGS": "error"}
        self._said = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "examples", self.name]
        self._child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=self._said, text=True)
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        self.url, self.pid = line.strip().rpartition(" ")[2], self._child.pid
        if not self.url.startswith("http://127.0.0.1:"):
            self.__exit__()
        return self

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send it a signal, as a crash or a person would, and wait for its end; its exit code."""
        assert self._child is not None
        self._child.send_signal(number)
        return self._child.wait(WAIT_S)

    def __exit__(self, *_: object) -> None:
        child, self._child = self._child, None
        assert child is not None and child.stdout is not None
        child.terminate()
        try:
            child.wait(WAIT_S)
        finally:
            child.kill()
            child.stdout.close()
            self._said.seek(0)
            said = self._said.read()
            self._said.close()
        assert said == "", said[-2000:]
        assert self.url.startswith("http://127.0.0.1:"), "it did not say where it runs"


def told(page: Chromium, expression: str) -> Any:
    """What a promise in the page comes to."""
    found = page.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in found, found
    return found["result"].get("value")


def shows(page: Chromium, expression: str, timeout_s: float = WAIT_S) -> None:
    """Wait until an expression holds in the page; fails with what the page says where it does not."""
    assert soon(lambda: page.tell(f"Boolean({expression})"), timeout_s), (expression, page.tell("document.body.innerText"), page.said)


def opened(page: Chromium, url: str, **look: Any) -> Chromium:
    """The page of an example, with nothing held against it yet."""
    page.look(**look)
    page.open("about:blank")
    page.said.clear()
    page.open(url)
    return page


def click(page: Chromium, words: str) -> None:
    """Press the button that is shown with these words. Fails where there is none, or it cannot be pressed."""
    found = f"[...document.querySelectorAll('button')].find(e => e.checkVisibility() && e.textContent.trim() === {words!r})"
    assert page.tell(f"Boolean({found})"), (words, page.tell("document.body.innerText"))
    assert page.tell(f"{found}.disabled || {found}.getAttribute('aria-disabled') === 'true'") is False, words
    page.tell(f"{found}.click()")


def write(page: Chromium, selector: str, text: str) -> None:
    """Put a text into a field as if it were typed."""
    page.tell(f"(e => {{ e.focus(); e.value = ''; }})(document.querySelector({selector!r}))")
    page.call("Input.insertText", text=text)


def heard(page: Chromium) -> list[str]:
    """What the browser complained of. A stream that a script reads to its end, Chromium often calls aborted: that, and one that was left, is no complaint."""
    return [said for said in page.said if '"errorText": "net::ERR_ABORTED", "canceled": true' not in said]


def clean(page: Chromium, width: int) -> None:
    """Nothing was blocked or logged, nothing is wider than the screen, all of it can be read, and every control has a name."""
    assert heard(page) == []
    assert page.tell(WIDER) == []
    assert page.tell("document.documentElement.scrollWidth") <= width
    assert page.tell(UNNAMED) == []
    lowest, words = page.tell(CONTRAST)[0]
    assert lowest >= 4.5, (lowest, words)
