"""The dashboard and the alert rules ask for series, labels and values that a real `/metrics` has, and docs/metrics.md names each series."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.monitor.series import BY_NAME, FAMILIES, OTHER, OUTCOMES, TOKENS, Family
from homeport.testing.backend import ScriptedBackend
from homeport.vocabulary import STATES
from tests.caller import asked, chat
from tests.docs.pages import ROOT, Page, rows
from tests.gateway import Running, config

DASHBOARD = ROOT / "deploy" / "grafana" / "homeport.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SELECTED = re.compile(r"\b((?:homeport|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
WORDS = {  # of labels with few values
    "state": set(STATES),
    "kind": set(TOKENS),
    "result": {"good", "bad", "unsure"},
    "outcome": OUTCOMES | {OTHER, "ok", "cut", "client_left", "refused", "failed"},
    "reason": OUTCOMES | {OTHER},
}
FROM_PROMETHEUS = {"job", "instance", "le"}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


EXPRESSIONS = [(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", ())]
EXPRESSIONS += [(rule["alert"], rule["expr"]) for rule in rules()]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a gateway that has answered a request."""
    with ScriptedBackend() as home, Running(config(tmp_path_factory.mktemp("scrape"), {"home": home.url})) as gateway:
        assert asked(gateway.url, chat()).status == 200
        yield asked(gateway.url, method="GET", path="/metrics").body.decode()


def samples(page: str) -> dict[str, Family]:
    """The names that a query may use, by the `# TYPE` lines of a page."""
    ends = {"histogram": ("_bucket", "_sum", "_count")}
    found = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE):
        family = BY_NAME[name.removesuffix("_total").removesuffix("_info")]
        found |= {name + end: family for end in ends.get(kind, ("",))}
    return found


def test_the_page_has_what_the_table_of_series_says(scrape: str) -> None:
    assert {family.name for family in samples(scrape).values()} == {family.name for family in FAMILIES}


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[f"{where}-{number}" for number, (where, _) in enumerate(EXPRESSIONS)])
def test_an_expression_asks_for_what_there_is(where: str, expression: str, scrape: str) -> None:
    known = samples(scrape)
    asked_for = SELECTED.findall(expression)
    assert asked_for, expression
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    labels: set[str] = set()
    for name, matchers in asked_for:
        if name == "up":
            continue
        assert name in known, name
        labels |= set(known[name].labels)
        for label, _, value in MATCHER.findall(matchers):
            assert label in FROM_PROMETHEUS or label in known[name].labels, (name, label)
            if label in WORDS and not value.startswith("$"):
                assert set(value.split("|")) <= WORDS[label], (label, value)
    assert grouped <= labels | FROM_PROMETHEUS


def test_legends_and_variables_name_labels() -> None:
    labels = {label for family in FAMILIES for label in family.labels} | FROM_PROMETHEUS
    text = DASHBOARD.read_text(encoding="utf-8")
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) <= labels
    assert set(re.findall(r"\{\{ \$labels\.(\w+) \}\}", ALERTS.read_text(encoding="utf-8"))) <= labels
    variables = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_series_of_ours_is_looked_at_somewhere() -> None:
    text = " ".join(expression for _, expression in EXPRESSIONS)
    assert [family.name for family in FAMILIES if family.name.startswith("homeport_") and family.name not in text] == []


def test_the_alerts_that_were_promised() -> None:
    found = {rule["alert"] for rule in rules()}
    wanted = {"HomeportNotScraped", "HomeportNothingCanAnswer", "HomeportBackendOpen", "HomeportFailedAnswers", "HomeportQueueFull", "HomeportJournalTrouble"}
    assert wanted <= found
    assert all(rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["description"] for rule in rules())


def test_every_series_is_documented_with_its_labels() -> None:
    documented = rows(Page("docs/metrics.md").text)
    for family in FAMILIES:
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.kind, "")
        if name.startswith("process_"):
            assert f"`{name}`" in Page("docs/metrics.md").text
        else:
            labels, _ = documented.pop(name)
            assert re.findall(r"`(\w+)`", labels) == list(family.labels), name
    assert [name for name in documented if name.startswith("homeport_")] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)")
def test_promtool_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(ROOT / "tests" / "fixtures" / "alerts.test.yml", tmp_path)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        ran = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)")
def test_promtool_finds_no_fault_with_the_page(scrape: str) -> None:
    ran = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
