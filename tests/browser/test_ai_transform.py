"""AI Transform in a real browser: bands that fill as they stream, and what it does where the model, the gateway or its own server goes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.tasks.shipped import sinc
from homeport.tasks.shipped.scattering import template
from homeport.testing.backend import ScriptedBackend
from homeport.testing.process import BackendProcess, Setup
from homeport.testing.script import Answer, Fault, Point
from tests.browser.chromium import Chromium
from tests.browser.showing import Example, clean, click, heard, opened, shows, told, write
from tests.caller import asked
from tests.gateway import Running, Spawned, config, soon

pytestmark = pytest.mark.slow
BANDS = {
    "PERSONA": "You are an organiser who has planned many outings.",
    "CONTEXT": "Ten people, an afternoon, a river bank.",
    "DATA": "None is given. The date would be needed.",
    "CONSTRAINTS": "ALWAYS name quantities. NEVER assume a grill. The plan MUST work in rain. ALWAYS keep it very simple. NEVER go beyond a single day.",
    "FORMAT": "A numbered list.",
    "TASK": "Plan a picnic for ten people.",
}
SAID = json.dumps(BANDS)
PROMPT = "Plan a picnic for ten people"
PATIENT = {"first_token_timeout_s": 60.0, "idle_timeout_s": 60.0}  # what a test leaves hanging, the gateway does not end
READY = "document.getElementById('model').textContent === 'Model ready'"
OFFLINE = "document.getElementById('go').textContent.trim() === 'Model offline'"
WHOLE = "!document.getElementById('raw').hidden"
IDLE = "document.getElementById('stop').hidden"
TEXTS = "[...document.querySelectorAll('.band .text')].map(e => e.textContent)"
BANNER = "document.querySelector('#banner').innerText"
ORIGIN = "document.getElementById('origin').textContent"
PROMPTS = [
    "plan a picnic",
    "  fix   my\tdate function,\n\nplease ",
    "Write a LETTER to Ana.",
    "compare A and B in a table",
    "explain it",
    "straße und ŉandu",
    "ǆ is a digraph",
    "éa; e\u0301a",
    "a\u00a0b\u2003c\u2028d\x85e\x1cf\ufeffg",
    "ſcript",
    "ﬁ code_x code",
    "日本語のコード 一二三",
    "x" * 3000,
    "Write a travel report. " + "It tells of rivers, hills and the people there. " * 30,
    "write of " + "rivers and hills and " * 40,
    "Is v1.2 good? " * 60,
    "<script>alert(1)</script> & \"quotes\" 'too'",
    "what is the formula of water?",
    '{"formula": "x", "fragments": []}',
    '{"formula": "x", "deep": {"a": [1, 2.5, null, true, "ü"]}}',
    '["formula"]',
    '{"formula": broken}',
    "🎉 party",
]


def gateway_of(folder: Path, url: str, **monitor: Any) -> Path:
    return config(
        folder,
        {"home": {"url": url, **PATIENT}},
        models={"default": {"routes": [{"backend": "home", "model": "m"}]}},
        monitor={"probe_interval_s": 0.1, **monitor},
    )


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SAID) as backend:
        yield backend


@pytest.fixture
def example(backend: ScriptedBackend, tmp_path: Path) -> Iterator[Example]:
    with Running(gateway_of(tmp_path, backend.url)) as gateway, Example("ai-transform", gateway.url) as example:
        yield example


def started(page: Chromium, example: Example, prompt: str = PROMPT, **look: Any) -> Chromium:
    """The page with a transform under way."""
    opened(page, example.url, **look)
    shows(page, READY)
    write(page, "#prompt", prompt)
    click(page, "Transform")
    return page


def is_cut(page: Chromium) -> None:
    """What came is marked as cut, and nothing offers it as whole."""
    assert page.tell(ORIGIN) == "Cut"
    assert "it is cut" in page.tell(BANNER)
    assert page.tell("[...document.querySelectorAll('.band .pill')].map(e => e.textContent)")[0] == "Cut"
    assert page.tell("document.getElementById('raw').hidden && document.getElementById('all').hidden") is True
    assert page.tell("[...document.querySelectorAll('.band button')].length") == 0


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_six_bands(browser: Chromium, example: Example, width: int, dark: bool) -> None:
    page = opened(browser, example.url, width=width, dark=dark)
    shows(page, READY)
    clean(page, width)
    write(page, "#prompt", PROMPT)
    click(page, "Transform")
    shows(page, WHOLE)
    assert page.tell(TEXTS) == list(BANDS.values())
    assert page.tell(ORIGIN) == "By the model"
    figures = page.tell("document.getElementById('figures').innerText")
    assert "Tokens/s" in figures and " s\n" in figures and "m on home" in figures and "–" not in figures
    assert json.loads(page.tell("document.getElementById('json').textContent")) == sinc.sinc(BANDS)
    assert "6 of 6" in page.tell("document.getElementById('measured').innerText")
    page.tell("document.querySelector('details').open = true")
    clean(page, width)


def test_bands_fill_one_after_the_other(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    page = opened(browser, example.url)
    shows(page, READY)
    page.tell("""window.steps = []; window.live = []; new MutationObserver(() => {
      const open = document.querySelector('.band.open h3')?.textContent, said = document.getElementById('status').textContent;
      if (open && open !== steps.at(-1)) steps.push(open);
      if (said && said !== live.at(-1)) live.push(said); }).observe(document.body, {subtree: true, childList: true}); 0""")
    backend.default = Answer(text=SAID, delay_s=0.01)
    write(page, "#prompt", PROMPT)
    click(page, "Transform")
    shows(page, WHOLE)
    steps = page.tell("steps")
    assert steps == [band for band in BANDS if band in steps] and len(steps) >= 4
    assert page.tell("live")[-1].startswith("All bands are there")
    assert any(said.startswith("Writing ") for said in page.tell("live")), "a screen reader hears which band it is at, not every word"
    assert heard(page) == []


def test_the_backend_is_killed(browser: Chromium, tmp_path: Path) -> None:
    with BackendProcess(Setup(answer=Answer(text=SAID, fault=Fault(at=12, how="freeze")))) as backend:
        with Running(gateway_of(tmp_path, backend.url)) as gateway, Example("ai-transform", gateway.url) as example:
            page = started(browser, example)
            shows(page, "document.querySelector('.context .text')?.textContent.startsWith('Ten')")
            backend.kill()
            shows(page, f"{BANNER}.includes('The model broke off in the middle of its answer.')")
            assert page.tell(ORIGIN) == "By the template"
            assert page.tell(TEXTS) == [fragment["x"] for fragment in template(PROMPT)["fragments"]], "nothing of the cut answer"
            clean(page, 1280)
            shows(page, OFFLINE)
            backend.setup = Setup(answer=Answer(text=SAID), port=backend.setup.port)
            backend.restart()
            shows(page, READY)
            click(page, "Try again")
            shows(page, f"{ORIGIN} === 'By the model'")
            assert page.tell(BANNER) == ""


def test_the_gateway_is_killed(browser: Chromium, tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text=SAID, fault=Fault(at=12, how="freeze"))) as backend, Spawned(gateway_of(tmp_path, backend.url)) as gateway:
        with Example("ai-transform", gateway.url) as example:
            page = started(browser, example, width=360)
            shows(page, "document.querySelector('.context .text')?.textContent.startsWith('Ten')")
            gateway.end(signal.SIGKILL)
            shows(page, f"{BANNER}.includes('lost in the middle')")
            is_cut(page)
            clean(page, 360)
            click(page, "Try again")
            shows(page, f"{IDLE} && {BANNER}.includes('gateway does not answer')")
            assert "Nothing had come." in page.tell(BANNER)
            shows(page, OFFLINE)
            assert page.tell("document.getElementById('go').getAttribute('aria-disabled')") == "true"
            page.tell("document.querySelector('#banner').replaceChildren()")
            click(page, "Use the template")
            shows(page, f"{ORIGIN} === 'By the template, in this browser'")
            assert page.tell("document.querySelectorAll('.band').length") == 6


def test_its_own_server_is_killed(browser: Chromium, backend: ScriptedBackend, tmp_path: Path) -> None:
    backend.default = Answer(text=SAID, fault=Fault(at=12, how="freeze"))
    with Running(gateway_of(tmp_path, backend.url)) as gateway:
        with Example("ai-transform", gateway.url) as example:
            page = started(browser, example)
            shows(page, "document.querySelector('.context .text')?.textContent.startsWith('Ten')")
            example.kill()
            shows(page, f"{BANNER}.includes('connection was lost')")
            is_cut(page)
        assert soon(lambda: backend.in_flight == 0), "the model stops"


def test_leaving_and_stopping_stop_the_model(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    backend.default = Answer(text=SAID, fault=Fault(at=12, how="freeze"))
    page = started(browser, example)
    shows(page, "document.querySelector('.context .text')?.textContent.startsWith('Ten')")
    click(page, "Stop")
    shows(page, f"{BANNER}.startsWith('Stopped.')")
    is_cut(page)
    assert soon(lambda: backend.in_flight == 0)
    backend.default = Answer(text=SAID, fault=Fault(at=Point.HEADERS, how="freeze"))
    click(page, "Try again")
    assert soon(lambda: backend.in_flight == 1)
    page.open("about:blank")
    assert soon(lambda: backend.in_flight == 0), "also before the first word"


def test_offline_the_template_is_the_servers(browser: Chromium, tmp_path: Path) -> None:
    with ScriptedBackend(SAID) as gone:
        pass
    with Running(gateway_of(tmp_path, gone.url)) as gateway, Example("ai-transform", gateway.url) as example:
        page = opened(browser, example.url, width=360, dark=True)
        shows(page, OFFLINE)
        assert "home does not answer (connection refused)" in page.tell("document.getElementById('model').textContent")
        page.tell("document.getElementById('go').click()")
        write(page, "#prompt", PROMPT)
        click(page, "Use the template")
        shows(page, WHOLE)
        clean(page, 360)
        for prompt in PROMPTS:
            given = json.dumps(prompt)
            theirs = asked(gateway.url, {"prompt": prompt}, path="/scatter?offline=template").json["sinc"]
            assert told(page, f"import('/own/template.js').then(m => m.template({given}))") == theirs, prompt
            if "fragments" not in theirs:
                continue
            ours = told(page, f"import('/own/template.js').then(m => m.measured({json.dumps(theirs)}, {given}))")
            assert ours == pytest.approx(sinc.measured(theirs, prompt), abs=0.0006), prompt


def test_a_sinc_object_passes_through(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    given = sinc.archived(sinc.sinc(BANDS), "raw")
    page = started(browser, example, json.dumps(given))
    shows(page, WHOLE)
    assert page.tell(ORIGIN) == "Passed through"
    assert json.loads(page.tell("document.getElementById('json').textContent")) == given
    assert page.tell(TEXTS) == [*BANDS.values(), "raw"]
    assert backend.generations == 0
    clean(page, 1280)


def test_model_text_is_text(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    harm = '<img src=x onerror="window.ran = 1"><script>window.ran = 1</script><b>bold</b> &amp; javascript:alert(1) ' + "W" * 200
    bands = {**dict.fromkeys(BANDS, harm), "CONSTRAINTS": f"NEVER ALWAYS MUST NEVER ALWAYS {harm} {harm} {harm} {harm}"}
    backend.default = json.dumps(bands)
    page = started(browser, example, harm, width=360)
    shows(page, WHOLE)
    assert page.tell(TEXTS) == list(bands.values())
    assert page.tell("document.querySelectorAll('main b, main img, main script').length") == 0
    assert page.tell("window.ran") is None
    clean(page, 360)


def test_by_keyboard_and_without_motion(browser: Chromium, backend: ScriptedBackend, example: Example) -> None:
    page = opened(browser, example.url)
    shows(page, READY)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    page.press("Tab", 9)
    assert page.tell("document.activeElement.id") == "prompt"
    page.call("Input.insertText", text=PROMPT)
    backend.default = Answer(text=SAID, fault=Fault(at=12, how="freeze"))
    page.press("Tab", 9)
    assert page.tell("document.activeElement.id") == "go"
    assert page.tell("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter", 13)
    shows(page, "document.querySelector('.band.open')")
    assert page.tell("getComputedStyle(document.querySelector('.band.open .text'), '::after').animationName") == "none"
    assert page.tell("getComputedStyle(document.getElementById('go'), '::after').animationName") == "none"
    page.press("Tab", 9)
    assert page.tell("document.activeElement.id") == "stop"
    page.press("Enter", 13)
    shows(page, f"{BANNER}.startsWith('Stopped.')")
    backend.default = SAID
    page.tell("document.getElementById('prompt').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, modifiers=2)
    shows(page, WHOLE)
    page.call("Accessibility.enable")
    nodes = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    page.call("Accessibility.disable")
    names = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    assert {("textbox", "Your prompt"), ("button", "Copy PERSONA"), ("heading", "CONSTRAINTS")} <= names
    assert {"status", "alert", "main"} <= {role for role, _ in names}
