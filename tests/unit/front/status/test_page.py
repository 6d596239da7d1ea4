"""The status page: who gets it, what it may load, what it says, and that nothing in it is taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from homeport.front.pages import Overview
from homeport.front.status import page
from homeport.front.status.page import StatusPage, policy, prefers_html
from homeport.rules.heartbeat import Beats

from .samples import EVIL, NOW, TODAY, Sample, incident, spread, standing

VOID = {"meta", "link", "br", "img"}
FULL = Sample(
    standing("home", "open", "connection refused", retry_at=NOW + 12, ttft_ms=412.0, tok_per_s=41.3, cold_start_s=8.2, zombies=2),
    standing("vm"),
    incidents=[incident(), incident(backend="vm", since=NOW - 90000, until=NOW - 3600, downtime_s=86400.0, traffic="home answered 3")],
    beats={"home": {TODAY: Beats(90, 10, 3), TODAY - 4: Beats(50)}, "vm": {TODAY: Beats(7)}},
    spreads={"assistant": spread((420.0, 31.0), (800.0, 29.0))},
    counts={"ok": 1200, "failed": 3},
)


class Seen(HTMLParser):
    """Elements, attributes and words of a page; complains of tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def seen(overview: Overview) -> Seen:
    return Seen(page.html(overview, NOW))


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/*", True),
        ("text/html;q=0.4, application/json;q=0.3", True),
        ("text/html;q=0.2, application/json;q=0.3", False),
        ("application/json, text/html", False),
        ("text/html;q=0, */*", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        ("text/plain", False),
        ("text/html;q=x", True),
        (";;,,q=1", False),
    ],
)
def test_who_gets_the_page(accept: str, wanted: bool) -> None:
    assert prefers_html(accept) is wanted
    answer = StatusPage(Sample(standing())).answer(accept)
    assert (answer.headers["content-type"] == "text/html; charset=utf-8") is wanted
    assert (b"<html" in bytes(answer.body)) is wanted
    assert answer.headers["vary"] == "accept"


def test_its_policy_lets_nothing_in_but_its_own_style() -> None:
    answer = StatusPage(FULL).answer("text/html")
    [style] = re.findall(r"<style>(.*?)</style>", bytes(answer.body).decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    said = answer.headers["content-security-policy"]
    assert said == policy()
    assert said.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    found = seen(FULL)
    assert not [tag for tag, _ in found.elements if tag in ("script", "img", "iframe", "form", "object")]
    assert not [name for _, attributes in found.elements for name in attributes if name == "style" or name.startswith("on") or name == "src"]
    assert {str(attributes["href"])[:5] for _, attributes in found.elements if "href" in attributes} == {"", "data:"}
    assert "url(" not in style
    assert "@import" not in style


def test_what_it_says_with_the_verdict_first() -> None:
    found = seen(FULL)
    said = re.sub(r"\s+", " ", found.text)
    order = ["home does not answer (connection refused); the other answers.", "Backends", "Not answering", "Healthy", "Incidents", "How fast answers come"]
    assert [said.index(words) for words in order] == sorted(said.index(words) for words in order)
    for words in (
        "in 12 s", "1 of 4 places", "412 ms", "41 tokens/s", "8.2 s", "Given up, still computed 2 answers", "2026-11-21 12:50 UTC (10 min)",
        "93.33 % of the probes of 2 days were good; 1 of these days had failed ones.", "2026-11-21: 90 % good, 10 of 100 probes failed",
        "down for 1 h 0 min", "Its requests go to vm (assistant).", "was down for 1 d 0 h", "Its requests meanwhile: home answered 3.",
        "1,203 requests", "up for 2 h 0 min",
    ):  # fmt: skip
        assert words in said, words


def test_every_drawing_has_words_and_every_section_a_heading() -> None:
    found = seen(FULL)
    drawings = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert all(attributes.get("aria-hidden") == "true" or (attributes.get("role") == "img" and attributes.get("aria-label")) for attributes in drawings)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in found.elements if "aria-labelledby" in attributes} <= set(ids)
    assert [tag for tag, _ in found.elements if tag in ("h1", "main", "header", "footer", "title")].count("h1") == 1
    assert dict(found.elements)["html"] == {"lang": "en"}
    labels = [attributes["aria-label"] for attributes in drawings if attributes.get("aria-label")]
    told = re.compile(r"Time to first token: p50 4\d\d ms, p95 [78]\d\d ms, p99 [78]\d\d ms; from 420 ms to 800 ms, 2 answers.")
    assert any(told.fullmatch(label or "") for label in labels)


def test_a_gateway_about_which_nothing_is_known() -> None:
    said = seen(Sample()).text
    for words in ("No backend is configured.", "There is none yet.", "None in the last 90 days.", "No answer in the last 7 days.", "0 requests"):
        assert words in said
    assert "No probe has said anything yet." in seen(Sample(standing(models=[]))).text


def test_nothing_from_outside_is_taken_for_html() -> None:
    evil = Sample(
        standing(EVIL, "open", EVIL, kind=EVIL, models=[EVIL] * 20),
        standing("vm", EVIL),
        incidents=[incident(backend=EVIL, reason=EVIL, traffic=EVIL)] * 12,
        beats={EVIL: {TODAY: Beats(1, 1)}},
        spreads={EVIL: spread((1.0, 1.0)), "": spread((1e-300, 1e300))},
        counts={EVIL: 1},
    )
    evil.trouble = EVIL
    made = page.html(evil, NOW)
    found = Seen(made)
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in seen(FULL).elements} | {"ol"}
    assert "<script" not in made
    assert "<img" not in made
    assert "\x00" not in made
    assert "\u202e" not in made
    assert any(EVIL[:25] in words for words in found.words), "it is shown as it is called"


def test_where_another_homeport_runs_is_not_shown() -> None:
    made = page.html(Sample(incidents=[incident(backend="Homeport at vps.internal:8461", traffic=None)]), NOW)
    assert "Another Homeport" in made
    assert "vps.internal" not in made


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e18, 1e18])
def test_times_that_are_none(at: float) -> None:
    assert "at an unknown time" in page.html(Sample(standing(since=0.0), incidents=[incident(since=0.0, until=at, downtime_s=1.0)]), NOW)


def test_a_page_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    monkeypatch.setattr(page, "html", lambda _, now: made.append(now) or "x")
    clock = [100.0]
    monkeypatch.setattr(page.time, "monotonic", lambda: clock[0])
    shown = StatusPage(FULL)
    for later in (0.0, 0.5, 0.4, 0.2, 3.0):
        clock[0] += later
        assert shown.answer("text/html").body == b"x"
    assert len(made) == 3


def test_json_has_the_same() -> None:
    report = json.loads(bytes(StatusPage(FULL).answer("application/json").body))
    [speeds] = report["distributions"]
    assert (speeds["model"], speeds["first_token_ms"]["count"], speeds["tok_per_s"]["p50"]) == ("assistant", 2, 29.0)
    assert report["heartbeats"]["home"] == [
        {"day": "2026-11-17", "good": 50, "bad": 0, "neither": 0},
        {"day": "2026-11-21", "good": 90, "bad": 10, "neither": 3},
    ]
