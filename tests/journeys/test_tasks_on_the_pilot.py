"""The tasks that ship on the bundled model: real decoding, real mistakes, and never a value that is not in the input."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.errors import TaskFailed
from homeport.tasks import Quote
from homeport.tasks.shipped import TASKS, sinc
from tests.figures import THOROUGH
from tests.gateway import soon

pytestmark = pytest.mark.slow
SOME = 'Ann Berg paid €1.250,00 for "RG-17" on 2 May; mail ann@berg.example or call. Überweisung \\ {x} 日本語 🙂 the invoice is late\n'
WORDS = SOME.split(" ")
GIVEN: dict[str, dict[str, Any]] = {
    "classify": {"text": "Where is my parcel?"},
    "extract": {"text": "Paid INV-7, 3 EUR."},
    "draft": {"client": "Ann", "amount": "$5", "due": "2026-01-02", "days_overdue": 9},
    "ask": {"question": "Who?", "context": "Ann sings."},
    "complete": {"text": "Dear"},
    "embed": {"texts": ["a", "b"]},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[homeport.Gateway]:
    folder: Path = tmp_path_factory.mktemp("pilot")
    path = folder / "homeport.toml"
    path.write_text(
        f'[server]\ndata = "{folder}/data"\n[models.default]\nroutes = [{{ backend = "pilot" }}]\n[backends.pilot]\nkind = "pilot"\n', encoding="utf-8"
    )
    with homeport.Gateway(config=path) as gateway:
        assert soon(lambda: gateway.client.get("/status").backends[0].state == "healthy", 30.0)
        yield gateway


@pytest.mark.parametrize("name", GIVEN)
def test_each_gives_its_type(gateway: homeport.Gateway, name: str) -> None:
    answer = gateway.client.post(f"/tasks/{name}", {"input": GIVEN[name]})
    output, shape = answer["output"], TASKS[name].shape
    sources = [value for value in GIVEN[name].values() if isinstance(value, str)]
    assert shape.text or shape.convert(output, sources) is not None
    if name == "classify":
        assert output in ("question", "request", "complaint", "other")
    if name == "embed":
        assert len(output) == 2 and len(output[0]) == len(output[1]) > 0


def test_scatter_is_strict_or_says_that_no_answer_holds(gateway: homeport.Gateway) -> None:
    answer = gateway.client.post("/tasks/scatter", {"input": {"prompt": "plan a picnic"}})
    assert sinc.fault(answer["output"]) is None


def test_whatever_the_input_each_value_stands_in_it(gateway: homeport.Gateway) -> None:
    """Also at a temperature at which the model would rather invent; with the grammar no answer is ever refused for a quote."""
    extract = TASKS["extract"].over(gateway.client)
    rng = random.Random(3)
    values = 0
    for _ in range(1000 if THOROUGH else 60):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 40)))
        try:
            found = extract(text)
        except TaskFailed as error:  # it may run on to its token limit, but it may not invent
            assert {attempt["check"] for attempt in error.attempts} <= {"truncated"}
            continue
        assert all(value is None or (isinstance(value, Quote) and value in text) for value in found.values())
        values += sum(value is not None for value in found.values())
    assert values > 20
