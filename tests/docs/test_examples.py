"""Every example is told of where people look for it, and what is told of it is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, Page

NAMES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/app.py"))


def test_all_are_listed() -> None:
    assert sorted(re.findall(r"^\| \[`([^`]+)`\]", Page("examples/README.md").text, re.MULTILINE)) == NAMES
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = re.search(r"^example:.*NAME=(\S+)", makefile, re.MULTILINE)
    assert told is not None and sorted(told[1].split("|")) == NAMES
    tour = Page("docs/examples.md")
    assert {name.replace("-", " ") for name in NAMES} <= {title.lower() for title in tour.headings}
    assert sorted(set(re.findall(r"NAME=(\S+)", tour.text))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_says_how_to_start_it_and_what_is_in_it(name: str) -> None:
    page = Page(f"examples/{name}/README.md")
    assert f"make example NAME={name}" in page.text
    for told in re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+) \|", page.text, re.MULTILINE):
        for file in re.findall(r"`([\w.]+)`", told):
            assert (page.path.parent / file).is_file(), file


@pytest.mark.parametrize("path", ["examples/README.md", *(f"examples/{name}/README.md" for name in NAMES)])
def test_links_resolve(path: str) -> None:
    page = Page(path)
    for link in page.links:
        name, _, fragment = link.partition("#")
        if "://" in link:
            continue
        found = (page.path.parent / name).resolve()
        assert found.exists() and found.is_relative_to(ROOT), link
        assert not fragment or fragment in Page(found.relative_to(ROOT)).anchors, link
