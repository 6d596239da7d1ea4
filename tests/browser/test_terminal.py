"""examples/terminal in a real browser: data at once, questions from the model, and never a cut answer as a whole one."""

from __future__ import annotations

import json
import runpy
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault, Refuse
from tests.browser.chromium import Chromium
from tests.browser.showing import Example, clean, click, heard, opened, shows
from tests.caller import asked, chat
from tests.gateway import Running, Spawned, config, soon

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[2] / "examples/terminal"
PHONE, DESK = 360, 1280
QUESTION = "What does mossgrep read?"
QUOTE = "It reads compressed files as they are"
BEGUN = ('{"answer": "It ', "reads ", "compressed ")
WHOLE = Answer(tokens=(*BEGUN, "files ", "as ", "they ", 'are"}'))
FROZEN = Answer(tokens=WHOLE.pieces(), fault=Fault(at=3, how="freeze"))
EVIL = '<img src=x onerror="window.ran = true"><b>bold</b>'
PATIENT = {"first_token_timeout_s": 120.0, "idle_timeout_s": 120.0}  # a test that stands still, on a machine that is busy
MODELS = {"default": {"routes": [{"backend": "home", "model": "m"}]}}
LAST = "document.querySelector('.entry:last-child .out')"
PARTLY = f"{LAST}.querySelector('.unfinished')?.textContent.trim() === 'It reads compressed'"
# Everything the last answer ever showed, from now on.
WATCH = "window.seen = []; new MutationObserver(() => seen.push(log.innerText)).observe(log, {subtree: true, childList: true, characterData: true})"


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend() as backend:
        yield backend


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend) -> Iterator[str]:
    path = config(tmp_path_factory.mktemp("terminal"), {"home": {"url": backend.url, **PATIENT}}, models=MODELS)
    with Running(path, guarded=False) as gateway, Example("terminal", gateway.url) as example:
        yield example.url


@pytest.fixture
def page(browser: Chromium, url: str, backend: ScriptedBackend) -> Chromium:
    backend.default = WHOLE
    page = opened(browser, url, width=DESK)
    ready(page)
    return page


def ready(page: Chromium) -> None:
    shows(page, "document.querySelector('#model.good') && log.innerText.startsWith('There are 9 small projects in here.')")
    page.tell("line.focus()")


def type_in(page: Chromium, text: str) -> None:
    page.call("Input.insertText", text=text)


def run(page: Chromium, text: str) -> None:
    """Type a line, and send it."""
    entries = page.tell("document.querySelectorAll('.entry').length")
    type_in(page, text)
    page.press("Enter", 13)
    shows(page, f"document.querySelectorAll('.entry').length > {entries}")


def answered(page: Chromium, text: str) -> str:
    """What the page answers to a line, once it is done."""
    run(page, text)
    shows(page, f"{LAST}.children.length && !{LAST}.querySelector('.unfinished')")
    return str(page.tell(f"{LAST}.innerText"))


@pytest.fixture(scope="module")
def code() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "app.py"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("help", "what there is to know of one"),
        (" HELP ", "what there is to know of one"),
        ("?", "an empty screen"),
        ("list", "a monitor for services at home"),
        ("show mossgrep", "Rust"),
        ("mossgrep", "Rust"),
        ("show Mossgrep license", "MIT"),
        ("explain lampblack", "It keeps <main> and <article> of a page"),
        ("show", "Which one?"),
        ("show mosgrep", "There is no project “mosgrep”"),
        ("show mosgrep license", "There is no project “mosgrep”"),
        ("explain mosgrep", "There is no project “mosgrep”"),
        ("show mossgrep licence", "mossgrep has no field “licence”"),
        ("show mossgrep price", "mossgrep has no field “price”"),
        ("lst", "There is no command “lst”"),
    ],
)
def test_what_the_data_knows(code: dict[str, Any], line: str, said: str) -> None:
    reply = code["known"](line)
    assert said in "\n".join([reply.text, *(f"{row.term} {row.text}" for row in reply.rows)])
    assert all(code["known"](row.run) is not None for row in reply.rows if row.run), "whatever it offers is a command"


@pytest.mark.parametrize("line", ["", "what is written in Go?", "show me what is written in Go", "explain the world to me", "licenses"])
def test_an_open_question_is_left_to_the_model(code: dict[str, Any], line: str) -> None:
    assert code["known"](line) is None


