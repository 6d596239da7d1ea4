"""Names of people: runs of capitalised words, and what stands around them that says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from homeport.skills.features import DO
from homeport.skills.patterns import EMAIL, MONTHS, Span, some
from homeport.skills.words import COMMON, COMPANY_ENDS, FIRST, PLACES, ROLES, STOP

_PARTICLE = (
    r"(?:van der|van den|van de|van|von der|von|de la|de los|de|del|della|der|den|da|dos|do|di|du|la|le|bin|ibn|al|el|ter|ten|zu|af|y|e|ní|nic|ó|mac|bint|abu)"
)
_WORD = r"(?:(?:O|D|L|N|M)['’])?[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]|['’](?=[^\W\d_]))*(?:-[^\W\d_]+)*"
_INITIAL = r"[^\W\d_a-z]\."
_NAME = re.compile(rf"(?<![\w@.-])(?:{_INITIAL} ?)*(?:(?<=\. ){_PARTICLE} )?{_WORD}(?:[ \u00a0](?:{_INITIAL} ?|St\. |{_PARTICLE} )*{_WORD}){{0,3}}(?![\w@])")
_LOWER = re.compile(
    r"\b(?:my name is|my name's|name's|name is|i am called|call me|i['’]m|i am|this is|it['’]s)\s+((?:[^\W\d_]{2,}(?:['’-][^\W\d_]+)?)(?: (?:van der |"
    r"van |de |von |al |el )?[^\W\d_]{2,}(?:['’-][^\W\d_]+)?){0,2})",
    re.I,
)
_SMALL = re.compile(r"(?<![\w@.'-])[^\W\d_A-Z]{3,}(?: (?:(?:van der|van|de|von|al|el|da) )?[^\W\d_A-Z]{3,}(?:[-'][^\W\d_]+)?){1,2}(?![\w@'])")
_ALSO_WORDS = frozenset(
    [
        "will",
        "mark",
        "may",
        "rose",
        "grace",
        "art",
        "jean",
        "pat",
        "rob",
        "sue",
        "guy",
        "bill",
        "frank",
        "dawn",
        "hope",
        "joy",
        "faith",
        "ray",
        "max",
        "daisy",
        "lily",
        "violet",
        "olive",
        "ivy",
        "iris",
        "amber",
        "drew",
        "grant",
        "rich",
        "miles",
        "mia",
        "sally",
    ]
)
_TITLE = re.compile(
    r"(?:\b(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|mme|mlle|monsieur|madame|m|herr|frau|herrn|señora?|sra?|signora?|sig|pan|pani|bay|rev|fr|"
    r"captain|doctor)\b\.? ?)+$",
    re.I,
)
_BEFORE: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"\b(?:my (?:full )?name(?: is|['’]s|:)|name['’]s|i am called|i['’]m called|call me|je m['’]appelle|me llamo|mi chiamo|ich heiße|ich heisse|mein "
        r"name ist|ik heet|mijn naam is|meu nome é|jag heter|nazywam się|soy|ich bin)\s*$", re.I), 0.75),
    (re.compile(r"\b(?:donor|employee|clerk|technician|landlord|landlady|agent|manager|colleague|passenger|traveller|student|pupil|teacher|doctor|lawyer|seller|"
        r"vendor|supplier contact|payer|driver|resident|participant|speaker|host|guests?|list|insured|policyholder|reporter|editor|judge|coach|captain|"
        r"player|winner|attn\.?|c/o|mit|für|von|an|cardholder)\"?[:.]? ?\"?\s*$", re.I), 0.4),
    (re.compile(r"\w\"?\s*[:|]\s*\"?$"), 0.15),
    (re.compile(r"<[\w ]*(?:name|customer|client|person|contact|sender)[^<>]*>\s*$", re.I), 0.7),
    (re.compile(r"\b(?:signed|received from|sold to|ordered by|paid by|payment from|booked by|written by|submitted by|requested by|sent by|ship(?:ped)? to|deliver "
        r"to|invoice for|in care of|account name|account holder|holder|payee|beneficiary|prepared for|prepared by|approved by|reported by|caller|assigned "
        r"to|attendee|participant|kundenname|empfänger)\s*:\s*$", re.I), 0.65),
    (re.compile(r"(?:^|[\n;|,.])\s*(?:full |customer |client |contact |guest |patient |tenant |member |account ?holder|buyer |billing |your )?(?:name|customer|"
        r"client|contact|contact person|sender|from|guest|patient|tenant|member|signed|attn|attention|bill(?:ed)? to|buyer|payer|debtor|applicant|"
        r"cardholder|kunde|kundin|nom|nombre|absender|ansprechpartner|issued to|invoice to|recipient|to|by|who|author|owner|holder|kontakt)(?: "
        r"name)?\s*(?:[:=–]|\t)\s*$", re.I), 0.7),
    (re.compile(r"\b(?:this is|it['’]s|it is|i['’]m|i am|here is|name of|in the name of|on the name of|under the name(?: of)?|signed(?: by)?,?|written by|speaking "
        r"with|regards to|account of|on behalf of|called|named)\s*$", re.I), 0.45),
    (re.compile(r"\b(?:regards|wishes|thanks|thank you|cheers|sincerely|best|yours|faithfully|greetings|love|grüße|grüßen|gruß|merci|saludos|cordialement|truly|"
        r"warmly|xx|ciao|respectfully|bye|thx|much appreciated|appreciate it|in advance)[ ,.!–-]*\n*\s*[-–—]*\s*$", re.I), 0.6),
    (re.compile(r"(?:^|\n)\s*(?:[-–—]+|~|/)\s*$"), 0.5),
    (re.compile(r"\b(?:is|was|meet|welcome)\s+$", re.I), 0.15),
    (re.compile(r"(?:^|\n)\s*(?:dear|hi|hello|hey|good (?:morning|afternoon|evening),?|liebe[rs]?|cher|chère|hallo|dzień dobry|estimad[oa])\s+$", re.I), 0.15),
    (re.compile(r"\b(?:from|by|for|with|to|told|ask|asked|tell|met|contact|client|customer|colleague|tenant|patient|neighbour|member|guest|of|and|paid by|sent by|"
        r"ordered by|owes|behalf|mail|call|reach|speak to|spoke to|spoke with|attention|c/o)\s+$", re.I), 0.2),
)  # fmt: skip
_AFTER: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"^\s*(?:<[^>\s]+@|\([^)\s]+@|[,;:|/–-]? ?(?:<|\()?[\w.+-]+@)"), 0.4),
    (re.compile(r"^\s+(?:here\b|speaking\b|from\b|at\b|of\b|again\b|writing\b)", re.I), 0.2),
    (re.compile(r"^['’]s\b"), 0.05),
    (
        re.compile(
            r"^,? (?:has|had|is|was|paid|pays|owes|wrote|writes|asks|asked|wants|wanted|sent|called|ordered|says|said|will|would|still|settled|"
            r"transferred|can be reached|booked|"
            r"bought|returned|needs|reports|confirmed|complained|requested|received|got|signed|earns|took|gave|lives|works|hat|a)\b"
        ),
        0.25,
    ),
    (
        re.compile(
            r"^,? (?:customer|account|tenant|member|client|manager|director|accountant|owner|head|flat|room|born|aged|CEO|CFO|sales|accounts|"
            r"collections|bookkeeping|treasurer|secretary|finance|office|your|our|administration|billing|purchasing|procurement|caretaker)\b",
            re.I,
        ),
        0.2,
    ),
    (re.compile(r"^\s*(?:\n|$|[,|;/]\s)"), 0.08),
)
NEVER = re.compile(
    rf"^(?:{MONTHS}(?! [^\W\d_])|(?:mon|tues|wednes|thurs|fri|satur|sun)day|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)\b", re.I
)
_FIELD = re.compile(r"^\s*[:=]")


def plain(text: str) -> str:
    """Lower case, accents off, letters and digits only."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text.lower().replace("ß", "ss").replace("ø", "o").replace("ł", "l")) if sign.isalnum())


