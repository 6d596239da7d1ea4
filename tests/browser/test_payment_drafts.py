"""Payment drafts in a real browser: tone, placeholders, decisions, and never a cut draft that looks whole."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Fault
from tests.browser.chromium import Chromium
from tests.browser.showing import Example, clean, click, opened, shows, write
from tests.caller import asked
from tests.gateway import Running, Spawned, config, soon

pytestmark = pytest.mark.slow
SUBJECT = "Payment of {amount}"
BODY = "Dear {clientName}, {amount} was due on {dueDate}, {daysOverdue} days ago. Please pay it within three working days."
SAID = json.dumps({"subject": SUBJECT, "body": BODY})
PATIENT = {"first_token_timeout_s": 60.0, "idle_timeout_s": 60.0}  # what a test leaves hanging, the gateway does not end
READY = "document.getElementById('model').textContent === 'Model ready'"
BANNER = "document.querySelector('#banner').innerText"
PILLS = "[...document.querySelectorAll('#pills .pill')].map(e => e.textContent)"
BUTTONS = "[...document.querySelectorAll('#buttons button')].map(e => e.textContent)"
WHOLE = "[...document.querySelectorAll('#buttons button')].some(e => e.textContent === 'Accept' && !e.disabled)"
LETTER = "document.querySelector('#draft .body').textContent"
LOG = "[...document.querySelectorAll('#log strong')].map(e => e.textContent)"


def gateway_of(folder: Path, url: str) -> Path:
    return config(
        folder, {"home": {"url": url, **PATIENT}}, models={"default": {"routes": [{"backend": "home", "model": "m"}]}}, monitor={"probe_interval_s": 0.1}
    )


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SAID) as backend:
        yield backend


@pytest.fixture
def example(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Example]:
    with Running(gateway_of(tmp_path, backend.url)) as gateway, Example("payment-drafts", gateway.url) as example:
        yield example


def events(example: Example) -> list[dict[str, Any]]:
    """What the example's server keeps."""
    heard = asked(example.url, method="GET", path="/events", host=urlsplit(example.url).netloc)
    return [json.loads(line) for line in heard.body.splitlines()]


def ready(page: Chromium, example: Example, days: int = 9, **look: Any) -> Chromium:
    opened(page, example.url, **look)
    shows(page, READY)
    write(page, "#days", str(days))
    return page


def is_cut(page: Chromium) -> None:
    """What came is marked as cut, and can neither be accepted nor edited."""
    assert page.tell(PILLS) == ["Cut"]
    assert page.tell(BUTTONS) == []
    assert page.tell("document.getElementById('draft').classList.contains('cut')") is True
    assert "it is cut, and cannot be accepted" in page.tell(BANNER)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_draft(browser: Chromium, example: Example, width: int, dark: bool) -> None:
    page = ready(browser, example, width=width, dark=dark)
    clean(page, width)
    click(page, "Draft")
    shows(page, WHOLE)
    assert page.tell(PILLS) == ["firm", "By the model"]
    letter = page.tell(LETTER)
    assert letter.startswith("Dear Hollow Pine Joinery, € 1,240.00 was due on ") and ", 9 days ago." in letter and "{" not in letter
    marks = page.tell("[...document.querySelectorAll('#draft mark')].map(e => e.textContent)")
    assert {"Hollow Pine Joinery", "€ 1,240.00"} <= set(marks)
    assert "9" not in marks, "the model may write a single figure itself"
    clean(page, width)
    click(page, "Edit")
    clean(page, width)


@pytest.mark.parametrize(("days", "tone"), [(0, "friendly"), (6, "friendly"), (7, "firm"), (13, "firm"), (14, "urgent"), (90, "urgent")])
def test_the_tone_is_a_rule(browser: Chromium, example: Example, backend: ScriptedBackend, days: int, tone: str) -> None:
    page = ready(browser, example, days)
    assert page.tell("document.querySelector('#tones .on').dataset.tone") == tone
    click(page, "Draft")
    shows(page, WHOLE)
    assert page.tell(PILLS)[0] == tone
    asked_for = json.dumps(backend.asks[-1].fields)
    assert f" {tone} payment follow-up" in asked_for
    assert "Hollow Pine" not in asked_for and "1,240" not in asked_for, "the model sees no value"