@pytest.mark.parametrize(
    ("question", "name"), [("What is the license of tidewatch?", "tidewatch"), ("Which one draws rain?", "saltmarsh"), ("a typeface", "wrenfont")]
)
def test_the_model_is_told_the_projects_that_fit(code: dict[str, Any], question: str, name: str) -> None:
    told = code["context"](question)
    assert told.startswith(f"{name} is ")
    assert len(told.splitlines()) == code["SHEETS"]


def test_a_gateway_can_give_the_same_answers(tmp_path: Path) -> None:
    """By examples/terminal/homeport.toml, to every client, and without a model."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "homeport.toml"
    path.write_text(path.read_text("utf-8") + f'[server]\nlisten = "127.0.0.1:0"\ndata = "{tmp_path}/data"\n', "utf-8")
    with Running(path) as gateway:
        for line, said in (
            ("show tidewatch license", "Apache-2.0"),
            ("Show Mossgrep since", "2020"),
            ("explain thimble", "It turns a folder"),
            ("list", "pebblestore\n"),
        ):
            reply = asked(gateway.url, chat(line, model="default"))
            assert reply.json["choices"][0]["message"]["content"].startswith(said), line
        assert all(receipt["backend"] is None for receipt in gateway.journal.settled(4))


def test_the_data_answers_without_a_model(page: Chromium, backend: ScriptedBackend) -> None:
    before = backend.generations
    assert "a key-value store in a single file" in answered(page, "list")
    assert answered(page, "show tidewatch license") == "Apache-2.0"
    assert "It keeps <main> and <article> of a page" in answered(page, "explain lampblack")
    click(page, "list")
    shows(page, "document.querySelectorAll('.entry').length === 5")
    assert backend.generations == before
    assert answered(page, "lst").startswith("There is no command “lst”")
    type_in(page, "clear")
    page.press("Enter", 13)
    shows(page, "log.children.length === 0")
    assert heard(page) == []


def test_a_question_is_answered_from_the_data_as_it_comes(page: Chromium, backend: ScriptedBackend) -> None:
    page.tell(WATCH)
    said = answered(page, QUESTION)
    assert said.splitlines()[0] == QUOTE
    assert "It stands in explain mossgrep. Answered by m (local), 7 tokens in " in said
    assert any("Asking the model …" in seen for seen in page.tell("seen"))
    assert page.tell(f"{LAST}.querySelector('.answer').textContent") == QUOTE
    asked = backend.asks[-1].fields["messages"][0]["content"]
    assert QUESTION in asked and "mossgrep is written in Rust." in asked
    click(page, "explain mossgrep")
    shows(page, f"{LAST}.innerText.includes('On a laptop it reads two gigabytes a second.')")
    assert heard(page) == []


def test_a_part_of_an_answer_is_shown_as_unfinished(page: Chromium, backend: ScriptedBackend) -> None:
    backend.default = FROZEN
    run(page, QUESTION)
    shows(page, PARTLY)
    assert page.tell(f"{LAST}.querySelector('.answer')") is None
    assert page.tell(f"{LAST}.querySelector('.unfinished').getAttribute('aria-hidden')") == "true"
    assert answered(page, "show mossgrep since") == "2020", "meanwhile the data answers"
    assert page.tell("document.querySelector('#stop').checkVisibility()") is True
    page.press("Escape", 27)
    shows(page, "!document.querySelector('.unfinished') && log.innerText.includes('Stopped.')")
    assert "compressed" not in page.tell("log.innerText")
    assert page.tell("document.querySelector('#stop').checkVisibility()") is False
    assert soon(lambda: backend.in_flight == 0, 5.0), "the model is stopped too"


def test_a_new_question_ends_the_one_before(page: Chromium, backend: ScriptedBackend) -> None:
    backend.default = FROZEN
    run(page, QUESTION)
    shows(page, PARTLY)
    backend.default = WHOLE
    assert QUOTE in answered(page, QUESTION)
    assert page.tell("[...document.querySelectorAll('.out')].map(out => out.innerText.split('\\n')[0])") == ["Stopped.", QUOTE]


def test_null_is_said_as_what_it_means(page: Chromium, backend: ScriptedBackend) -> None:
    backend.default = Answer(text='{"answer": null}')
    assert answered(page, "Who made it all, and why?").startswith("The data does not say.")


@pytest.mark.parametrize("how", ["close", "end", "error"])
def test_a_backend_that_breaks_off_in_mid_answer(page: Chromium, backend: ScriptedBackend, how: Any) -> None:
    page.tell(WATCH)
    backend.default = Answer(tokens=WHOLE.pieces(), fault=Fault(at=3, how=how, after_s=0.3))
    broken_off(page, answered(page, QUESTION))
    assert any("It reads compressed" in seen for seen in page.tell("seen")), "a part had been shown"
    assert answered(page, "show mossgrep license") == "MIT"
    backend.default = WHOLE
    click(page, "Ask again")
    shows(page, f"{LAST}.querySelector('.answer')?.textContent === '{QUOTE}'")


def test_a_backend_that_is_killed_in_mid_answer(browser: Chromium, tmp_path: Path) -> None:
    with ExitStack() as life:
        dying = life.enter_context(ScriptedBackend(FROZEN))
        with Running(config(tmp_path, {"home": {"url": dying.url, **PATIENT}}, models=MODELS)) as gateway, Example("terminal", gateway.url) as example:
            page = opened(browser, example.url, width=DESK)
            ready(page)
            run(page, QUESTION)
            shows(page, PARTLY)
            life.close()  # every connection breaks, and no other is taken
            shows(page, f"!{LAST}.querySelector('.unfinished')")
            broken_off(page, page.tell(f"{LAST}.innerText"))
            assert answered(page, QUESTION).startswith("There is no answer.")


def broken_off(page: Chromium, said: str) -> None:
    assert said.startswith("The answer broke off before its end, so nothing of it is shown.")
    assert "compressed" not in said
    assert "Ask again. What the data says is still here: list, help." in said
    assert page.tell("document.querySelector('.answer')") is None


def test_a_gateway_that_is_killed_in_mid_answer(browser: Chromium, backend: ScriptedBackend, tmp_path: Path) -> None:
    backend.default = FROZEN
    with Spawned(config(tmp_path, {"home": {"url": backend.url, **PATIENT}}, models=MODELS)) as gateway, Example("terminal", gateway.url) as example:
        page = opened(browser, example.url, width=DESK)
        ready(page)
        run(page, QUESTION)
        shows(page, PARTLY)
        gateway.end(signal.SIGKILL)
        shows(page, f"{LAST}.innerText.startsWith('The answer broke off before its end, so nothing of it is shown. The gateway was lost in the middle')")
        assert "compressed" not in page.tell(f"{LAST}.innerText")
        shows(page, "document.querySelector('#model.warn')?.textContent.startsWith('Model offline: the gateway does not answer')")
        assert answered(page, QUESTION).startswith("There is no answer. The gateway does not answer")
        assert answered(page, "show mossgrep license") == "MIT"


def test_the_pages_own_server_is_killed_in_mid_answer(browser: Chromium, backend: ScriptedBackend, tmp_path: Path) -> None:
    backend.default = FROZEN
    with Running(config(tmp_path, {"home": {"url": backend.url, **PATIENT}}, models=MODELS)) as gateway, Example("terminal", gateway.url) as example:
        page = opened(browser, example.url, width=DESK)
        ready(page)
        run(page, QUESTION)
        shows(page, PARTLY)
        example.kill()
        shows(page, f"{LAST}.innerText.startsWith('The answer broke off before its end, so nothing of it is shown.')")
        assert answered(page, "list").startswith("There is no answer. The server of this page does not answer. Is it still running?")


def test_with_no_model_the_commands_work(browser: Chromium, tmp_path: Path) -> None:
    with Running(config(tmp_path, {"home": "http://127.0.0.1:9"}, models=MODELS)) as gateway, Example("terminal", gateway.url) as example:
        page = opened(browser, example.url, width=PHONE)
        shows(page, "document.querySelector('#model.warn')?.textContent.endsWith('Commands work all the same.')")
        page.tell("line.focus()")
        assert answered(page, "show mossgrep license") == "MIT"
        assert answered(page, QUESTION).startswith("There is no answer. The task ask got no answer that holds.")
        page.said[:] = [said for said in page.said if "503" not in said]  # as the browser notes of every refusal
        clean(page, PHONE)


@pytest.mark.parametrize("answer", [Answer(text=json.dumps({"answer": EVIL})), Refuse(status=400, message=EVIL)], ids=["answer", "error"])
def test_html_is_shown_as_text(page: Chromium, backend: ScriptedBackend, answer: Answer | Refuse) -> None:
    page.tell(WATCH)
    backend.default = answer
    said = answered(page, QUESTION)
    assert any("<b>bold</b>" in seen for seen in [*page.tell("seen"), said]), "it was shown"
    assert page.tell("document.querySelectorAll('#log img, #log b').length") == 0
    assert page.tell("window.ran") is None
    backend.default = Answer(text='{"answer": "<main> and <article>"}')
    assert answered(page, "What does lampblack keep?").startswith("<main> and <article>\n")
    assert page.tell("document.querySelectorAll('main').length") == 1


def test_the_policy_is_in_force(page: Chromium) -> None:
    page.tell("(() => { const put = document.createElement('script'); put.textContent = 'window.ran = true'; document.body.append(put); })()")
    page.tell("(() => { const put = document.createElement('p'); put.innerHTML = '<b style=\"color:red\"></b>'; document.body.append(put); })()")
    page.tell("fetch('http://127.0.0.1:9/').catch(() => {}); 0")
    assert soon(lambda: page.tell("window.ran") is None and sum("Content Security Policy" in said for said in page.said) >= 3, 10)


def test_by_keyboard_alone(page: Chromium) -> None:
    def value() -> str:
        return str(page.tell("line.value"))

    for typed, completed in (("sh", "show "), ("mo", "show mossgrep "), ("li", "show mossgrep license")):
        type_in(page, typed)
        page.press("Tab", 9)
        assert value() == completed
    page.press("Enter", 13)
    shows(page, f"{LAST}?.innerText === 'MIT'")
    assert answered(page, "show thimble since") == "2020"
    type_in(page, "ex")
    for key, code, line in (
        ("Up", 38, "show thimble since"),
        ("Up", 38, "show mossgrep license"),
        ("Up", 38, "show mossgrep license"),
        ("Down", 40, "show thimble since"),
    ):
        page.press(f"Arrow{key}", code)
        assert value() == line
    page.press("ArrowDown", 40)
    assert value() == "ex", "what had been begun is not lost"
    page.press("Tab", 9)
    assert value() == "explain "
    page.press("Tab", 9)
    shows(page, "said.textContent.startsWith('9 completions: explain pebblestore, ')")
    assert page.tell("document.activeElement.id") == "line"
    page.press("Tab", 9)
    assert page.tell("document.activeElement.id") == "send", "Tab that completes nothing more moves on: nobody is caught in the line"
    for stop in ("line", "BUTTON saltmarsh"):
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9, modifiers=8)
        assert page.tell("document.activeElement.id || document.activeElement.tagName + ' ' + document.activeElement.textContent") == stop
    assert page.tell("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter", 13)
    shows(page, f"{LAST}.innerText.startsWith('saltmarsh is a map of rain')")
    assert heard(page) == []


def test_for_a_screen_reader(page: Chromium) -> None:
    answered(page, QUESTION)
    nodes = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    said = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    assert {
        ("log", "Answers"),
        ("textbox", "Command or question"),
        ("button", "Send"),
        ("group", "Suggestions"),
        ("heading", "A portfolio one can ask"),
    } <= said
    assert {"banner", "main", "status"} <= {role for role, _ in said}
    assert page.tell("log.getAttribute('aria-live')") == "polite"
    assert ("StaticText", QUOTE) in said


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(browser: Chromium, url: str, backend: ScriptedBackend, width: int, dark: bool) -> None:
    backend.default = WHOLE
    page = opened(browser, url, width=width, dark=dark)
    ready(page)
    clean(page, width)
    for line in ("help", "list", "show mossgrep", "explain lampblack", QUESTION, "show mosgrep", f"a-{'very-' * 30}long-word"):
        answered(page, line)
    type_in(page, "explain ")
    clean(page, width)
    assert page.tell("document.documentElement.scrollHeight <= innerHeight"), "the line stays where it is; the log scrolls"
    shows(page, "log.scrollTop + log.clientHeight >= log.scrollHeight - 1")  # the last answer is in sight
    assert page.tell("Math.min(...[...form.querySelectorAll('button')].filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().height)) >= 24")


def test_nothing_moves_where_none_should(browser: Chromium, page: Chromium, backend: ScriptedBackend) -> None:
    backend.default = FROZEN
    blinks = "getComputedStyle(document.querySelector('.unfinished'), '::after').animationName !== 'none'"
    run(page, QUESTION)
    shows(page, "document.querySelector('.unfinished')")
    assert page.tell(blinks) is True
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.tell(blinks) is False
    assert page.tell("document.getAnimations().length") == 0
    page.press("Escape", 27)
    shows(page, "!document.querySelector('.unfinished')")


def test_the_bundled_model_quotes_the_data_or_says_that_it_does_not(browser: Chromium) -> None:
    with Example("terminal") as example:
        page = opened(browser, example.url, width=DESK)
        ready(page)
        assert "Answered by pilot (local), " in answered(page, "What is the license of tidewatch?")
        assert heard(page) == []
