"""What counts as right: each task's answer against what is known of it, and shares with their intervals."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

_RULE = re.compile(r"\b(?:NEVER|ALWAYS|MUST)\b")
# The blind rule of tone: it knows the text alone; the tone with most of its words wins, the milder one where two are alike. About half of its words are also
# those by which homeport.skills.drafting takes or refuses what the decoder writes, so it is no judge from outside.
_TONES = {
    "friendly": r"friendly|gentle|kind(?:ly)? (?:reminder|note)|quick (?:note|reminder)|just a|hope (?:you|all|your|this|that)|when(?:ever)? you (?:have|get|can|find)|slipped|ignore this|happy to|would be (?:great|lovely|glad|nice)|no worries|warm|thank|appreciate|moment|small reminder",
    "firm": r"overdue|outstanding|not (?:yet )?(?:been )?received|without (?:further )?delay|please (?:pay|settle|arrange|transfer|make)|expect|unpaid|past due|payment terms|require|ask you to|within|this week|second (?:reminder|message)|confirm",
    "urgent": r"urgent|immediate|final|last (?:reminder|notice|warning)|legal|collection|court|lawyer|suspend|today|at once|demand|without further notice|steps|otherwise|consequence",
}
_VALUE = re.compile(r"\d+|[$€£¥]")


@dataclass
class Score:
    """How many of how many."""

    hits: int = 0
    cases: int = 0

    def add(self, hits: int, cases: int) -> None:
        self.hits += hits
        self.cases += cases

    def __str__(self) -> str:
        """As a share with its 95 % Wilson interval."""
        share, z, n = self.hits / max(1, self.cases), 1.96, max(1, self.cases)
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return f"{share:.3f} [{max(0.0, middle - half):.2f}, {min(1.0, middle + half):.2f}]"


def judged(group: str, given: dict[str, Any], right: dict[str, Any], output: Any) -> dict[str, tuple[int, int]]:
    """By what is measured: hits and cases of one answer; None is no answer."""
    if group.startswith("classify"):
        return {group: (int(output == right["label"]), 1)}
    if group.startswith("extract"):
        return _extracted(group, given, right["values"], output)
    if group == "ask":
        return {"ask, exact span": (int(output is not None and output["answer"] == right["answer"]), 1)}
    return _scattered(right["nouns"], output) if group == "scatter" else _drafted(given, right["tone"], output)


def _extracted(group: str, given: dict[str, Any], values: dict[str, str | None], output: Any) -> dict[str, tuple[int, int]]:
    found = output or {}
    said = [value for value in found.values() if value is not None]
    return {
        f"{group}: fields exact": (sum(name in found and found[name] == value for name, value in values.items()), len(values)),
        f"{group}: values in the input": (sum(value in given["text"] for value in said), len(said)),
        f"{group}: whole answers exact": (int(found == values), 1),
    }


def nouns(task: str, raw: str) -> list[str]:
    """Words of a generated task that also stand in the raw prompt and are long enough to be its nouns."""
    return [word for word in re.findall(r"[a-z]{5,}", task.lower()) if word in raw.lower()][-3:]


def _scattered(wanted: list[str], output: Any) -> dict[str, tuple[int, int]]:
    bands = {fragment["t"]: fragment["x"] for fragment in (output or {}).get("fragments", [])}
    place = " ".join(bands.get(band, "") for band in ("TASK", "CONTEXT", "DATA")).lower()
    rules = bands.get("CONSTRAINTS", "")
    longest = bool(rules) and all(len(rules.split()) > len(text.split()) for band, text in bands.items() if band != "CONSTRAINTS")
    share = len(rules.split()) / max(1, sum(len(text.split()) for text in bands.values()))
    return {
        "scatter: schema-valid": (int(output is not None), 1),
        "scatter: six bands": (int(len(bands) == 6), 1),
        "scatter: key nouns kept": (sum(word.lower() in place for word in wanted), len(wanted)),
        "scatter: CONSTRAINTS longest, 40 %, five rules": (int(longest and share >= 0.4 and len(_RULE.findall(rules)) >= 5), 1),
    }


def _drafted(given: dict[str, Any], tone: str, output: Any) -> dict[str, tuple[int, int]]:
    text = f"{output['subject']}\n{output['body']}" if output else ""
    values = [given["client"], given["amount"], given["due"], str(given["days_overdue"])]
    bare = text
    for value in sorted(values, key=len, reverse=True):
        bare = bare.replace(value, " ")
    return {
        "draft: valid JSON": (int(bool(text) and json.dumps(text) != ""), 1),
        "draft: placeholders exact": (int(bool(text) and all(value in text for value in values) and not re.search(r"\{\w+\}", bare)), 1),
        "draft: no invented value": (int(bool(text) and not _VALUE.search(bare)), 1),
        "draft: right tone": (int(bool(text) and tone_of(bare) == tone), 1),
    }


def tone_of(text: str) -> str:
    """The tone that a follow-up has for somebody who does not know which was asked for."""
    counts = {tone: len(set(re.findall(rf"\b(?:{words})\b", text.lower()))) for tone, words in _TONES.items()}
    return max(("friendly", "firm", "urgent"), key=lambda tone: counts[tone] * (1.3 if tone == "urgent" else 1.0))