def test_while_it_writes_there_are_holes_and_no_buttons(browser: Chromium, example: Example, backend: ScriptedBackend) -> None:
    backend.default = Answer(text=SAID, fault=Fault(at=8, how="freeze"))
    page = ready(browser, example)
    click(page, "Draft")
    shows(page, "document.querySelectorAll('#draft .hole').length >= 2")
    assert page.tell(BUTTONS) == []
    assert page.tell("[...document.querySelectorAll('#draft mark')].length") == 0
    clean(page, 1280)
    click(page, "Stop")
    shows(page, f"{BANNER}.startsWith('Stopped.')")
    is_cut(page)
    assert soon(lambda: backend.in_flight == 0), "the model stops"
    backend.default = SAID
    click(page, "Try again")
    shows(page, WHOLE)


def test_accept_edit_regenerate(browser: Chromium, example: Example) -> None:
    page = ready(browser, example)
    click(page, "Draft")
    shows(page, WHOLE)
    page.tell("document.getElementById('client').value = 'osei'; document.getElementById('client').dispatchEvent(new Event('input'))")
    click(page, "Regenerate")
    shows(page, f"{WHOLE} && {BANNER}.includes('It wrote the same again')")
    assert "Hollow Pine Joinery" in page.tell(LETTER), "the draft's client, not the one picked meanwhile"
    click(page, "Edit")
    assert page.tell("document.activeElement.id") == "body"
    write(page, "#body", "Dear Ana,\n\n<b>pay</b> please.")
    click(page, "Save")
    shows(page, f"{PILLS}.includes('Edited')")
    assert page.tell(LETTER) == "Dear Ana,\n\n<b>pay</b> please."
    click(page, "Accept")
    shows(page, f"{PILLS}.includes('Accepted')")
    assert page.tell(BUTTONS) == ["Copy the e-mail"]
    assert page.tell(LOG) == ["accepted", "edited", "regenerated"]
    regenerated, edited, accepted = events(example)
    assert [regenerated["kind"], edited["kind"], accepted["kind"]] == ["regenerated", "edited", "accepted"]
    assert regenerated["draft"] != edited["draft"] == accepted["draft"]
    assert edited["before"]["body"].startswith("Dear Hollow Pine Joinery") and accepted["body"] == edited["body"] == "Dear Ana,\n\n<b>pay</b> please."
    assert accepted["client"] == "hollow-pine" and accepted["tone"] == "firm" and accepted["offline"] is False and accepted["at"] > 1e9
    clean(page, 1280)
    page.open(example.url)
    shows(page, f"{LOG}.length === 3")


def test_the_backend_is_killed(browser: Chromium, tmp_path: Path) -> None:
    with BackendProcess(Setup(answer=Answer(text=SAID, fault=Fault(at=8, how="freeze")))) as backend:
        with Running(gateway_of(tmp_path, backend.url)) as gateway, Example("payment-drafts", gateway.url) as example:
            page = ready(browser, example, 20, width=360)
            click(page, "Draft")
            shows(page, "document.querySelectorAll('#draft .hole').length >= 2")
            backend.kill()
            shows(page, f"{BANNER}.includes('The model broke off in the middle of its answer.')")
            assert page.tell(PILLS) == ["urgent", "By the template"]
            assert page.tell(LETTER).endswith("Please pay it today, or call us today.\n\nThank you"), "nothing of the cut draft"
            clean(page, 360)
            shows(page, "document.getElementById('model').textContent.startsWith('Model offline: home does not answer')")
            backend.setup = Setup(answer=Answer(text=SAID), port=backend.setup.port)
            backend.restart()
            shows(page, READY)
            click(page, "Regenerate")
            shows(page, f"{PILLS}.includes('By the model')")
            assert [event["offline"] for event in events(example)] == [True]


