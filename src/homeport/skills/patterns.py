"""Values by their looks: e-mail addresses, amounts, dates, times, numbers of invoices and orders, phones, IBANs and web addresses, each a span of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

LONGEST_WORD = 160  # characters without a blank; what is longer is no value, and patterns would take long over it
MOST = 300  # spans of a kind that are weighed: the first two thirds, and the last


class Span(NamedTuple):
    """A place in a text, and what speaks for it by its looks alone, from 0 to 1."""

    start: int
    end: int
    looks: float

    def of(self, text: str) -> str:
        """What stands there."""
        return text[self.start : self.end]


class Taken:
    """Which signs of a text are taken, however many places they belong to."""

    def __init__(self, text: str) -> None:
        self._marks = bytearray(len(text))

    def take(self, start: int, end: int) -> None:
        """A place is taken from now on."""
        self._marks[start:end] = b"\1" * (end - start)

    def touches(self, start: int, end: int) -> bool:
        """Whether any sign of a place is."""
        return self._marks.find(1, start, end) >= 0


def bare(text: str) -> str:
    """A text with blanks in place of words that are too long: every other sign stays where it is."""
    return _LONG_WORD.sub(lambda match: " " * len(match[0]), text)


def some(spans: list[Span]) -> list[Span]:
    """The spans that are weighed."""
    return spans if len(spans) <= MOST else spans[: MOST * 2 // 3] + spans[-MOST // 3 :]


_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD},}}")
MONTHS = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    r"|januar|februar|märz|maerz|mai|juni|juli|oktober|dezember|janvier|février|fevrier|mars|avril|juin|juillet|août|aout|septembre|octobre|novembre|"
    r"décembre|decembre"
    r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|"
    r"ottobre|dicembre"
    r"|januari|februari|maart|mei|augustus|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|dezembro|maj|stycznia|lutego|marca|kwietnia|maja|"
    r"czerwca|lipca|sierpnia"
    r"|września|października|listopada|grudnia|ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:(?:19|20)\d\d|['’]\d\d)"
_CODES = (
    "EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|CAD|AUD|NZD|INR|JPY|CNY|RMB|HKD|SGD|ZAR|BRL|MXN|ARS|CLP|ILS|AED|SAR|KRW|THB|IDR|MYR|PHP|VND|RUB|"
    "UAH|ISK|NGN|KES|GHS|EGP|MAD|PKR|TL"
)
_SIGNS = r"(?:US|CA|AU|NZ|HK|SG|[ACRS])?\$|[€£¥₹₽₺₩₴₪₫฿₦]|zł|Kč|Fr\.|SFr\.?|Rs\.?|R(?=\d{1,3}[ ,]\d{3}|\d+\.\d\d\b)|Ft"
_WORDS = (
    r"euros?|dollars?|bucks|pounds?(?: sterling)?|quid|francs?|kroner|kronor|kr\.?|crowns?|yen|yuan|rupees?|pesos?|reais|liras?|lira|zlotys?|złoty|"
    r"złotych|forints?|lei|shekels?|"
    r"rand|dirhams?|riyals?|won|baht|rubles?|roubles?|hryvnias?|cents?|pence|grand"
)
_FIGURE = r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?:,-|,–)?(?![\d])|\d+(?:[.,]\d{1,2})?(?:,-|,–|\.-|\.–)?(?:k\b)?(?!\d)(?![.,]\d)"
_NUMBER_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|"
    r"forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundred|thousand|million)"
)

EMAIL = re.compile(r"(?<![\w.+%'-])(?=[\w.+%'-]+@)[\w.+%'-]*\w[\w+%'-]*@[\w-]+(?:\.[\w-]+)+", re.I)
AMOUNT = re.compile(
    rf"(?<![\w.,])(?:(?:{_SIGNS}|\b(?:{_CODES})\b)[ \u00a0\u202f]?(?:{_FIGURE})(?: (?:thousand|million|bn|k)\b)?(?:[ \u00a0\u202f]?(?:{_CODES})\b)?"
    rf"|(?:{_FIGURE})(?: (?:thousand|million))?[ \u00a0\u202f]?(?:(?:{_SIGNS})(?!\w)|(?:{_CODES})\b|(?:{_WORDS})(?!\w)))",
    re.I,
)
WORDED = re.compile(rf"\b{_NUMBER_WORD}(?:(?:[ -]| and ){_NUMBER_WORD}){{0,20}} (?:{_WORDS})(?!\w)", re.I)
BARE_AMOUNT = re.compile(rf"(?<![\w.,/-])(?:{_FIGURE})(?![\w/%°:-])", re.I)
DATES: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"(?<![\w/.-])(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?![\w/-])"), 1.0),
    (re.compile(rf"(?<![\w/.-]){_DAY}([-/.])(?:0?[1-9]|[12]\d|3[01])\1(?:(?:19|20)\d\d|\d\d)(?![\w/-])(?!\.\d)"), 1.0),
    (re.compile(rf"(?<![\w/.-]){_DAY}(?:st|nd|rd|th|\.|er|º)?[ \u00a0]?(?:(?:of|de|di) )?{MONTHS}\b\.?(?:,? (?:de |del )?{_YEAR}\b)?(?<!\.)", re.I), 1.0),
    (re.compile(rf"\b{MONTHS}\b\.? (?:the )?{_DAY}(?:st|nd|rd|th)?\b(?:,? {_YEAR}\b)?(?![.,:]?\d)", re.I), 1.0),
    (re.compile(rf"(?<![\w/.-]){_DAY}[-/]{MONTHS}[-/](?:(?:19|20)\d\d|\d\d)(?![\w/-])", re.I), 1.0),
    (re.compile(rf"(?<![\w/.-]){_DAY}\. ?(?:0?[1-9]|1[0-2])\.(?!\d)"), 0.8),
    (re.compile(rf"(?<![\w/.-]){_DAY}\. ?(?:0?[1-9]|1[0-2])\. ?(?:19|20)\d\d(?!\d)"), 1.0),
    (re.compile(r"(?:19|20)\d\d年 ?(?:0?[1-9]|1[0-2])月 ?(?:0?[1-9]|[12]\d|3[01])日|(?:0?[1-9]|1[0-2])月(?:0?[1-9]|[12]\d|3[01])日"), 1.0),
    (re.compile(rf"(?<![\w/.:-]){_DAY}/(?:0?[1-9]|1[0-2])(?![\w/.:-]\w|\w|/)"), 0.45),
    (re.compile(rf"\b{MONTHS} (?:19|20)\d\d\b", re.I), 0.5),
)
RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|(?:(?:next|last|this|coming) )?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)|(?:next|last|"
    r"this) (?:week|month|year)|"
    r"end of (?:the )?(?:month|week|year)|in (?:two|three|\d+) (?:days|weeks|months))\b",
    re.I,
)
TIME = re.compile(
    r"(?<![\d.,:-])(?:[01]?\d|2[0-3])(?:[:.h][0-5]\d(?!\.?\d)(?: ?[ap](?:\.m\.|m\b))?| ?(?:[ap](?:\.m\.|m\b)|o['’]clock|uhr|hrs)|h\b)|\b(?:noon|midnight)\b|"
    r"\b(?:half past|quarter past|quarter to) (?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
    re.I,
)
CODE = re.compile(r"(?<![\w@./#-])#?(?=[\w./-]*\d)[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+)*(?![\w@])")
_SPACED = re.compile(r"(?:INV|RE|RG|FA|BILL|SI|[A-Z]{1,4}) \d{2,}\b")
PHONE = re.compile(r"(?<![\w.,-])(?:\+|00|\()?\d[\d()]*(?:[ \u00a0/.-]{1,3}\(?\d+\)?){1,6}(?![\w-])|(?<![\w.,-])\+?\d{9,14}(?![\w-])")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'()]+[\w/]|(?<![@\w.-])(?:[a-z0-9-]+\.)+(?:com|org|net|de|io|eu|fr|it|nl|ch|at|es|uk|example|dev|app|"
    r"info)(?:/[\w./-]*)?(?![\w@])",
    re.I,
)
PERCENT = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)?(?: ?%| percent\b| per cent\b)")
NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:[.,]\d+)*(?![\w/-])")
STREET = re.compile(
    r"\b(?:\d{1,4}[a-z]? (?:[A-Z][\w'’-]+ ){1,3}(?:Street|St|Road|Rd|Lane|Ln|Avenue|Ave|Drive|Dr|Way|Close|Court|Ct|Square|Sq|Row|Place|Terrace|Hill|"
    r"Gardens|Crescent|Boulevard|Blvd|Quay|Walk)\b"
    r"|(?:[A-ZÄÖÜ][\w'’-]+ ){0,2}(?:[A-ZÄÖÜ]?[\w'’-]*(?:straße|strasse|str\.|weg|gasse|platz|allee|ufer|damm|street|lane|road|avenue))(?: \d{1,4} ?[a-z]?\b)?"
    r"|(?:[A-Z][\w'’-]+ ){1,3}(?:Street|Road|Lane|Avenue|Drive|Way|Close|Court|Square|Row|Terrace|Crescent|Boulevard|Quay)(?: \d{1,4}[a-z]?\b)?)"
)


def _each(pattern: re.Pattern[str], looks: float = 1.0) -> Callable[[str], Iterator[Span]]:
    def find(text: str) -> Iterator[Span]:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), looks)

    return find


def emails(text: str) -> Iterator[Span]:
    """Addresses of mail; what stands around them is left out."""
    for match in EMAIL.finditer(text):
        start, end = match.span()
        while text[start] in "'.-%+":
            start += 1
        yield Span(start, end, 1.0)


def amounts(text: str) -> Iterator[Span]:
    """Figures with a currency; spelled-out ones; and bare figures, which need a word beside them that says what they are."""
    taken = Taken(text)
    for pattern, looks in ((AMOUNT, 1.0), (WORDED, 0.9)):
        for match in pattern.finditer(text):
            end = match.end() - (match[0].endswith(".") and not match[0].endswith(("Rs.", "Fr.")))
            if not taken.touches(match.start(), end):
                taken.take(match.start(), end)
                yield Span(match.start(), end, looks)
    for match in BARE_AMOUNT.finditer(text):
        if not taken.touches(*match.span()):
            yield Span(match.start(), match.end(), 0.35 if re.search(r"[.,]\d\d$", match[0]) else 0.15)


def dates(text: str) -> Iterator[Span]:
    """Dates in the forms people write them; a longer one hides those within it."""
    found: list[Span] = []
    for pattern, looks in DATES:
        for match in pattern.finditer(text):
            end = match.end() - (match[0].endswith(".") and match[0][-2:-1].isalpha())
            verb = match[0].startswith("may ")
            found.append(Span(match.start(), end, 0.7 if verb else looks))
    found.sort(key=lambda one: (one.start - one.end, one.start))
    kept, taken = [], Taken(text)
    for one in found:
        if not taken.touches(one.start, one.end):
            taken.take(one.start, one.end)
            kept.append(one)
    yield from sorted(kept)


def codes(text: str) -> Iterator[Span]:
    """Numbers of invoices, orders, customers: letters, digits and the signs between them."""
    covered = Taken(text)
    for one in [*dates(text), *(Span(*match.span(), 1.0) for pattern in (AMOUNT, EMAIL, URL, PERCENT, IBAN) for match in pattern.finditer(text))]:
        covered.take(one.start, one.end)
    for match in CODE.finditer(text):
        start, end = match.span()
        value = match[0]
        if value.startswith("#"):
            start, value = start + 1, value[1:]
        while value[-1:] in "./-":
            end, value = end - 1, value[:-1]
        if covered.touches(start, end):
            continue
        digits, letters = sum(sign.isdigit() for sign in value), sum(sign.isalpha() for sign in value)
        if re.fullmatch(r"\d+(?:st|nd|rd|th|am|pm|h|km|kg|g|m|cm|mm|l|ml|gb|mb|k|x|s|min)", value, re.I) or re.fullmatch(r"\d{1,2}[.:]\d\d", value):
            continue
        looks = 0.15 if digits < 3 and not letters else 0.5 if not letters else 0.75 if digits >= 2 else 0.4
        if letters and digits and re.match(r"(?:inv|rg|re|fa|bill|fakt|rech|si|in)[-_/.]?\d", value, re.I):
            looks = 0.9
        if not letters and digits > 5 and re.search(r"[-/_]", value):
            looks = 0.7
        if not letters and re.fullmatch(r"(?:19|20)\d\d", value):
            looks = 0.1
        yield Span(start, end, looks)
        spaced = _SPACED.match(text, max(0, start - 5)) if not letters else None
        if spaced is None and not letters:
            head = re.search(r"\b((?:INVC?|RE|RG|FA|BILL|SI|FV|RN|IN|No|[A-Z]{2,4}) )$", text[max(0, start - 6) : start])
            if head and head[1].strip() not in ("No", "THE", "FOR", "AND", "OF", "IS"):
                yield Span(start - len(head[1]), end, looks + 0.05)


def phones(text: str) -> Iterator[Span]:
    """Phone numbers."""
    covered = Taken(text)
    for one in dates(text):
        covered.take(one.start, one.end)
    for match in PHONE.finditer(text):
        digits = sum(sign.isdigit() for sign in match[0])
        if 6 <= digits <= 15 and not covered.touches(*match.span()):
            extra = match[0].endswith(")") and match[0].count(")") > match[0].count("(")
            yield Span(match.start(), match.end() - extra, 1.0 if match[0][0] in "+0(" else 0.6)


FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "email": emails,
    "amount": amounts,
    "date": dates,
    "relative": _each(RELATIVE, 0.6),
    "time": _each(TIME),
    "code": codes,
    "phone": phones,
    "iban": _each(IBAN),
    "url": _each(URL),
    "percent": _each(PERCENT),
    "number": _each(NUMBER, 0.6),
    "street": _each(STREET, 0.8),
}
"""By kind, what finds its spans in a text, in order."""
