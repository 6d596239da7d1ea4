"""Questions and texts as the ranker of answers sees them: tokens with their looks and stems, sentences, and what a question wants."""

from __future__ import annotations

import re
from typing import NamedTuple

from homeport.skills.patterns import MONTHS
from homeport.skills.words import FIRST, STOP

WORD = re.compile(r"[^\W_]+(?:['’.@_-][^\W_]+)*")
_TOKEN = re.compile(r"[$€£¥₹]?\d+(?:[.,:/'’-]\d+)*(?:%|€)?|[^\W\d_]\.(?=[^\W\d_]\.| [^\W\d_a-z])|[^\W_]+(?:['’.@_-][^\W_]+)*|\S")
_END = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“‘(]?[^\Wa-z_])|\n+")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|No|Nr|vs|etc|Co|Inc|Ltd|approx|a\.m|p\.m|e\.g|i\.e|Rs|Fr|[A-Z])\.)$")
_SHORT = 16  # characters, more than an abbreviation has
_QUESTION = re.compile(
    r"\b(?:(?:(?:by|until|till|since|from|at|on|in|to|with|for|of|about|under|between|after|before) )?(?:what|which|whose|whom|who|when|where|why|"
    r"how)(?:['’]s)?)\b(?: (?:many|much|long|old|far|tall|"
    r"high|big|large|deep|wide|heavy|often|fast|late|early|soon|hot|cold))?",
    re.I,
)
_WANTED: tuple[tuple[str, str], ...] = (
    ("time", r"what time|at what time|o'clock|which hour"),
    ("email", r"e-?mail"),
    ("phone", r"phone|telephone|call|number.*reach|ring"),
    ("amount", r"cost|price|how much (?:does|do|is|are|did|was|were|money|has|will|should|must|can)|pay|paid|fee|worth|salary|rent|charge|earn|fare|owe|amount|"
        r"prize|bill|budget|donat"),
    ("date", r"date|deadline|when|what day|which day|what year|which year|what month|which month|until|by when|since"),
    ("colour", r"colou?r"),
    ("person", r"\bwho\b|\bwhom\b|name of|named|called"),
    ("place", r"where|which (?:city|town|country|street|room|place|village|station|floor)|what (?:city|town|country|street|room|place|village|floor)|address"),
    ("number", r"how many|number|how old|age|how often|how long|how far|how tall|how high|how deep|how heavy|how wide|percent|weigh|temperature"),
)  # fmt: skip
_IRREGULAR = {
    one: words.split()[0]
    for words in [
        "take took taken",
        "win won winner",
        "buy bought",
        "sell sold",
        "pay paid payment",
        "write wrote written",
        "give gave given",
        "find found",
        "lose lost",
        "build built",
        "bring brought",
        "teach taught teacher",
        "think thought",
        "catch caught",
        "make made",
        "leave left",
        "meet met",
        "begin began begun",
        "drink drank",
        "sing sang sung",
        "swim swam",
        "run ran",
        "drive drove driven driver",
        "fly flew flown",
        "know knew",
        "grow grew grown",
        "draw drew",
        "wear wore worn",
        "speak spoke spoken",
        "break broke broken",
        "choose chose chosen",
        "eat ate eaten",
        "fall fell fallen",
        "see saw seen",
        "send sent",
        "spend spent",
        "keep kept",
        "sleep slept",
        "feel felt",
        "hold held",
        "tell told",
        "say said",
        "stand stood",
        "go went gone",
        "come came",
        "get got",
        "become became",
        "have has had",
        "be is are was were been",
        "do does did done",
        "child children",
        "man men",
        "woman women",
        "foot feet",
        "tooth teeth",
        "mouse mice",
        "live lived lives",
        "die died dies death",
        "hang hung",
        "steal stole stolen",
        "ride rode ridden",
        "rise rose",
        "throw threw thrown",
        "hide hid hidden",
        "shake shook",
        "lead led",
        "feed fed",
        "read",
        "cost",
        "put",
        "cut",
        "set",
        "let",
        "shut",
        "old age aged",
        "long length",
        "high height",
        "deep depth",
        "wide width",
        "heavy weigh weight weighs",
        "cheap",
        "open opens opening",
        "close closes closed closing",
        "start starts begin begins",
        "birth born",
        "own owns owner belongs",
        "author wrote",
        "sit sat",
        "light lit",
        "lie lay",
        "shoot shot",
        "strike struck",
        "understand understood",
        "bake baked",
        "wake woke",
    ]
    for one in words.split()
}
COLOURS = frozenset(
    [
        "red",
        "green",
        "blue",
        "yellow",
        "black",
        "white",
        "brown",
        "grey",
        "gray",
        "orange",
        "purple",
        "pink",
        "violet",
        "golden",
        "silver",
        "turquoise",
        "beige",
        "gold",
        "teal",
        "crimson",
        "scarlet",
        "navy",
        "cream",
    ]
)
NUMBERS = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
        "half",
        "both",
        "dozen",
        "once",
        "twice",
    ]
)
UNITS = frozenset(
    [
        "days",
        "day",
        "hours",
        "hour",
        "minutes",
        "minute",
        "weeks",
        "week",
        "months",
        "month",
        "years",
        "year",
        "kilometres",
        "kilometers",
        "km",
        "metres",
        "meters",
        "m",
        "miles",
        "grams",
        "kilos",
        "kilograms",
        "kg",
        "g",
        "litres",
        "liters",
        "degrees",
        "percent",
        "seconds",
        "cm",
        "centimetres",
        "tonnes",
        "pounds",
        "feet",
        "inches",
        "people",
        "times",
        "pieces",
    ]
)


