"""Fields of a text by patterns and cues: each with its value, a run of the text or None, and how sure that is."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from homeport.skills import fields, names
from homeport.skills.fields import AGAINST, CUES, LOOKS, Field
from homeport.skills.patterns import FINDERS, MONTHS, Span, bare, some
from homeport.skills.words import COMMON, COMPANY_ENDS, COUNTRIES, FIRST, PLACES

MOST = 200_000  # characters of a text that are looked at
SURE = 0.6  # from here on the decoder is not asked
_STRONG = {  # words that settle which of several values is meant
    "amount": re.compile(r"\b(?:grand total|total (?:amount|due|sum|price|to pay)?|amount (?:due|payable|owed|outstanding)|total|balance(?: due)?|to pay|outstanding|"
        r"gesamt(?:betrag)?|sum(?:me)?)\b", re.I),
    "date": re.compile(r"\b(?:due(?: date)?(?: on| by)?|payable by|pay(?:ment)? (?:is )?(?:due )?(?:by|until|on)|dated?|deadline)\b", re.I),
}  # fmt: skip
_PROPER = re.compile(r"[^\W\d_a-zß-öø-ÿ][\w'’&.-]*(?:[ \u00a0](?:(?:&|and|of|the|de|van|von|der|und|et|la|le|del)[ \u00a0])*[^\W\d_a-zß-öø-ÿ][\w'’&.-]*){0,4}")
_LINE_END = re.compile(r"\s*(?:[\n;|]|,\s|(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bSt)(?<!\bProf)(?<!\b[A-Z])\.\s|\.$|$|\s{2,}|\s[-–—/]\s|\s\()")


class Proposal(NamedTuple):
    """What a field is, as code sees it."""

    value: str | None
    sure: float  # from 0 to 1


class Text:
    """A text and what was found in it so far, by kind."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bare = bare(text)
        self._found: dict[str, list[Span]] = {}

    def spans(self, looks: str) -> list[Span]:
        """The spans of a finder, or those of names."""
        if looks not in self._found:
            self._found[looks] = names.names(self.bare) if looks == "name" else some(list(FINDERS[looks](self.bare)))
        return self._found[looks]


def extract(text: str, asked: Sequence[str]) -> dict[str, Proposal]:
    """A proposal for each field."""
    given, found = Text(text[:MOST]), {}
    taken: list[tuple[Span, str]] = []
    for name in asked:
        field = fields.field(name)
        best = _best(given, field, taken)
        found[name] = best[0]
        if best[1] is not None:
            taken.append((best[1], field.kind))
    return found


def _best(given: Text, field: Field, taken: Sequence[tuple[Span, str]]) -> tuple[Proposal, Span | None]:
    labelled = _labelled(given.bare, field)
    if field.kind == "name":
        return _name(given, labelled, field)
    looks = LOOKS.get(field.kind)
    if looks is None:
        return _other(given, field, labelled)
    if labelled is not None and labelled.looks > 0.9 and not field.default:
        inside = next((one for one in given.spans(looks) if labelled.start <= one.start < labelled.end), None)
        told = inside if inside is not None and looks not in ("code", "number", "street") else labelled
        return Proposal(told.of(given.text), 0.9), told
    scored = sorted(((_score(given.text, span, field, labelled), span) for span in given.spans(looks)), key=lambda one: (-round(one[0], 2), one[1].start))
    scored = [
        (score, span) for score, span in scored if not any(kind == field.kind and span.start < other.end and other.start < span.end for other, kind in taken)
    ]
    need = {"email": 0.3, "amount": 0.45, "date": 0.45, "code": 0.5}.get(looks, 0.45)
    if not scored or scored[0][0] < need:
        if labelled is not None and not field.default and looks not in ("email", "amount", "date"):
            return Proposal(labelled.of(given.text), 0.6), labelled
        top = scored[0][0] if scored else 0.0
        return Proposal(None, min(1.0, 0.95 - top)), None
    score, span = scored[0]
    if (
        field.kind == "street"
        and "address" in field.words
        and (more := re.match(r",? (?:\d{4,5} )?[A-ZÄÖÜ][\w-]+(?:, [A-Z][A-Za-z ]+)?(?=[.,;\n]|$)", given.text[span.end :]))
    ):
        span = span._replace(end=span.end + more.end())
    rival = max((other for other, one in scored[1:] if one.of(given.text) != span.of(given.text)), default=0.0)
    sure = min(1.0, 0.5 + (score - need)) * (1.0 if score - rival >= 0.15 else 0.8 if score - rival > 0.05 else 0.65)
    return Proposal(span.of(given.text), sure), span


