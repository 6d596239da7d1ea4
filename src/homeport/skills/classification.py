"""Which of some labels fits a text: the four kinds of message by the linear model, other sets by what their labels mean; else the decoder."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from homeport.skills import linear, topics
from homeport.skills.features import BAD, GLAD, MISFORTUNE
from homeport.skills.mind import Mind, size, worked
from homeport.skills.words import COMMON
from homeport.tasks.shipped import prompts

SURE = 1.4  # times as likely as the next label: then the decoder is not asked
OPEN = 0.12  # labels less likely than this are not offered to it
KINDS: dict[str, tuple[str, ...]] = {
    "question": ("question", "questions", "inquiry", "enquiry", "query", "asking", "ask", "information request", "info request", "frage", "pregunta"),
    "request": ("request", "requests", "order", "task", "action", "wish", "command", "instruction", "todo", "to-do", "service request", "ask for action", "do"),
    "complaint": ("complaint", "complaints", "grievance", "problem", "issue", "dissatisfied", "dissatisfaction", "negative feedback", "bug report", "bug", "escalation", "unhappy"),
    "other": ("other", "others", "none", "neither", "statement", "misc", "miscellaneous", "information", "info", "else", "something else", "none of these", "rest", "remark", "comment", "unknown", "na", "n/a"),
}  # fmt: skip
FEELINGS: dict[str, tuple[str, ...]] = {
    "good": (
        "positive",
        "good",
        "happy",
        "praise",
        "satisfied",
        "pos",
        "favourable",
        "favorable",
        "like",
        "recommend",
        "thumbs up",
        "joy",
        "pleased",
        "compliment",
        "+",
    ),
    "bad": (
        "negative",
        "bad",
        "unhappy",
        "critical",
        "neg",
        "unfavourable",
        "dislike",
        "angry",
        "anger",
        "disappointed",
        "thumbs down",
        "frustrated",
        "-",
        "criticism",
    ),
    "neutral": ("neutral", "mixed", "neither", "objective", "factual", "none", "calm", "neutrality"),
}
ALARM = re.compile(
    r"\b(?:pouring|burst|burning|overheat(?:ed|ing)?|injured|hurt|trapped|collapsed?|crashed|cannot breathe|bleeds|ceiling|sparks?|locked (?:in|out)|"
    r"urgent(?:ly)?|asap|immediately|at once|right away|right now|emergency|critical|outage|down|now|fire|flood(?:ed|ing)?|leak(?:ing)?|bleeding|today|"
    r"within the hour|can(?:no|')t wait|stuck|dead|danger(?:ous)?|smoke|gas|hacked|broke(?:n)?|stopped|everyone|nobody can|production|all users|"
    r"blocked|stolen|deadline|tonight|before noon)\b|!{2,}",
    re.I,
)
EASE = re.compile(
    r"\b(?:no (?:rush|hurry)|whenever|when you (?:have|get|find)|at your (?:leisure|convenience)|some ?(?:time|day)|eventually|next (?:month|year|"
    r"quarter)|nice to have|minor|small thing|just curious|low priority|not urgent|can wait|no pressure|idea|suggestion|wondering|cosmetic|typo|in the "
    r"long run|one day)\b",
    re.I,
)
URGENCY: dict[str, tuple[str, ...]] = {
    "bad": ("urgent", "high", "critical", "p1", "important", "emergency", "asap", "immediate", "top", "severe", "now"),
    "good": ("low", "minor", "p3", "whenever", "not urgent", "later", "trivial", "no rush", "can wait", "unimportant"),
    "neutral": ("normal", "medium", "p2", "regular", "standard", "moderate", "routine", "middle", "soon"),
}
SPAM = re.compile(
    r"\b(?:winner|won|prize|lottery|free|claim|click|act now|limited|offer expires|bitcoin|crypto|casino|viagra|pills|loan|guaranteed|100 ?%|"
    r"risk[- ]free|earn|income|work from home|million|inherit(?:ance|ed)?|prince|congratulations|cheap|discount|unsubscribe|buy now|exclusive|deal|"
    r"bonus|gift card|password|verify your account|suspended|investment|double your|hot|singles|weight|miracle|cash|selected|investors?|followers|seo|"
    r"ranking)\b|[$€£]\s?\d{3,}|http",
    re.I,
)
UNWANTED: dict[str, tuple[str, ...]] = {
    "bad": ("spam", "junk", "scam", "phishing", "advert", "advertising", "unwanted", "fraud", "promotion"),
    "good": ("ham", "not spam", "no spam", "legitimate", "legit", "genuine", "wanted", "mail", "normal", "real", "ok", "clean", "personal"),
    "neutral": (),
}
_NO = re.compile(r"\b(?:not|never|no|hardly|isn't|wasn't|n't|nothing|without|don't|didn't|doesn't)\b[\w' ]{0,18}$", re.I)
_MOST = 20.0  # of a feeling; much more would be no number any more
_BACK = 40  # characters before a word that are looked at for it: more than it can be long


CONSENT: dict[str, tuple[str, ...]] = {
    "good": (
        "yes",
        "accept",
        "accepted",
        "agree",
        "agreed",
        "approve",
        "approved",
        "confirm",
        "confirmed",
        "consent",
        "attending",
        "coming",
        "interested",
        "affirmative",
        "true",
        "y",
    ),
    "bad": (
        "no",
        "decline",
        "declined",
        "disagree",
        "reject",
        "rejected",
        "refuse",
        "refused",
        "deny",
        "denied",
        "not attending",
        "not coming",
        "not interested",
        "negative",
        "false",
        "n",
    ),
    "neutral": ("maybe", "unsure", "unclear", "undecided", "tentative", "perhaps", "unknown"),
}
_YES = re.compile(
    r"\b(?:yes|yeah|yep|sure|of course|certainly|gladly|happy to|happily|count (?:me|us) in|i(?:'ll| will) (?:be there|come|take|do)|we(?:'ll| will) "
    r"(?:be there|come|take)|sounds (?:good|great)|deal|agreed?|absolutely|definitely|accept|confirm(?:ed)?|okay|ok|works for (?:me|us)|approved?|with "
    r"pleasure|love to|go ahead|fine with|no problem|looking forward|right|correct|indeed)\b",
    re.I,
)
_NAY = re.compile(
    r"\b(?:no|nope|nah|not|never|can(?:no|')t|cannot|won't|don't|isn't|doesn't|unable|afraid|sorry|unfortunately|sadly|decline|refuse|pass|regret|"
    r"rather not|another time|count (?:me|us) out|reject|impossible|disagree|wrong|out of the question)\b",
    re.I,
)
_MAY = re.compile(r"\b(?:maybe|perhaps|not sure|might|depends|let you know|will see|undecided|possibly|don't know|get back to you|think about it)\b", re.I)


async def answer(asked: prompts.Asked, mind: Mind) -> str:
    """The label as JSON."""
    shares = await worked(size(asked), proposed, asked.text, asked.names)
    best = max(shares, key=lambda name: shares[name])
    next_best = max((share for name, share in shares.items() if name != best), default=0.0)
    if shares[best] >= SURE * next_best:
        return prompts.packed(best)
    left = [name for name in asked.names if shares[name] >= min(OPEN, shares[best] / 2)]
    said = await mind.choice(prompts.classify(asked.text, asked.names), [prompts.packed(name) for name in left])
    return said if said is not None and said in {prompts.packed(name) for name in left} else prompts.packed(best)


def proposed(text: str, names: Sequence[str]) -> dict[str, float]:
    """How likely each label is, as far as code can tell; together 1."""
    found = _kinds(text, names)
    if found is None:
        found = _scale(text, names, FEELINGS, feeling)
    if found is None:
        found = _scale(text, names, URGENCY, lambda one: 0.15 + 1.1 * len(EASE.findall(one)) - 0.9 * min(2, len(ALARM.findall(one))))
    if found is None:
        found = _scale(text, names, UNWANTED, lambda one: 1.0 - 0.9 * min(3, len(SPAM.findall(one))))
    if found is None:
        found = _scale(text, names, CONSENT, consent)
    if found is None:
        found = topics.languages(text, names)
    if found is None:
        found = topics.about(text, names)
    whole = sum(found.values()) or 1.0
    return {name: share / whole for name, share in found.items()}


def meaning(name: str, of: dict[str, tuple[str, ...]]) -> str | None:
    """Which of some meanings a label has."""
    low = re.sub(r"[_\s]+", " ", name).strip().casefold()
    return next((kind for kind, words in of.items() if low in words), None)


def _kinds(text: str, names: Sequence[str]) -> dict[str, float] | None:
    """By the linear model, where the labels are kinds of message."""
    meant = {name: meaning(name, KINDS) for name in names}
    if None in meant.values() or len(set(meant.values())) < len(names):
        return None
    if not text.strip():
        return {name: 1.0 if kind == "other" else 0.05 for name, kind in meant.items()}
    shares = linear.model().shares(text)
    kept = {name: shares[kind] for name, kind in meant.items() if kind is not None}
    if "other" not in meant.values():
        return kept
    rest = sum(share for kind, share in shares.items() if kind not in meant.values())
    return {name: share + (rest if meant[name] == "other" else 0.0) for name, share in kept.items()}


def consent(text: str) -> float:
    """How willing a text is: above 0 yes, below 0 no."""
    low = text.replace("’", "'")
    if _MAY.search(low):
        return 0.0
    return 1.2 * len(_YES.findall(_NAY.sub(" ", low))) - 1.2 * len(_NAY.findall(low))


def feeling(text: str) -> float:
    """How glad a text is: above 0 glad, below 0 not."""
    low = text.lower().replace("’", "'")
    score = 0.0
    for match in re.finditer(r"[a-z']+(?:-[a-z]+)?", low):
        worth = (1.0 if match[0] in GLAD or match[0] in MORE_GLAD else 0.0) - (1.0 if match[0] in BAD or match[0] in MORE_BAD else 0.0)
        if worth and _NO.search(low[max(0, match.start() - _BACK) : match.start()]):
            worth = -0.8 * worth
        score += worth
    score -= 0.6 * sum(phrase in low for phrase in MISFORTUNE)
    return score + 0.8 * sum(phrase in low for phrase in LIKED) - 0.8 * sum(phrase in low for phrase in DISLIKED)


MORE_GLAD = frozenset(
    [
        "best",
        "easy",
        "fast",
        "friendly",
        "fresh",
        "helpful",
        "comfortable",
        "clean",
        "kind",
        "recommend",
        "reliable",
        "smooth",
        "stunning",
        "charming",
        "superb",
        "tasty",
        "warm",
        "impressed",
        "impressive",
        "enjoy",
        "enjoyable",
        "fun",
        "gorgeous",
        "perfectly",
        "quickly",
        "solved",
        "works",
        "quiet",
        "cosy",
        "cozy",
        "bargain",
        "favourite",
        "favorite",
        "outstanding",
        "pleasant",
        "polite",
        "pleasure",
        "proud",
        "sturdy",
        "thoughtful",
        "top",
        "treat",
        "useful",
        "beautifully",
        "flawless",
        "generous",
        "win",
        "winning",
        "success",
        "hooray",
        "yay",
        "laughed",
        "smiled",
    ]
)
MORE_BAD = frozenset(
    [
        "bland",
        "boring",
        "cheap",
        "complicated",
        "confusing",
        "crowded",
        "cramped",
        "difficult",
        "dull",
        "empty",
        "flimsy",
        "greasy",
        "hard",
        "heavy",
        "late",
        "loud",
        "mediocre",
        "overcooked",
        "overrated",
        "painful",
        "rude",
        "salty",
        "sad",
        "soggy",
        "tasteless",
        "thin",
        "tiny",
        "unclear",
        "unfortunately",
        "weak",
        "wobbly",
        "avoid",
        "meh",
        "dry",
        "died",
        "death",
        "lost",
        "crisis",
        "cry",
        "cried",
        "crying",
        "hurts",
        "lonely",
    ]
)


LIKED = (
    "would recommend", "highly recommend", "come back", "coming back", "well worth", "worth every", "exceeded", "can't fault", "couldn't be happier",
    "no complaints", "on time", "five stars", "made my day", "put the book down", "put it down", "out of their way", "out of his way", "out of her way",
    "every penny", "can't wait", "cannot wait", "will be back", "be back soon", "above and beyond", "nothing but praise", "hats off", "keep it up",
    "top notch", "to die for",
)  # fmt: skip
DISLIKED = (
    "would not recommend", "never again", "waste of", "avoid", "not worth", "stay away", "could be better", "let down", "don't bother", "one star",
    "expected more", "expected better", "won't be back", "will not be back", "not be coming", "last time", "falling apart", "had to wait", "so-so",
    "no longer recommend", "used to be",
)  # fmt: skip


def _scale(text: str, names: Sequence[str], of: dict[str, tuple[str, ...]], measure: object) -> dict[str, float] | None:
    """For labels from bad over neutral to good: by one number."""
    meant = {name: meaning(name, of) for name in names}
    if None in meant.values() or len(set(meant.values())) < len(names) or len(names) < 2:
        return None
    assert callable(measure)
    value = max(-_MOST, min(_MOST, float(measure(text))))
    shares = {"good": math.exp(1.6 * value - 1.0), "bad": math.exp(-1.6 * value - 1.0), "neutral": 1.0}
    return {name: shares[kind] for name, kind in meant.items() if kind is not None}


def content(text: str) -> set[str]:
    """The words of a text that carry its content, in small letters."""
    return {word for word in re.findall(r"[^\W\d_]{3,}", text.casefold()) if word not in COMMON}
