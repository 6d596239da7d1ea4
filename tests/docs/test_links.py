"""Links between pages lead somewhere, decisions are numbered, configuration examples load, and no page is out of reach."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from homeport.settings import load
from tests.docs.pages import PAGES, ROOT, Page

DECISIONS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
EXAMPLES = [(page.name, block) for page in PAGES for block in page.blocks("toml")]


def target(page: Page, link: str) -> Path:
    return (page.path.parent / link.partition("#")[0]).resolve() if link.partition("#")[0] else page.path


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_resolve(page: Page) -> None:
    for link in page.links:
        if link.startswith(("http://", "https://")):
            continue
        path, fragment = target(page, link), link.partition("#")[2]
        assert path.is_file(), link
        assert path.is_relative_to(ROOT), link
        if fragment:
            assert fragment in Page(path.relative_to(ROOT)).anchors, link


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in seen or path.suffix != ".md" or not path.is_relative_to(ROOT):
            continue
        seen.add(path)
        page = Page(path.relative_to(ROOT))
        ahead += [target(page, link) for link in page.links if "://" not in link]
    assert {page.path for page in PAGES} <= seen


def test_decisions_are_numbered_without_gaps() -> None:
    assert [name[:4] for name in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_has_its_parts(name: str) -> None:
    page = Page(f"docs/decisions/{name}")
    title, *parts = page.headings
    assert title.startswith(f"{name[:4]}: ")
    assert parts == ["Context", "Decision", "Consequences"]
    assert all(len(page.section(part)) > 80 for part in parts)
    assert f"[{title}]({name})" in Page("docs/decisions/README.md").text


@pytest.mark.parametrize(("page", "block"), EXAMPLES, ids=[page for page, _ in EXAMPLES])
def test_examples_of_a_configuration_load(page: str, block: str, tmp_path: Path) -> None:
    for name in re.findall(r'"([^"]+\.gguf)"', block):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"GGUF")
    for name in re.findall(r'file = "([^"]+)"', block):
        (tmp_path / name).write_text("secret\n", encoding="utf-8")
    for name in re.findall(r'data = "([^"]+\.json)"', block):
        (tmp_path / name).write_text('{"projects": {}}', encoding="utf-8")
    environ = dict.fromkeys(re.findall(r'env = "(\w+)"', block), "secret") | {"HOME": str(tmp_path)}
    path = tmp_path / "homeport.toml"
    path.write_text(block, encoding="utf-8")
    settings = load(config=path, environ=environ)
    assert settings.notices == ()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_are_short_and_plain(page: Page) -> None:
    lines = page.text.splitlines()
    assert len(lines) < 200
    assert page.text.endswith("\n") and not page.text.endswith("\n\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert sum(line.startswith("# ") for line in page.prose.splitlines()) == 1