@functools.lru_cache(maxsize=512)
def _label(name: str, words: tuple[str, ...]) -> re.Pattern[str]:
    """The field's own name in a text, with a sign behind it that says that its value follows."""
    said = re.escape(" ".join(re.split(r"[_\s]+", name.strip())))
    said = said.replace(r"\ ", r"[ _-]")
    spoken = "|".join(dict.fromkeys([said, *(re.escape(" ".join(words)).replace(r"\ ", r"[ _-]") for _ in (1,) if words)]))
    return re.compile(
        rf"(?<!\w)(?:{spoken})(?: (?:no|nr|number|num|id|code|#)\b\.?)?['\"*]{{0,2}}(?:\s*[:=]\s*|\t+\s*|\s+[-–—]\s+| (?:is|was|are|ist|est|es|were|"
        rf"will be|would be|equals)(?: now| currently| called)?:? (?:the )?|\s*\n\s*|(?=#))",
        re.I,
    )


def _labelled(text: str, field: Field) -> Span | None:
    """The value behind the field's own name, as in `colour: teal`."""
    for match in itertools.islice(_label(field.name, field.words).finditer(text), 12):
        found = _behind(text, match)
        if found is not None and (field.kind not in ("invoice", "order", "customer", "tracking") or any(sign.isdigit() for sign in found.of(text))):
            return found
    return None


def _behind(text: str, match: re.Match[str]) -> Span | None:
    """What stands behind a label, to the end of its line or clause."""
    start = match.end()
    while start < len(text) and text[start] in " \"'“‘*":
        start += 1
    end_match = _LINE_END.search(text, start)
    end = end_match.start() if end_match else len(text)
    stop = (
        re.search(r" (?:and|but|with|while|which|because|so|from|who|und|has|had)\b(?! [A-Z])", text[start:end]) if match[0].rstrip()[-1:] not in ":=" else None
    )
    end = start + stop.start() if stop else end
    while end > start and text[end - 1] in " \"'”’*.,;!?":
        end -= 1
    return Span(start, end, 0.95 if match[0].rstrip()[-1:] in ":=" else 0.9) if 0 < end - start <= 80 else None


def _near(pattern: str, text: str, start: int, reach: int = 28) -> int | None:
    """How many characters before a place such a word ends, on the same line; None where there is none."""
    window = text[max(0, start - reach) : start]
    window = window[window.rfind("\n\n") + 1 :]
    found = None
    for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", window, re.I):
        found = len(window) - match.end()
    return found


def _score(text: str, span: Span, field: Field, labelled: Span | None) -> float:
    kind = field.kind
    score = span.looks * {"code": 0.4, "number": 0.3, "street": 0.6}.get(LOOKS[kind], 0.6)
    before = text[max(0, span.start - 40) : span.start]
    cue = _near(CUES[kind], text, span.start) if kind in CUES else None
    against = _near(AGAINST[kind], text, span.start, 18) if kind in AGAINST else None
    if cue is not None:
        score += 0.4 if cue <= 3 else 0.3 if cue <= 12 else 0.12
    if (
        kind in ("invoice", "order", "customer", "tracking")
        and cue is not None
        and cue <= 6
        and re.search(r"(?:#|no\.?|nr\.?|number|n[°º]|id|ref\.?|code|:)\s*[:#]?\s*$", before, re.I)
    ):
        score += 0.15
    if (
        against is not None
        and (cue is None or against < cue)
        and (field.default or not set(field.words) & {"birth", "born", "order", "vat", "deposit", "tax", "discount"})
    ):
        score -= 0.45 if against <= 4 else 0.25
    strong = _STRONG.get(kind)
    if strong is not None and (match := list(strong.finditer(before))):
        score += 0.25 if len(before) - match[-1].end() <= 14 else 0.08
    if not field.default and field.words:
        hits = sum(_near(re.escape(word) + r"\w{0,3}", text, span.start, 40) is not None for word in field.words)
        score += 0.3 * hits / len(field.words)
        if re.search(rf"(?<!\w){re.escape(field.words[-1])}(?: (?:no\.?|nr\.?|number|id|code|of|is))?:? ?#?$", before, re.I):
            score += 0.4
    if labelled is not None and labelled.start <= span.start < labelled.end:
        score += 0.5
    if kind == "amount" and span.looks < 0.5 and (cue is None or cue > 6):
        score -= 0.2
    if LOOKS[kind] == "code" and span.looks >= 0.4:
        score += 0.2 if field.default or cue is not None else 0.0
    if kind == "quantity":
        behind = re.match(r" ?(?:x\b|[^\W\d_]{3,})", text[span.end :])
        score += 0.32 if behind and not re.fullmatch(MONTHS, behind[0].strip(), re.I) else 0.0
    if kind == "email" and re.match(r"(?:no-?reply|do-?not-?reply|mailer-daemon|postmaster)", span.of(text), re.I):
        score -= 0.2
    return score


