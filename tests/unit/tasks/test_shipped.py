"""The tasks that ship, on answers that a test chose: what is asked, what comes out, what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from homeport.errors import Malformed, NoRouteLeft, TaskFailed
from homeport.tasks import Outcome, Task, shipped
from homeport.tasks.shipped import prompts, sinc
from homeport.tasks.shipped.drafting import Draft, tone
from homeport.tasks.shipped.reading import Answer
from homeport.tasks.shipped.scattering import template
from tests.unit.tasks.asking import Scripted

RULES = "NEVER forget salt. ALWAYS be brief. The plan MUST work. NEVER add, ALWAYS ask."
BANDS = dict(zip(prompts.BANDS, ("You are a cook.", "A picnic.", "None.", RULES, "A list.", "Plan it."), strict=True))
LATE = {"client": "Ann Lee", "amount": "$1,250.00", "due": "2 May", "days_overdue": 9}
GOOD = {"subject": "About {amount}", "body": "Dear {clientName}, {amount} was due on {dueDate}, {daysOverdue} days ago."}


def ran(task: Task[Any, Any], asker: Scripted, /, **given: Any) -> Outcome:
    return asyncio.run(task.run(task.read(given), asker))


def message(asker: Scripted) -> str:
    return str(asker.asked[0]["messages"][0]["content"])


def test_they_are_those_of_the_contract() -> None:
    assert list(shipped.TASKS) == ["classify", "extract", "scatter", "draft", "ask", "complete", "embed"]
    assert {name: list(task.input["properties"]) for name, task in shipped.TASKS.items()} == {
        "classify": ["text", "labels"],
        "extract": ["text", "fields"],
        "scatter": ["prompt"],
        "draft": ["client", "amount", "due", "days_overdue"],
        "ask": ["question", "context"],
        "complete": ["text", "max_tokens"],
        "embed": ["texts"],
    }


def test_classify_gives_one_of_the_labels_and_asks_as_the_pilot_was_taught() -> None:
    asker = Scripted('"request"')
    assert ran(shipped.classify, asker, text="Please call.").output == "request"
    assert message(asker) == prompts.classify("Please call.")
    assert ran(shipped.classify, Scripted("spam"), text="x", labels=["spam", "ham"]).output == "spam"
    with pytest.raises(TaskFailed, match="allowed"):
        ran(shipped.classify, Scripted('"request"'), text="x", labels=["spam", "ham"])


@pytest.mark.parametrize("labels", [[], ["a", "a"], [" "], [str(number) for number in range(101)]])
def test_labels_that_cannot_be_chosen_from_are_refused(labels: list[str]) -> None:
    with pytest.raises(Malformed, match="labels"):
        ran(shipped.classify, Scripted("x"), text="x", labels=labels)


@pytest.mark.parametrize("field", ['a"b', "a\\b", "a\nb", "\x00"])
def test_names_of_fields_that_json_would_have_to_escape_are_refused(field: str) -> None:
    with pytest.raises(Malformed, match="fields"):
        ran(shipped.extract, Scripted("x"), text="x", fields=["name", field])


def test_extract_gives_each_field_as_it_stands_in_the_text() -> None:
    asker = Scripted('{"name":"Ann Lee","email":null,"amount":"€3","date":null,"invoice":null}')
    outcome = ran(shipped.extract, asker, text="Ann Lee paid €3.")
    assert outcome.output == {"name": "Ann Lee", "email": None, "amount": "€3", "date": None, "invoice": None}
    assert message(asker) == prompts.extract("Ann Lee paid €3.")
    own = ran(shipped.extract, Scripted('{"order number": "17", "class": null}'), text="Order 17", fields=["order number", "class"])
    assert own.output == {"order number": "17", "class": None}
    with pytest.raises(TaskFailed, match="quote"):
        ran(shipped.extract, Scripted('{"name":"Bea","email":null,"amount":null,"date":null,"invoice":null}'), text="Ann Lee paid €3.")


def test_ask_answers_from_the_context_and_never_from_the_question() -> None:
    asker = Scripted('{"answer":"Ann"}')
    assert ran(shipped.ask, asker, question="Who sings?", context="Ann sings.").output == Answer("Ann")  # type: ignore[arg-type]
    assert message(asker) == prompts.ask("Who sings?", "Ann sings.")
    assert ran(shipped.ask, Scripted('{"answer":null}'), question="Who?", context="Rain.").output.answer is None
    with pytest.raises(TaskFailed, match="quote"):
        ran(shipped.ask, Scripted('{"answer":"Who"}'), question="Who sings?", context="Ann sings.")


@pytest.mark.parametrize(("days", "chosen"), [(0, "friendly"), (6, "friendly"), (7, "firm"), (13, "firm"), (14, "urgent"), (400, "urgent")])
def test_the_tone_is_a_rule(days: int, chosen: str) -> None:
    assert tone(days) == chosen
    asker = Scripted(json.dumps(GOOD))
    assert ran(shipped.draft, asker, **{**LATE, "days_overdue": days}).output.tone == chosen
    assert message(asker) == prompts.draft(chosen)


def test_values_are_put_in_by_code_and_the_model_never_sees_them() -> None:
    asker = Scripted(json.dumps(GOOD))
    assert ran(shipped.draft, asker, **LATE).output == Draft("firm", "About $1,250.00", "Dear Ann Lee, $1,250.00 was due on 2 May, 9 days ago.")
    assert not any(str(value) in json.dumps(asker.asked) for value in ("Ann Lee", "1,250", "2 May"))


@pytest.mark.parametrize(
    "written",
    [
        {**GOOD, "body": GOOD["body"].replace("{dueDate}", "soon")},
        {**GOOD, "body": GOOD["body"] + " Call {phone}."},
        {**GOOD, "body": GOOD["body"] + " That is $1,250.00."},
        {**GOOD, "subject": " "},
    ],
)
def test_a_draft_that_does_not_hold_is_replaced_by_the_template(written: dict[str, str]) -> None:
    outcome = ran(shipped.draft, Scripted(json.dumps(written)), **LATE)
    assert outcome.offline
    assert {row["check"] for row in outcome.attempts} <= {"placeholder", "empty"}
    assert "Ann Lee" in outcome.output.body
    assert "{" not in outcome.output.subject + outcome.output.body


@pytest.mark.parametrize("missing", ["client", "amount", "due"])
def test_a_value_that_is_missing_is_told_and_none_brings_a_line_of_its_own(missing: str) -> None:
    with pytest.raises(Malformed, match=missing):
        ran(shipped.draft, Scripted("x"), **{**LATE, missing: " "})
    outcome = ran(shipped.draft, Scripted(NoRouteLeft("home is down")), **{**LATE, missing: "5\r\nBcc: all@x.y"})
    assert "\n" not in outcome.output.subject
    assert "5 Bcc: all@x.y" in outcome.output.body


def test_what_is_not_due_needs_no_follow_up() -> None:
    with pytest.raises(Malformed, match="days_overdue"):
        ran(shipped.draft, Scripted("x"), **{**LATE, "days_overdue": -1})


def test_scatter_gives_the_six_bands_in_the_strict_form() -> None:
    asker = Scripted(json.dumps(BANDS))
    found = ran(shipped.scatter, asker, prompt="plan a picnic").output
    assert message(asker) == prompts.scatter("plan a picnic")
    assert sinc.fault(found) is None
    assert [(row["n"], row["t"], row["x"]) for row in found["fragments"]] == [(number, band, BANDS[band]) for number, band in enumerate(prompts.BANDS)]


def test_a_prompt_that_is_sinc_already_passes_through_without_a_model() -> None:
    asker = Scripted("x")
    already = sinc.sinc(BANDS)
    assert ran(shipped.scatter, asker, prompt=json.dumps(already)).output == already
    assert asker.asked == []
    assert ran(shipped.scatter, Scripted(json.dumps(BANDS)), prompt='what is the "formula" of salt?').output == already


def test_without_a_model_the_template_scatters() -> None:
    outcome = ran(shipped.scatter, Scripted(NoRouteLeft("home is down")), prompt="write a python script that sorts mail")
    assert outcome.offline
    assert sinc.fault(outcome.output) is None
    measured = sinc.measured(outcome.output, "write a python script that sorts mail")
    assert measured["valid"] and measured["bands"] == 6 and measured["fidelity"] == 1.0
    assert measured["constraints_share"] >= 0.4 and measured["constraints_rules"] >= 5
    assert "engineer" in outcome.output["fragments"][0]["x"]


@pytest.mark.parametrize("prompt", ["Write a report. " + "It tells of rivers and hills. " * 60, "of rivers and hills " * 75, "x"])
def test_the_template_keeps_the_rules_whatever_the_prompt(prompt: str) -> None:
    found = template(prompt)
    assert (sinc.fault(found), sinc.short(found)) == (None, None)
    measured = sinc.measured(found, prompt)
    assert measured["fidelity"] == 1.0 and measured["constraints_share"] >= sinc.SHARE and measured["constraints_rules"] >= sinc.RULES


WEAK = {**BANDS, "CONSTRAINTS": "NEVER forget salt."}


def test_bands_with_too_few_rules_are_repaired_by_the_model() -> None:
    asker = Scripted(json.dumps(WEAK), json.dumps(BANDS))
    outcome = ran(shipped.scatter, asker, prompt="plan a picnic")
    assert outcome.output == sinc.sinc(BANDS)
    assert [attempt["check"] for attempt in outcome.attempts] == ["constraints", None]
    assert "and 1 of NEVER, ALWAYS and MUST" in asker.asked[1]["messages"][2]["content"]


@pytest.mark.parametrize("then", [json.dumps(WEAK), "no JSON", NoRouteLeft("home went down")])
def test_where_the_model_does_not_repair_them_code_completes_them(then: Any) -> None:
    outcome = ran(shipped.scatter, Scripted(json.dumps(WEAK), then), prompt="plan a picnic")
    assert (sinc.fault(outcome.output), sinc.short(outcome.output), outcome.offline) == (None, None, False)
    assert outcome.route is not None and outcome.checks == ["schema"]
    texts = {row["t"]: row["x"] for row in outcome.output["fragments"]}
    assert texts["CONSTRAINTS"].startswith("NEVER forget salt. ALWAYS do what the task says")
    assert {**texts, "CONSTRAINTS": ""} == {**WEAK, "CONSTRAINTS": ""}


def test_bands_that_no_rules_of_ours_outweigh_are_not_used() -> None:
    outcome = ran(shipped.scatter, Scripted(json.dumps({**WEAK, "DATA": "salt " * 900})), prompt="plan a picnic")
    assert outcome.offline and outcome.output == template("plan a picnic")


def test_an_empty_prompt_is_refused_and_an_empty_band_is_none() -> None:
    with pytest.raises(Malformed, match="prompt"):
        ran(shipped.scatter, Scripted("x"), prompt=" ")
    outcome = ran(shipped.scatter, Scripted(json.dumps({**BANDS, "DATA": ""})), prompt="plan a picnic")
    assert outcome.offline and outcome.attempts[0]["check"] == "sinc"


def test_complete_goes_on_as_far_as_it_is_let() -> None:
    asker = Scripted({"text": " Ann,", "finish": "length"})
    assert ran(shipped.complete, asker, text="Dear", max_tokens=2).output == " Ann,"
    assert asker.paths == ["/v1/completions"]
    assert (asker.asked[0]["prompt"], asker.asked[0]["max_tokens"]) == ("Dear", 2)
    with pytest.raises(Malformed, match="max_tokens"):
        ran(shipped.complete, asker, text="Dear", max_tokens=0)


def test_embed_gives_the_vectors_in_the_order_of_the_texts() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    asker = Scripted({"body": {"data": rows}})
    assert ran(shipped.embed, asker, texts=["a", "b"]).output == [[1.0], [2.0]]
    assert (asker.paths, asker.asked[0]["input"]) == (["/v1/embeddings"], ["a", "b"])
    assert ran(shipped.embed, asker, texts=[]).output == []
    with pytest.raises(TaskFailed, match="2 vectors for 3 texts"):
        ran(shipped.embed, asker, texts=["a", "b", "c"])


def test_each_prompt_is_read_as_it_was_written() -> None:
    text = "a\nText: b\nLabels: c"
    assert prompts.read(prompts.classify(text, ["x", "y z"])) == prompts.Asked("classify", text, ("x", "y z"))
    assert prompts.read(prompts.extract(text, ["x"])) == prompts.Asked("extract", text, ("x",))
    assert prompts.read(prompts.ask("who?", text)) == prompts.Asked("ask", text, (), "who?")
    assert prompts.read(prompts.scatter("")) == prompts.Asked("scatter", "")
    assert [prompts.read(prompts.draft(tone)) for tone in prompts.TONES] == [prompts.Asked("draft", tone) for tone in prompts.TONES]
    assert prompts.read("Classify the text.") is None and prompts.read(prompts.draft("rude")) is None
