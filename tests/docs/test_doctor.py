"""Every check of the doctor's is on its page, and none that there is not."""

from __future__ import annotations

import re

from homeport.doctor import examination
from tests.docs.pages import ROOT, Page, rows

NAME = r"(?:configuration|gateway|engine|gpu|clock|disk|permissions|limits|public|notify|tunnel)\.[a-z_]+"


def made() -> set[str]:
    """The names in the sources; a group that is spelt out once is written `f"public.{name}"` with its names beside it."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src/homeport/doctor").glob("*.py")))
    names = set(re.findall(rf'"({NAME})"', text))
    for group, listed in re.findall(r'f"([a-z]+)\.\{name\}" for name in \(([^)]*)\)', text):
        names |= {f"{group}.{name}" for name in re.findall(r'"(\w+)"', listed)}
    return names


def test_the_checks_documented_are_those_there_are() -> None:
    documented = {name for cell in rows(Page("docs/doctor.md").section("What is looked at")) for name in re.findall(NAME, cell)}
    page = set(re.findall(rf"`({NAME})`", Page("docs/doctor.md").section("What is looked at")))
    assert documented <= page
    assert page == made()
    assert len(page) > 30


def test_the_time_it_takes_at_most_is_told() -> None:
    assert examination.LIMIT_S < 15
    assert "15 at most" in Page("docs/doctor.md").prose.replace("\n", " ")