def _name(given: Text, labelled: Span | None, field: Field) -> tuple[Proposal, Span | None]:
    text = given.text
    spans = given.spans("name")
    if labelled is not None and field.words and field.words != ("name",):
        inside = [one for one in spans if labelled.start <= one.start < labelled.end]
        chosen = inside[0] if inside else labelled if text[labelled.start].isupper() and labelled.end - labelled.start < 40 else None
        if chosen is not None:
            return Proposal(chosen.of(text), 0.85), chosen
    if not spans or spans[0].looks < 0.34:
        top = spans[0].looks if spans else 0.0
        return Proposal(None, 0.95 - 1.1 * top), None
    best = spans[0]
    if not field.default and field.words:
        close = [
            one for one in spans if one.looks >= 0.35 and any(_near(re.escape(word) + r"\w{0,2}", text, one.start, 30) is not None for word in field.words)
        ]
        best = close[0] if close else best
    rivals = [one for one in spans if one.of(text) not in best.of(text) and best.of(text) not in one.of(text)]
    gap = best.looks - max((one.looks for one in rivals), default=0.0)
    sure = min(1.0, best.looks + 0.1) * (1.0 if gap >= 0.2 else 0.75 if gap >= 0.05 else 0.6)
    return Proposal(best.of(text), sure), best


def _other(given: Text, field: Field, labelled: Span | None) -> tuple[Proposal, Span | None]:
    """A field whose values have no looks of their own: what stands behind its name; a company by its end, a town by a list."""
    text = given.text
    if labelled is not None:
        return Proposal(labelled.of(text), 0.7), labelled
    proper = [Span(*match.span(), 0.5) for match in _PROPER.finditer(text)] if field.kind in ("company", "city", "country") else []
    if field.kind == "company":
        for span in proper:
            words = span.of(text).lower().rstrip(".").split()
            if len(words) > 1 and (words[-1] in COMPANY_ENDS or "&" in words):
                start = span.start
                if " of " in span.of(text):
                    start += span.of(text).rindex(" of ") + 4
                    words = words[len(words) - words[::-1].index("of") :]
                while words[0] in COMMON and len(words) > 2:
                    start += len(words[0]) + 1
                    words = words[1:]
                full = text[span.end - 1] == "." and (text.rstrip()[span.end :] == "" or not re.search(r"(?:Ltd|Inc|Corp)\.$", span.of(text)))
                end = span.end - (full and not span.of(text).endswith("Co."))
                return Proposal(text[start:end], 0.65), Span(start, end, 0.6)
    if field.kind in ("city", "country"):
        for span in proper:
            for match in re.finditer(r"[\w'’-]+", span.of(text)):
                if match[0].lower() in (COUNTRIES if field.kind == "country" else PLACES - COUNTRIES):
                    start = span.start + match.start()
                    return Proposal(match[0], 0.6), Span(start, start + len(match[0]), 0.6)
        for match in re.finditer(r"\b(?:in|from|to|near|at) ([A-ZÄÖÜÉ][\w'’-]+)", text):
            low = match[1].lower()
            if low not in COMMON and low not in FIRST and not names.NEVER.match(match[1]):
                return Proposal(match[1], 0.4), Span(*match.span(1), 0.4)
    return Proposal(None, 0.3 if field.kind in ("product", "job", "company", "city", "country") or not field.kind else 0.5), None
