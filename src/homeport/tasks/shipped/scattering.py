"""The task scatter: a prompt as the six bands of the sinc format, by a model or by a template."""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from homeport.errors import Malformed
from homeport.tasks.declared import Task, planned
from homeport.tasks.fault import Fault
from homeport.tasks.plan import Call, Ready
from homeport.tasks.shapes import Shape
from homeport.tasks.shipped import prompts, sinc

_BANDS = Shape(msgspec.defstruct("Bands", [(band, str) for band in prompts.BANDS]))
_CODE = "Code in one block, then one sentence on how to run it."
_STEPS = "A numbered list in the order of the steps."
_FIELDS = (  # words of a prompt, who would answer it, and in which form
    ("code python function script bug api sql regex", "a senior software engineer", _CODE),
    ("mail letter invite invitation toast speech reply", "an editor who writes for busy readers", "The text alone, ready to be sent."),
    ("plan trip picnic party schedule itinerary agenda", "an organiser who has planned many of these", _STEPS),
    ("summary summarize summarise shorten explain", "a teacher who explains in plain words", "At most five short paragraphs."),
    ("table spreadsheet list compare csv", "an analyst who checks each figure", "One table with a heading for each column."),
)
_ANYONE = ("a specialist in what is asked", "Plain text in short paragraphs.")
_RULES = (
    "ALWAYS do what the task says and nothing beside it.",
    "NEVER invent facts, names, dates, figures or sources that were not given.",
    "ALWAYS say which information is missing instead of guessing it.",
    "The answer MUST be complete, correct and usable without changes.",
    "NEVER repeat the task, and NEVER explain how you work unless that was asked.",
    "ALWAYS use the language and the terms in which the task is written.",
    "The answer MUST keep to the form that FORMAT says.",
)
_SENTENCE = re.compile(r".*?[.!?](?= |\Z)")
_MOST_WORDS = 40  # of the sentence that is the TASK of a long prompt
_REFERRING = "Do what CONSTRAINTS asks for."


def template(prompt: str) -> sinc.Sinc:
    """The bands for when no model writes them: keywords choose persona and form, the rest is fixed."""
    already = sinc.passing(prompt)
    if already is not None:
        return already
    words = set(re.findall(r"\w+", prompt.casefold()))
    persona, form = next(((who, shape) for keys, who, shape in _FIELDS if words & set(keys.split())), _ANYONE)
    bands = {
        "PERSONA": f"You are {persona}.",
        "CONTEXT": "Someone asked for what TASK says.",
        "DATA": "None is given. What is missing is to be asked for.",
        "CONSTRAINTS": " ".join(_RULES),
        "FORMAT": form,
        "TASK": _task(prompt),
    }
    made = sinc.sinc(bands)
    if sinc.short(made) is None:
        return made
    first = _SENTENCE.match(bands["TASK"])  # a long prompt would make TASK the longest band: what it asks for is a rule
    task = first[0] if first is not None and len(first[0].split()) <= _MOST_WORDS else _REFERRING
    return sinc.sinc({**bands, "CONSTRAINTS": f"{bands['CONSTRAINTS']} {_wish(prompt)}", "TASK": task})


def _task(prompt: str) -> str:
    task = " ".join(prompt.split())
    return task[:1].upper() + task[1:]


def _wish(prompt: str) -> str:
    return f"The answer MUST meet the whole of this wish: {' '.join(prompt.split())}"


def _completed(bands: Any, prompt: str) -> sinc.Sinc:
    """A model's bands with as many of the fixed rules as CONSTRAINTS lacks, and the prompt as the last of them. Raises Fault where that is not enough."""
    said, wrong = msgspec.structs.asdict(bands), ""
    for rule in ("", *_RULES, _wish(prompt)):
        if rule not in said["CONSTRAINTS"]:
            said["CONSTRAINTS"] = f"{said['CONSTRAINTS']} {rule}".lstrip()
        made = sinc.sinc(said)
        wrong = sinc.fault(made) or sinc.short(made) or ""
        if not wrong:
            return made
    raise Fault("constraints", wrong)


@planned(dict[str, Any], offline=template)
def scatter(task: Task[Any, Any], prompt: str) -> Call:
    """A prompt as six bands: persona, context, data, constraints, format, task."""
    if not prompt.strip():
        raise Malformed("`prompt` is empty. Say what is to be done.", param="input")
    already = sinc.passing(prompt)
    if already is not None:
        return Ready(already)

    def take(bands: Any) -> sinc.Sinc:
        made = sinc.sinc(msgspec.structs.asdict(bands))
        wrong = sinc.fault(made)
        if wrong is not None:
            raise Fault("sinc", wrong)
        if (weak := sinc.short(made)) is not None:
            raise Fault("constraints", weak)
        return made

    return task.asked(prompts.scatter(prompt), shape=_BANDS, take=take, complete=functools.partial(_completed, prompt=prompt))
