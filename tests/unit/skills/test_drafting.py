"""Follow-ups by code: each template has its tone, and a poor answer of the decoder's is told."""

from __future__ import annotations

import random
import re

import pytest

from homeport.skills import drafting
from homeport.tasks.shipped import prompts


@pytest.mark.parametrize("tone", prompts.TONES)
def test_each_template_passes_its_own_checks(tone: str) -> None:
    assert drafting.wrong(drafting.TEMPLATES[tone], tone) is None
    others = [other for other in prompts.TONES if other != tone]
    assert all(drafting.wrong(drafting.TEMPLATES[tone], other) == "its tone" for other in others)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda body: body.replace("{amount}", "{Amount}"), "its placeholders"),
        (lambda body: body.replace("{dueDate}", "soon"), "its placeholders"),
        (lambda body: body + " {iban}", "its placeholders"),
        (lambda body: body + " Call 555-1234.", "a value of its own"),
        (lambda body: body + " A fee of $ applies.", "a value of its own"),
        (lambda body: body + " Pay within seven days.", "a value of its own"),
        (lambda _: "", "its parts"),
        (lambda body: re.sub(r"^Dear|^Hi", "Oh", body), "its build"),
    ],
)
def test_a_follow_up_that_is_wrong_is_told(change: object, what: str) -> None:
    assert callable(change)
    written = dict(drafting.TEMPLATES["firm"])
    written["body"] = change(written["body"])
    assert drafting.wrong(written, "firm") == what


def test_noise_never_passes() -> None:
    rng = random.Random(2)
    words = ["pay", "the", "{amount}", "now", "{dueDate}", "please", "{clientName}", "late", "{daysOverdue}", "Dear", "we", "you"]
    for _ in range(200):
        written = {"subject": " ".join(rng.choices(words, k=5)), "body": "Dear " + " ".join(rng.choices(words, k=rng.randint(0, 12)))}
        assert drafting.wrong(written, "urgent") is not None