class Token(NamedTuple):
    """One word, number or sign."""

    start: int
    end: int
    text: str
    look: str  # a small word as it is; of others what they look like
    stem: str


def stem(word: str) -> str:
    """A word without its ending."""
    low = word.lower().replace("’", "'")
    low = low[:-2] if low.endswith("'s") else low
    if low in _IRREGULAR:
        return _IRREGULAR[low]
    for ending in ("ing", "edly", "ed", "ies", "es", "er", "ers", "ly", "s", "e"):
        if low.endswith(ending) and len(low) - len(ending) >= 3:
            low = low[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    if len(low) > 3 and low[-1] == low[-2]:
        low = low[:-1]
    return _IRREGULAR.get(low, low)


def _look(text: str, *, first: bool) -> str:
    low = text.lower()
    if low in STOP:
        return low
    if text[0].isdigit() or text[0] in "$€£¥₹":
        return "NUM" if len(text) < 5 or not text.isdigit() else "NUMBER"
    if not text[0].isalnum():
        return text[0]
    if low in NUMBERS:
        return "COUNT"
    if low in UNITS:
        return "UNIT"
    if low in COLOURS:
        return "COLOUR"
    if re.fullmatch(MONTHS, low, re.I) and text[0].isupper():
        return "MONTH"
    if low.endswith("day") and text[0].isupper():
        return "DAY"
    if text[0].isupper():
        return "NAME" if low in FIRST else "Cap0" if first else "Cap"
    for ending in ("ing", "ed", "ly", "s"):
        if low.endswith(ending) and len(low) > 4:
            return "-" + ending
    return "word"


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text stand."""
    found, start = [], 0
    for match in _END.finditer(text):
        if _ABBREVIATED.search(text[max(start, match.start() - _SHORT) : match.start()]) and "\n" not in match[0]:
            continue
        if text[start : match.start()].strip():
            found.append((start, match.start()))
        start = match.end()
    if text[start:].strip():
        found.append((start, len(text)))
    return found


def tokens(text: str, start: int, end: int) -> list[Token]:
    """The tokens of a part of a text."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text, start, end):
        found.append(Token(*match.span(), match[0], _look(match[0], first=not found), stem(match[0])))
    return found


class Question:
    """What a question asks for, and by which words."""

    def __init__(self, text: str) -> None:
        low = " ".join(text.lower().replace("’", "'").split())
        match = _QUESTION.search(low)
        self.kind = match[0] if match else "none"
        behind = re.findall(r"[a-z']+", low[match.end() :])[:2] if match else []
        self.head = stem(behind[0]) if behind and self.kind.split()[-1] in ("what", "which", "whose", "many", "much") and behind[0] not in STOP else ""
        core = self.kind.split(" ")
        self.coarse = (
            next((word for word in core if word in ("who", "whom", "whose", "what", "which", "when", "where", "why", "how")), "none") if match else "none"
        )
        if self.coarse == "how" and core[-1] != "how":
            self.coarse = f"how {core[-1]}"
        self.wanted = next((kind for kind, form in _WANTED if re.search(form, low)), "thing")
        self.fine = f"{self.coarse} {behind[0] if behind and (behind[0] in STOP) else 'noun' if behind else ''}"
        words = WORD.findall(text)
        self.stems = {stem(word) for word in words if word.lower().replace("’", "'") not in STOP and word.lower() not in ("many", "much", "name", "called")}
        self.names = {stem(word) for at, word in enumerate(words) if at and (word[0].isupper() or word[0].isdigit())}
        self.words = {word.lower() for word in words}

    def meets(self, token: Token) -> bool:
        """Whether a word of the text is one of the question's."""
        return token.stem in self.stems
