"""`/status` in a real browser: nothing is blocked, nothing overflows on a phone, the keyboard reaches all, and it can be read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from homeport.monitor.archive import Archive
from homeport.monitor.counts import Counts
from homeport.rules.heartbeat import Beats, day
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.browser.chromium import Chromium
from tests.browser.showing import CONTRAST, WIDER, opened
from tests.caller import asked, chat
from tests.gateway import Running, config, soon
from tests.unit.front.status.samples import spread

pytestmark = pytest.mark.slow
PHONE, DESK = 360, 1280
LONG = "a-model-whose-name-is-as-long-as-some-names-on-the-hub-really-are-instruct-q4_k_m.gguf"

SMALLEST = """Math.min(...[...document.querySelectorAll('.plot text')].map(text => text.getBoundingClientRect().height))"""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[str]:
    """A gateway with 90 days behind it, one backend down, and names that are long or mean harm."""
    today = day(time.time())
    names = ("assistant", LONG, "<b>bold</b>")
    counts = Counts(
        {(today - ago, backend): Beats(5700, 60 if ago % 17 == 5 else 0, 2) for ago in range(90) for backend in ("home", "vm")},
        {(today, name): spread(*((90.0 * 1.02**number, 25.0 + number % 30) for number in range(200))) for name in names},
    )
    with closing(Archive(tmp_path / "data")) as archive:
        archive.add(counts, today)
    with ScriptedBackend(Answer(tokens=("a", "b", "c"))) as vm:
        backends = {"home": "http://127.0.0.1:9", "vm": vm.url}
        with Running(config(tmp_path, backends, monitor={"probe_interval_s": 0.05})) as gateway:
            assert asked(gateway.url, chat(stream=True)).status == 200
            assert soon(lambda: gateway.status()["incidents"] != [] and len(gateway.status()["distributions"]) == 3)
            yield gateway.url


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[str]:
    """A gateway that has just begun."""
    with ScriptedBackend() as backend, Running(config(tmp_path, {"home": backend.url})) as gateway:
        yield gateway.url


def shown(browser: Chromium, url: str, **look: Any) -> Chromium:
    return opened(browser, f"{url}/status", **look)


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_with_much_to_show(browser: Chromium, full: str, width: int, dark: bool) -> None:
    page = shown(browser, full, width=width, dark=dark)
    assert page.said == []
    assert page.tell("document.querySelector('h1').innerText").startswith("home does not answer (connection refused)")
    assert page.tell("document.styleSheets.length") == 1
    assert page.tell("getComputedStyle(document.body).margin") == "0px", "its style is taken"
    assert page.tell("document.documentElement.scrollWidth") <= width
    page.tell("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert page.tell(WIDER) == []
    assert page.tell("document.documentElement.scrollWidth") <= width
    assert page.tell("document.querySelectorAll('.beats g').length") == 2 * 90
    assert page.tell("document.querySelectorAll('.plot').length") == 2 * 3
    assert page.tell("document.querySelectorAll('b').length") == 0
    assert page.tell(SMALLEST) >= 10, "what stands in a drawing can be read"
    lowest, words = page.tell(CONTRAST)[0]
    assert lowest >= 4.5, words
    ground = page.tell("getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number).slice(0, 3).reduce((a, b) => a + b)")
    assert (ground < 3 * 60) is dark


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_with_nothing_to_show(browser: Chromium, empty: str, width: int) -> None:
    page = shown(browser, empty, width=width)
    assert page.said == []
    assert page.tell("document.documentElement.scrollWidth") <= width
    said = page.tell("document.body.innerText")
    for words in ("All is well.", "home", "Healthy", "None in the last 90 days.", "No answer in the last 7 days."):
        assert words in said, words


def test_by_keyboard(browser: Chromium, full: str) -> None:
    page = shown(browser, full, width=PHONE)
    reached = []
    for _ in range(3):
        page.press("Tab", 9)
        reached.append(page.tell("document.activeElement.tagName + ' ' + document.activeElement.textContent"))
    assert reached == ["A Refresh", "SUMMARY Day by day, home", "SUMMARY Day by day, vm"]
    page = shown(browser, full, width=PHONE)
    for _ in range(2):
        page.press("Tab", 9)
    assert page.tell("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.tell("document.activeElement.parentElement.open") is False
    page.press("Enter", 13)
    assert page.tell("document.activeElement.parentElement.open") is True


def test_for_a_screen_reader(browser: Chromium, full: str) -> None:
    page = shown(browser, full)
    page.call("Accessibility.enable")
    nodes = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    page.call("Accessibility.disable")
    said = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    roles = [role for role, _ in said]
    assert {"banner", "main", "contentinfo", "table", "columnheader", "rowheader", "list"} <= set(roles)
    assert {name for role, name in said if role == "heading"} >= {"Backends", "Incidents", "How fast answers come", "home", "vm", "assistant"}
    images = [name for role, name in said if role in ("image", "img")]
    assert any("of the probes of 90 days were good; 5 of these days had failed ones." in name for name in images)
    assert any(name.startswith("Time to first token: p50 ") for name in images)
    assert all(images)


def test_the_policy_is_in_force(browser: Chromium, full: str) -> None:
    """What an attacker could put in would not run, nor load: the test of the tests above."""
    page = shown(browser, full)
    page.tell("(() => { const put = document.createElement('script'); put.textContent = 'window.ran = true'; document.body.append(put); })()")
    page.tell(
        "(() => { const put = document.createElement('div'); put.innerHTML = '<p style=\"color:red\"><img src=\"/x.png\">'; document.body.append(put); })()"
    )
    assert soon(lambda: page.tell("window.ran") is None and sum("Content Security Policy" in said for said in page.said) >= 3, 10)


def test_refreshing_needs_no_script(browser: Chromium, empty: str) -> None:
    page = shown(browser, empty)
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(f"{empty}/status")
        assert page.tell("document.querySelector('header a').href") == f"{empty}/status"
        assert page.said == []
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
