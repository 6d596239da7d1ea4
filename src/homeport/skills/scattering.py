"""The task scatter: the decoder's bands where they have the form; else bands by code from the prompt itself."""

from __future__ import annotations

import contextlib
import re

import msgspec

from homeport.skills.mind import STRING, Mind, worked
from homeport.skills.trades import ANY, RULES, TRADES, Trade
from homeport.skills.words import STOP
from homeport.tasks.shipped import prompts

_GRAMMAR = 'root ::= "{" ' + ' "," '.join(rf'"\"{band}\":" string' for band in prompts.BANDS) + ' "}"\n' + STRING + "\n"
_SHARE = 0.44  # of all words are CONSTRAINTS
_LONG = 70  # words of a prompt up to which the TASK is all of it
_MOST = 220  # words of a prompt that are kept
_RULE = re.compile(r"\b(?:NEVER|ALWAYS|MUST)\b")
_OPENING = re.compile(
    r"^(?:(?:hi|hello|hey|yo|moin|dear \w+|good (?:morning|afternoon|evening)|ok(?:ay)? so|ok(?:ay)?|so|um|well|please|pls|plz|kindly|quick one|quick "
    r"question|question|task|your task(?: is)?|i need help|help)"
    r"\b(?:\s+(?:there|all|guys|team|folks|everyone|pilot|assistant))?[\s,:;!.–-]+)+",
    re.I,
)
_ASKED = re.compile(
    r"^(?:can|could|would|will) (?:you|u|somebody|someone)(?: please| pls| kindly| maybe| perhaps| just| quickly)*(?: help me (?:to )?)?\s+|^(?:i|"
    r"we)(?:'d| would)? (?:really )?(?:need|want|like|would like|love)(?: for)? (?:you|u) to\s+|"
    r"^(?:i|we)(?:'d| would) like to have\s+|^help me (?:to )?(?=[a-z])|^would you mind\s+|^i(?:'m| am) looking for (?:someone|somebody) to\s+",
    re.I,
)
_QUESTION = re.compile(
    r"^(?:what|what's|who|whom|whose|when|where|why|how|which|is|are|was|were|do|does|did|can|could|should|shall|will|would|has|have|may|am)\b", re.I
)
_NEED = re.compile(
    r"^(?:i|we)(?:'d| would| really| urgently)* (?:need|want|like|love|require|have to have)\s+(?=(?:an?|some|the|my|our|two|three|four|five|ten|\d+|"
    r"help|ideas|tips)\b)",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_GIVEN = re.compile(
    r"\d|@|\b(?:budget|my name|i am|i'm|we are|we're|we have|i have|it is|it's|there are|there is|he is|she is|they are|deadline|because|since)\b", re.I
)


async def answer(asked: prompts.Asked, mind: Mind) -> str:
    """The six bands as JSON."""
    made = await worked(len(asked.text), bands, asked.text)
    said = await mind.say(prompts.scatter(asked.text), _GRAMMAR) if len(asked.text) < 2000 else None
    if said is not None:
        with contextlib.suppress(msgspec.DecodeError):
            made = joined(made, msgspec.json.decode(said, type=dict[str, str]), asked.text)
    return prompts.packed(made)


def joined(made: dict[str, str], said: dict[str, str], prompt: str) -> dict[str, str]:
    """Each of the decoder's bands that has its form, and code's where it has not."""
    kept = dict(made)
    for band in ("PERSONA", "CONTEXT", "FORMAT"):
        text = said.get(band, "").strip()
        if _sound(text) and (band != "PERSONA" or re.match(r"You are (?:an?|the) \w+", text)):
            kept[band] = text
    task = said.get("TASK", "").strip()
    if _sound(task, most=90) and nouns(prompt) <= nouns(task) and task[:1].isupper() and "?" not in task[:-1]:
        kept["TASK"] = task
    rules = [one.strip() for one in re.split(r"(?<=\.)\s+", said.get("CONSTRAINTS", "")) if _RULE.search(one) and _sound(one.strip())]
    kept["CONSTRAINTS"] = _constraints(list(dict.fromkeys(rules))[:8] if len(rules) >= 3 else _trade(prompt).rules, kept)
    return kept


def _sound(text: str, most: int = 45) -> bool:
    """Whether a sentence of the decoder's looks like one: words, an end, nothing over and over."""
    words = text.lower().split()
    if not 3 <= len(words) <= most or text[-1:] not in ".!?" or re.search(r"[{}\[\]<>]|\\|\.\.", text):
        return False
    return all(words[at : at + 3] != words[at + 3 : at + 6] and words[at] != words[at + 1] for at in range(len(words) - 1))


def nouns(text: str) -> set[str]:
    """The words of a text that carry its content."""
    return {word for word in re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower()) if word not in STOP}


