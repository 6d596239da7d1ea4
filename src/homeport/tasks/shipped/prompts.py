"""The prompts of the tasks that ship, word by word those that the bundled model is trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

LABELS = ("question", "request", "complaint", "other")
FIELDS = ("name", "email", "amount", "date", "invoice")
BANDS = ("PERSONA", "CONTEXT", "DATA", "CONSTRAINTS", "FORMAT", "TASK")
PLACEHOLDERS = ("{clientName}", "{dueDate}", "{amount}", "{daysOverdue}")
TONES = ("friendly", "firm", "urgent")


def classify(text: str, labels: Sequence[str] = LABELS) -> str:
    """Asks for one of `labels`; the answer is a JSON string."""
    return f"Classify the text. Answer with one of the labels, as a JSON string.\nLabels: {', '.join(labels)}\nText: {text}"


def extract(text: str, fields: Sequence[str] = FIELDS) -> str:
    """Asks for an object with `fields` in this order; each value a run of `text`, or null."""
    head = "Extract the fields from the text. Answer with a JSON object; copy each value exactly as it stands in the text, or null."
    return f"{head}\nFields: {', '.join(fields)}\nText: {text}"


def scatter(prompt: str) -> str:
    """Asks for an object whose keys are the six BANDS, in this order."""
    return f"Rewrite the prompt as six bands: {', '.join(BANDS)}. Answer with a JSON object.\nPrompt: {prompt}"


def draft(tone: str) -> str:
    """Asks for an object of subject and body that keeps the PLACEHOLDERS."""
    kept = ", ".join(PLACEHOLDERS[:-1]) + f" and {PLACEHOLDERS[-1]}"
    article = "an" if tone[:1] in "aeiou" else "a"
    return f"Write {article} {tone} payment follow-up e-mail. Keep the placeholders {kept}. Answer with a JSON object of subject and body."


def ask(question: str, context: str) -> str:
    """Asks for {"answer": a run of `context`, or null}."""
    head = "Answer the question from the text. Answer with a JSON object; copy the answer exactly as it stands in the text, or null."
    return f"{head}\nQuestion: {question}\nText: {context}"


class Asked(NamedTuple):
    """What one of these prompts asks."""

    task: str  # classify | extract | scatter | draft | ask
    text: str  # that is to be read; of draft the tone
    names: tuple[str, ...] = ()  # labels or fields
    question: str = ""


_ASKED = (
    ("classify", re.compile(re.escape(classify("\0", ["\1"])).replace("\0", "(?P<text>.*)").replace("\1", "(?P<names>.+?)"), re.DOTALL)),
    ("extract", re.compile(re.escape(extract("\0", ["\1"])).replace("\0", "(?P<text>.*)").replace("\1", "(?P<names>.+?)"), re.DOTALL)),
    ("ask", re.compile(re.escape(ask("\1", "\0")).replace("\0", "(?P<text>.*)").replace("\1", "(?P<question>.*?)"), re.DOTALL)),
    ("scatter", re.compile(re.escape(scatter("\0")).replace("\0", "(?P<text>.*)"), re.DOTALL)),
    ("draft", re.compile("|".join(re.escape(draft(tone)).replace(tone, f"(?P<{tone}>{tone})") for tone in TONES))),
)


def read(message: str) -> Asked | None:
    """What a message asks where one of the functions above wrote it; None for any other. `", "` parts labels and fields, as it joined them."""
    for task, form in _ASKED:
        match = form.fullmatch(message)
        if match is not None:
            found = match.groupdict()
            text = found["text"] if "text" in found else next(tone for tone in TONES if found[tone])
            return Asked(task, text, tuple(found["names"].split(", ")) if "names" in found else (), found.get("question") or "")
    return None


def packed(value: Any) -> str:
    """JSON as the pilot writes it: no blanks between, text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