def test_the_gateway_is_killed(browser: Chromium, tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text=SAID, fault=Fault(at=8, how="freeze"))) as backend, Spawned(gateway_of(tmp_path, backend.url)) as gateway:
        with Example("payment-drafts", gateway.url) as example:
            page = ready(browser, example, width=360, dark=True)
            click(page, "Draft")
            shows(page, "document.querySelectorAll('#draft .hole').length >= 2")
            gateway.end(signal.SIGKILL)
            shows(page, f"{BANNER}.includes('lost in the middle')")
            is_cut(page)
            clean(page, 360)
            click(page, "Try again")
            shows(page, f"{BANNER}.includes('gateway does not answer')")
            assert page.tell("document.getElementById('result').hidden") is True
            shows(page, "document.getElementById('model').textContent.startsWith('Model offline: the gateway does not answer')")


def test_its_own_server_is_killed(browser: Chromium, backend: ScriptedBackend, tmp_path: Path) -> None:
    with Running(gateway_of(tmp_path, backend.url)) as gateway, Example("payment-drafts", gateway.url) as example:
        page = ready(browser, example)
        click(page, "Draft")
        shows(page, WHOLE)
        backend.default = Answer(text=SAID, fault=Fault(at=8, how="freeze"))
        click(page, "Draft")
        shows(page, "document.querySelectorAll('#draft .hole').length >= 2")
        example.kill()
        shows(page, f"{BANNER}.includes('connection was lost')")
        is_cut(page)


def test_a_decision_that_cannot_be_kept_is_told(browser: Chromium, example: Example) -> None:
    page = ready(browser, example)
    click(page, "Draft")
    shows(page, WHOLE)
    example.kill()
    click(page, "Accept")
    shows(page, f"{BANNER}.includes('This could not be noted')")
    assert page.tell(PILLS) == ["firm", "By the model"], "it is not shown as accepted"


def test_offline_the_template_serves(browser: Chromium, tmp_path: Path) -> None:
    with ScriptedBackend(SAID) as gone:
        pass
    with Running(gateway_of(tmp_path, gone.url)) as gateway, Example("payment-drafts", gateway.url) as example:
        page = opened(browser, example.url, width=360)
        shows(page, "document.getElementById('model').textContent.startsWith('Model offline: home does not answer (')")
        click(page, "Use the template")
        shows(page, WHOLE)
        assert page.tell(PILLS) == ["firm", "By the template"]
        assert page.tell(BANNER) == "No model answered. This is the template’s."
        clean(page, 360)


def test_model_text_is_text(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    harm = '<img src=x onerror="window.ran = 1"><script>window.ran = 1</script><b>{clientName}</b> $& {amount} {dueDate} {daysOverdue} ' + "W" * 200
    backend.default = json.dumps({"subject": "<i>now</i>", "body": harm})
    page = ready(browser, example, width=360)
    click(page, "Draft")
    shows(page, WHOLE)
    assert page.tell("document.querySelector('#draft .subject').textContent") == "Subject <i>now</i>"
    assert page.tell(LETTER).startswith(harm.partition("{")[0] + "Hollow Pine Joinery</b> $& € 1,240.00 ")
    assert page.tell("document.querySelectorAll('main b, main i, main img, main script').length") == 0
    assert page.tell("window.ran") is None
    clean(page, 360)


def test_by_keyboard_and_for_a_screen_reader(browser: Chromium, example: Example) -> None:
    page = opened(browser, example.url)
    shows(page, READY)
    reached = []
    for _ in range(3):
        page.press("Tab", 9)
        reached.append(page.tell("document.activeElement.id"))
    assert reached == ["client", "days", "go"]
    write(page, "#days", "-3")
    assert "a whole number" in page.tell("document.getElementById('facts').textContent")
    assert page.tell("document.querySelectorAll('#tones .on').length") == 0
    page.press("Enter", 13)
    assert page.tell("document.getElementById('result').hidden") is True
    write(page, "#days", "15")
    page.press("Enter", 13)
    shows(page, WHOLE)
    assert page.tell("document.getElementById('status').textContent").startswith("The draft is there. Subject: Payment of")
    page.call("Accessibility.enable")
    nodes = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    page.call("Accessibility.disable")
    names = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    assert {("combobox", "Client"), ("spinbutton", "Days overdue"), ("list", "Tone, by rule"), ("button", "Regenerate")} <= names
    assert {"status", "alert", "main", "article"} <= {role for role, _ in names}