def bands(prompt: str) -> dict[str, str]:
    """The six bands from the prompt alone."""
    trade = _trade(prompt)
    text = " ".join(prompt.split())
    words = text.split(" ")
    if len(words) > _MOST:
        text = " ".join(words[: _MOST - 40]) + " … " + " ".join(words[-40:])
    data = given = ""
    task = text
    if len(words) > _LONG:
        parts = [part for part in _SENTENCE.split(text) if part.strip()]
        chosen = next((part for part in parts if _wish(part)), parts[0])
        rest = [part for part in parts if part is not chosen]
        task = chosen if len(chosen.split()) <= _LONG else " ".join(chosen.split()[:_LONG]) + " …"
        given = " ".join(rest if rest else [" ".join(chosen.split()[_LONG:])])
    else:
        parts = [part for part in _SENTENCE.split(text) if part.strip()]
        given = " ".join(part for part in parts[1:] if _GIVEN.search(part) and not _wish(part))
    data = f"Given: {given}" if given else f"No data is given. Needed from the user: {trade.needs}."
    made = {"PERSONA": f"You are {trade.persona}.", "CONTEXT": trade.context, "DATA": data, "CONSTRAINTS": "", "FORMAT": trade.form, "TASK": imperative(task)}
    made["CONSTRAINTS"] = _constraints(trade.rules, made)
    return made


def _wish(part: str) -> bool:
    bare = _OPENING.sub("", part)
    return bool(_ASKED.match(bare) or _NEED.match(bare) or _QUESTION.match(bare) or bare.rstrip().endswith("?") or _trade_verb(bare))


def _trade_verb(text: str) -> bool:
    first = re.match(r"[a-z]+", text.lower())
    return first is not None and first[0] in _VERBS


def imperative(text: str) -> str:
    """A wish said as an order, in its own words."""
    bare = _OPENING.sub("", text).strip() or text.strip()
    bare = _ASKED.sub("", bare).strip() or bare
    need = _NEED.match(bare)
    if need:
        bare = f"Provide {bare[need.end() :]}"
    elif _QUESTION.match(bare):
        bare = f"Answer the question: {bare.rstrip(' ?!.')}?"
    elif not _trade_verb(bare) and not re.match(r"\w+ (?:me|us|the|a|an|my|our|this|that|these|those|your|all)\b", bare, re.I):
        bare = f"Do what is asked here: {bare}"
    bare = bare[:1].upper() + bare[1:]
    return bare if bare[-1:] in ".?!…" else bare + "."


def _constraints(rules: list[str] | tuple[str, ...], made: dict[str, str]) -> str:
    """At least five rules, and as many as make them the longest band by far."""
    rest = sum(len(text.split()) for band, text in made.items() if band != "CONSTRAINTS")
    longest = max(len(text) for band, text in made.items() if band != "CONSTRAINTS")
    most = max(len(text.split()) for band, text in made.items() if band != "CONSTRAINTS")
    chosen = list(rules)
    spare = [rule for rule in RULES if rule not in chosen]
    while spare:
        words, size = sum(len(rule.split()) for rule in chosen), sum(len(rule) + 1 for rule in chosen)
        if len(chosen) >= 5 and words >= _SHARE * (words + rest) and words > most and size > longest:
            break
        chosen.append(spare.pop(0))
    return " ".join(chosen)


def _trade(prompt: str) -> Trade:
    """Whose work it is: the trade with most of its words in the prompt, the first one where they are alike."""
    said = re.findall(r"[^\W\d_]+", prompt.lower())
    scores = [
        sum(
            3.0 if at < 3 and word in trade.verbs else 1.0
            for at, word in enumerate(said[:80])
            if word in trade.verbs or any(word == key or (len(key) > 4 and word.startswith(key)) for key in trade.words)
        )
        for trade in TRADES
    ]
    best = max(scores)
    return TRADES[scores.index(best)] if best >= 1.0 else ANY


_VERBS = frozenset(verb for trade in TRADES for verb in trade.verbs) | frozenset(
    [
        "write",
        "make",
        "give",
        "show",
        "tell",
        "create",
        "list",
        "find",
        "explain",
        "plan",
        "compare",
        "summarise",
        "summarize",
        "translate",
        "draft",
        "design",
        "suggest",
        "help",
        "describe",
        "draw",
        "build",
        "fix",
        "check",
        "turn",
        "rewrite",
        "come",
        "propose",
        "name",
        "generate",
        "outline",
        "improve",
        "shorten",
        "prepare",
        "organise",
        "organize",
        "invent",
        "choose",
        "teach",
        "review",
        "edit",
        "convert",
        "calculate",
        "analyse",
        "analyze",
        "recommend",
        "pick",
        "set",
        "answer",
        "do",
        "add",
        "remove",
        "sort",
        "rank",
        "count",
        "collect",
        "develop",
    ]
)