def _risen(text: str) -> str:
    """A text in small letters (or only in large ones) with those words large that are not common ones; every word stays where it is."""

    def large(match: re.Match[str]) -> str:
        word = match[0]
        return word.lower() if word.lower() in COMMON or any(sign.isdigit() for sign in word) else word[:1].upper() + word[1:].lower()

    return re.sub(r"(?<![@\w.])[\w'’]+(?![\w]*@)", large, text)


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Capitalised runs, the titles and common words at their two ends cut off."""
    for match in _NAME.finditer(text):
        start, end = match.span()
        while True:
            words = text[start:end]
            first, _, rest = words.replace("\u00a0", " ").partition(" ")
            second = rest.split(" ")[0].lower()
            if (
                rest
                and first.lower() not in FIRST
                and (
                    first.lower().rstrip(".") in COMMON
                    or _TITLE.fullmatch(first + " ")
                    or first.lower() in ROLES
                    or (second in FIRST and first.lower() in DO and _starts(text, start))
                )
            ):
                start += len(first) + 1
            else:
                break
        while True:
            words = text[start:end]
            rest, _, last = words.replace("\u00a0", " ").rpartition(" ")
            if (
                rest
                and last.lower() in COMMON
                and last.lower() not in FIRST
                and not (rest.count(" ") == 0 and rest.lower() in FIRST and last.lower() not in STOP)
            ):
                end -= len(last) + 1
            else:
                break
        if text[start:end].endswith(("'s", "’s")):
            end -= 2
        while end > start and text[end - 1] in ".'’-":
            end -= 1
        if end > start:
            yield start, end


def _scored(text: str, start: int, end: int, locals_: Sequence[str]) -> float:
    value = text[start:end]
    words = [word for word in re.split(r"[ \u00a0]+", value) if not re.fullmatch(_INITIAL, word) and (word[:1].isupper() or not re.fullmatch(_PARTICLE, word))]
    low = [word.lower() for word in words]
    if NEVER.match(value) or not words or (_FIELD.match(text[end:]) and _starts(text, start)) or any(sign.isdigit() for sign in value):
        return 0.0
    before, after = text[max(0, start - 60) : start], text[end : end + 40]
    score = 0.0
    title = _TITLE.search(before)
    if title:
        score += 0.65
        before = before[: title.start()]
    score += max((worth for pattern, worth in _BEFORE if pattern.search(before)), default=0.0)
    score += max((worth for pattern, worth in _AFTER if pattern.search(after)), default=0.0)
    if low[0] in FIRST:
        score += 0.3
    if len(words) in (2, 3):
        score += 0.34
    elif len(value.split()) > len(words):
        score += 0.36
    if value.isupper() and len(value) < 5:
        score -= 0.3
    if len(words) > 1 and _starts(text, start) and re.match(r"\.?(?:\s|$)", after) and (not after.strip(" .") or re.match(r"\.?\s*\n|\. [^\Wa-z_]", after)):
        score += 0.15
    parts = [plain(word) for word in low if len(word) > 2]
    if any(part and part in local for local in locals_ for part in parts):
        score += 0.35
    return score - _doubts(text, start, end, low, after, titled=title is not None)


def _doubts(text: str, start: int, end: int, low: list[str], after: str, *, titled: bool) -> float:
    doubt = 0.0
    if low[-1].rstrip(".") in COMPANY_ENDS or re.match(r" (?:Ltd|Inc|GmbH|AG|LLC|Co|KG|SA|BV|Corp|&)\b", after) or text[max(0, start - 2) : start] == "& ":
        doubt += 0.7
    if any(word in PLACES for word in low) and not (len(low) > 1 and low[0] in FIRST):
        doubt += 0.5
    if len(low) == 1 and " " not in text[start:end] and (low[0] in COMMON or (_starts(text, start) and low[0] not in FIRST)) and not titled:
        doubt += 0.6
    elif low[0] in COMMON and low[0] not in FIRST:
        doubt += 0.35
    if sum(word in COMMON for word in low) == len(low):
        doubt += 0.3
    if re.search(r"\b(?:in|near|at|to) $", text[max(0, start - 6) : start]) and low[0] not in FIRST:
        doubt += 0.2
    return doubt


def _starts(text: str, at: int) -> bool:
    """Whether a sentence or a line begins there."""
    while at > 0 and text[at - 1] == " ":
        at -= 1
    return at == 0 or text[at - 1] in ".!?\n:–—>"


def names(text: str) -> list[Span]:
    """Runs that may be names, each with how sure that is; the likeliest first, in their order where they are alike."""
    locals_ = [plain(match[0].split("@")[0]) for match in EMAIL.finditer(text)][:50]
    found: dict[tuple[int, int], float] = {}
    flat = sum(sign.isupper() for sign in text) in (0, sum(sign.isalpha() for sign in text))
    risen = _risen(text) if flat else text
    if len(risen) == len(text):
        for start, end, _ in some([Span(start, end, 0.0) for start, end in _runs(risen)]):
            known = not flat or any(word.lower() in FIRST for word in text[start:end].split())
            found[start, end] = _scored(risen, start, end, locals_) - (0.0 if known else 0.35)
    for match in _SMALL.finditer(text[:20_000]):
        words = match[0].split()
        if words[0] in FIRST and words[0] not in _ALSO_WORDS and not any(word in COMMON for word in words[1:]):
            found.setdefault(match.span(), _scored(text, *match.span(), locals_) - 0.1)
    for match in _LOWER.finditer(text):
        start, end = match.span(1)
        words = text[start:end].lower().split()
        kept = next((at for at, word in enumerate(words) if word in COMMON and word not in FIRST), len(words))
        named = "name" in match[0][: start - match.start()].lower() or "call" in match[0][: start - match.start()].lower()
        value = " ".join(text[start:end].split(" ")[:kept])
        if value and value == value.lower() and (named or words[0] in FIRST):
            found.setdefault((start, start + len(value)), 0.85 if words[0] in FIRST else 0.6)
    if any(score >= 0.36 and " " in text[start:end] for (start, end), score in found.items()):
        found = {(start, end): score - (0.0 if " " in text[start:end] or score >= 0.6 else 0.15) for (start, end), score in found.items()}
    spans = [Span(start, end, min(score, 1.0)) for (start, end), score in found.items() if score > 0.05]
    return sorted(spans, key=lambda one: (-round(one.looks, 2), one.start))
