"""The sinc format: six bands of a prompt as JSON, strict or with the raw prompt archived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from homeport.tasks.reading import parsed
from homeport.tasks.shipped.prompts import BANDS

FORMULA = "x(t) = Sigma x(nT) * sinc((t - nT) / T)"
FORMULAS = (FORMULA, FORMULA.replace("Sigma", "Σ").replace("*", "·"), FORMULA.replace("Sigma", "Σ"), FORMULA.replace("*", "·"))
AXIS = "specification-axis"
ARCHIVED = "TASK_ARCHIVED"
SHARE, RULES = 0.4, 5  # of CONSTRAINTS: its least share of all words, and how often it says NEVER, ALWAYS or MUST
Sinc = dict[str, Any]


def sinc(bands: Mapping[str, str]) -> Sinc:
    """The object of bands by name, in their order; strict."""
    fragments = [{"n": number, "t": band, "x": bands[band]} for number, band in enumerate(BANDS) if band in bands]
    return {"formula": FORMULA, "T": AXIS, "fragments": fragments}


def fault(value: Any) -> str | None:
    """What the strict form has against an object, or None. Both spellings of the formula are good."""
    if not isinstance(value, dict) or value.keys() != {"formula", "T", "fragments"}:
        return "takes formula, T and fragments, and nothing else"
    if value["formula"] not in FORMULAS:
        return "has another formula"
    if value["T"] != AXIS:
        return f'takes "{AXIS}" as T'
    fragments = value["fragments"]
    if not isinstance(fragments, list) or not 1 <= len(fragments) <= len(BANDS):
        return "takes 1 to 6 fragments"
    seen = set()
    for fragment in fragments:
        if not isinstance(fragment, dict) or fragment.keys() != {"n", "t", "x"}:
            return "takes fragments of n, t and x"
        number, text = fragment["n"], fragment["x"]
        if type(number) is not int or not 0 <= number < len(BANDS) or number in seen:
            return "takes n from 0 to 5, each once"
        if fragment["t"] != BANDS[number]:
            return f"takes {BANDS[number]} as t where n is {number}"
        if not isinstance(text, str) or not text.strip():
            return f"has nothing in {BANDS[number]}"
        seen.add(number)
    return None


def short(value: Sinc) -> str | None:
    """How CONSTRAINTS falls short of the scatter rules (the longest band, SHARE of all words, RULES rules), or None. For objects of the strict form."""
    words = {fragment["t"]: len(fragment["x"].split()) for fragment in value["fragments"]}
    found = measured(value, "")
    share, rules = found["constraints_share"], found["constraints_rules"]
    if share >= SHARE and rules >= RULES and words.get("CONSTRAINTS", 0) == max(words.values()):
        return None
    asked = f"it is to be the longest band, with at least {SHARE:.0%} and {RULES}"
    return f"CONSTRAINTS has {share:.0%} of all words and {rules} of NEVER, ALWAYS and MUST, where {asked}"


def archived(value: Sinc, prompt: str) -> Sinc:
    """The archive form: a seventh fragment with the raw prompt."""
    return {**value, "fragments": [*stripped(value)["fragments"], {"n": len(BANDS), "t": ARCHIVED, "x": prompt}]}


def stripped(value: Sinc) -> Sinc:
    """The strict form of either."""
    return {**value, "fragments": [fragment for fragment in _fragments(value) if fragment["t"] != ARCHIVED]}


def raw(value: Sinc) -> str | None:
    """The raw prompt of the archive form, or None."""
    return next((fragment["x"] for fragment in _fragments(value) if fragment["t"] == ARCHIVED), None)


def passing(prompt: str) -> Sinc | None:
    """The object that a prompt already is (one with a formula passes through as it is), or None; what JSON cannot say again is none."""
    if "formula" not in prompt:
        return None
    try:
        value = parsed(prompt)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # a name that comes twice, NaN; half of a character in it, too: it could not be sent
        return None
    return value if isinstance(value, dict) and "formula" in value else None


def messages(value: Sinc) -> list[dict[str, str]]:
    """The chat that executes it: bands 0 to 4 are the system prompt, the task is the user's turn."""
    bands = {fragment["t"]: fragment["x"] for fragment in stripped(value)["fragments"]}
    system = "\n\n".join(f"[{band}]\n{bands[band]}" for band in BANDS[:-1] if band in bands)
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": bands.get(BANDS[-1], "")}]


def measured(value: Sinc, prompt: str) -> dict[str, Any]:
    """What can be counted: strictly valid, how many bands, the share of CONSTRAINTS by words, its rules, the share of the prompt's words kept."""
    bands = {fragment["t"]: str(fragment["x"]) for fragment in _fragments(value)}
    counts = {band: len(text.split()) for band, text in bands.items()}
    rules = sum(word.strip(".,:;") in ("NEVER", "ALWAYS", "MUST") for word in bands.get("CONSTRAINTS", "").split())
    said = {word.strip(".,:;!?\"'").casefold() for word in prompt.split()}
    kept = {word.strip(".,:;!?\"'").casefold() for text in bands.values() for word in text.split()}
    return {
        "valid": fault(stripped(value)) is None,
        "bands": sum(band in bands for band in BANDS),
        "constraints_share": round(counts.get("CONSTRAINTS", 0) / max(1, sum(counts.values())), 3),
        "constraints_rules": rules,
        "fidelity": round(len(said & kept) / max(1, len(said)), 3),
    }


def _fragments(value: Sinc) -> list[dict[str, Any]]:
    """Those that have a name and a text; an object that passed through may have others, or none."""
    found = value.get("fragments")
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("t"), str) and "x" in one] if isinstance(found, list) else []
