"""Fills the templates of the tasks: names, dates, amounts, numbers and words in the many ways people write them."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable

from grammar import DAYS, MONTHS, invented, lines, split

WORDS: dict[str, list[str]] = {head: split(rest, "|") for head, rest in (line.split(":", 1) for line in lines("words.txt"))}
Piece = str | tuple[str, ...] | list["Template"]
Template = list["Piece"]
_PARTS = re.compile(r"\{(\w+)(?:=([^{}]*))?\}|\(([^()]*/[^()]*)\)")
_ARTICLE = re.compile(r"(?:^|[\s(])[Aa] $")
_TITLED = ("Mr ", "Mrs ", "Ms ", "Dr ", "Herr ", "Frau ", "Doctor ", "General ", "Captain ")


def held(text: str, one_in: int = 10) -> bool:
    """Whether this phrase is kept out of training."""
    return zlib.crc32(text.encode()) % one_in == 0


def parsed(text: str) -> Template:
    """`text` as a list: plain text, ("slot", name), ("slot", name, choice, ...) or a list of templates to choose from."""
    found: Template = []
    at = 0
    for match in _PARTS.finditer(text):
        if match.start() > at:
            found.append(text[at : match.start()])
        if match[1]:
            found.append((match[1], *(match[2].split("/") if match[2] else ())))
        else:
            found.append([parsed(option) for option in match[3].split("/")])
        at = match.end()
    if at < len(text):
        found.append(text[at:])
    return found


_PARSED: dict[str, Template] = {}


def template(text: str) -> Template:
    """`parsed`, once for each text."""
    if text not in _PARSED:
        _PARSED[text] = parsed(text.replace("\\n", "\n"))
    return _PARSED[text]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _first(rng: random.Random) -> str:
    return _capital(invented(rng)) if rng.random() < 0.12 else rng.choice(WORDS["first"])


def _last(rng: random.Random) -> str:
    last = _capital(invented(rng)) if rng.random() < 0.22 else rng.choice(WORDS["last"])
    roll = rng.random()
    if roll < 0.05:
        return f"{last}-{rng.choice(WORDS['last'])}"
    if roll < 0.09:
        return f"{rng.choice(('van', 'de', 'von', 'da', 'van der', 'Mc', 'al', 'El', 'St.'))} {last}"
    return last


def _name(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.07:
        return f"{_first(rng)} {rng.choice('ABCDEFGHJKLMPRSTW')}. {_last(rng)}"
    if roll < 0.12:
        return f"{rng.choice('ABCDEFGHJKLMPRSTW')}. {_last(rng)}"
    if roll < 0.16:
        return f"{_first(rng)} {_first(rng)} {_last(rng)}"
    return f"{_first(rng)} {_last(rng)}"


def _plain(text: str) -> str:
    for a, b in (("ü", "ue"), ("ö", "o"), ("ó", "o"), ("ä", "ae"), ("'", ""), (" ", ""), (".", "")):
        text = text.replace(a, b)
    return text.lower()


def _host(rng: random.Random) -> str:
    if rng.random() < 0.55:
        return f"{invented(rng)}{rng.choice(('', '', '-' + invented(rng), '.' + invented(rng)))}.{rng.choice(('com', 'org', 'net', 'de', 'co.uk', 'eu', 'io', 'fr', 'it', 'example'))}"
    return rng.choice(WORDS["mailhost"])


def _email(rng: random.Random, name: str = "") -> str:
    parts = [_plain(part) for part in name.split() if len(part) > 2] if name and rng.random() < 0.65 else [_plain(_first(rng)), _plain(_last(rng))]
    first, last = parts[0] if parts else "info", parts[-1] if parts else "desk"
    local = rng.choice(
        (f"{first}.{last}", f"{first}.{last}", f"{first[0]}.{last}", f"{first}_{last}", first, last, f"{first}{rng.randint(1, 99)}", f"{last}{first[0]}")
        if rng.random() < 0.85
        else ("info", "office", "billing", "accounts", "hello", "mail", "contact", invented(rng), "sales+eu")
    )
    return f"{local}@{_host(rng)}"


def _figure(rng: random.Random) -> str:
    roll, value = rng.random(), rng.choice((rng.randint(1, 99), rng.randint(10, 999), rng.randint(100, 9999), rng.randint(1000, 250000)))
    cents = rng.choice((0, 50, 90, 95, 99, rng.randint(0, 99)))
    if roll < 0.3:
        return f"{value:,}" if rng.random() < 0.5 else str(value)
    if roll < 0.75:
        return f"{value:,}.{cents:02d}" if rng.random() < 0.6 else f"{value}.{cents:02d}"
    if roll < 0.93:
        return f"{value:,}".replace(",", ".") + f",{cents:02d}" if rng.random() < 0.5 else f"{value},{cents:02d}"
    return f"{value:,}".replace(",", " ")


def _amount(rng: random.Random) -> str:
    figure, roll = _figure(rng), rng.random()
    if roll < 0.34:
        return rng.choice("$$€€££¥") + figure
    if roll < 0.44:
        return f"{rng.choice(('€', 'EUR', 'USD', 'GBP', 'CHF', 'US$', 'Rs.', 'C$', 'A$'))} {figure}"
    if roll < 0.56:
        return f"{figure} {rng.choice('€€$£')}" if rng.random() < 0.7 else f"{figure}{rng.choice('€€$£')}"
    if roll < 0.80:
        return f"{figure} {rng.choice(('EUR', 'EUR', 'USD', 'GBP', 'CHF', 'SEK', 'NOK', 'DKK', 'PLN', 'CAD', 'INR', 'JPY'))}"
    return f"{figure} {rng.choice(('euros', 'euro', 'dollars', 'pounds', 'francs', 'kroner', 'crowns', 'yen', 'rupees', 'Euro'))}"


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28 + 2), rng.randint(1, 12), rng.randint(2019, 2029)
    long, short, ordinal = MONTHS[month - 1], MONTHS[month - 1][:3], _ordinal(day)
    forms = (
        *(f"{year}-{month:02d}-{day:02d}",) * 3,
        *(f"{day:02d}.{month:02d}.{year}", f"{day}.{month}.{year}", f"{day}.{month}.{year % 100}", f"{day}. {long} {year}"),
        *(f"{day:02d}/{month:02d}/{year}", f"{month:02d}/{day:02d}/{year}", f"{month}/{day}/{year}", f"{day}/{month}/{year % 100:02d}"),
        *(f"{day} {long} {year}", f"{day} {long}", f"{long} {day}, {year}", f"{long} {day}", f"{short} {day}, {year}", f"{day} {short} {year}"),
        *(
            f"{ordinal} {long}",
            f"{long} {ordinal}",
            f"{ordinal} of {long}",
            f"{long} {ordinal}, {year}",
            f"{ordinal} {long} {year}",
            f"the {ordinal} of {long}",
        ),
        *(f"{day:02d}-{month:02d}-{year}", f"{day:02d}-{short}-{year}", f"{year}/{month:02d}/{day:02d}", f"{short} {day}", f"{day} {short}"),
    )
    return rng.choice(forms).removeprefix("the ")


def _time(rng: random.Random) -> str:
    hour, minute = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    forms = (
        f"{hour:02d}:{minute:02d}",
        f"{hour}:{minute:02d}",
        f"{hour % 12 + 1} {rng.choice(('am', 'pm', 'a.m.', 'p.m.'))}",
        f"{hour % 12 + 1}:{minute:02d} {rng.choice(('am', 'pm'))}",
    )
    return rng.choice((*forms, f"{hour % 12 + 1}{rng.choice(('am', 'pm'))}", f"{hour} o'clock" if hour else "midnight", f"{hour}.{minute:02d}"))


def _digits(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def _phone(rng: random.Random) -> str:
    d = lambda n: _digits(rng, n, n)  # noqa: E731
    return rng.choice((f"+{rng.randint(1, 99)} {d(3)} {d(4)}", f"+44 20 {d(4)} {d(4)}", f"0{d(3)}-{d(6)}", f"({d(3)}) {d(3)}-{d(4)}", f"0{d(2)} {d(3)} {d(2)} {d(2)}", f"0{d(4)}/{d(5)}", f"+49 {d(3)} {d(7)}", f"555-{d(4)}"))  # fmt: skip


def _invoice(rng: random.Random) -> str:
    year, n = rng.randint(2019, 2029), _digits(rng, 2, 6)
    letters = rng.choice(("INV", "INV", "INV", "RE", "R", "F", "FA", "IN", "BILL", "RG", "A", "INVC", "SI", "No", "X", _letters(rng, 2), _letters(rng, 3)))
    forms = (f"{letters}-{n}", f"{letters}-{year}-{n}", f"{letters}{year}{n}", f"{letters}{n}", f"{year}-{n}", f"{year}/{n}", f"{letters}/{year}/{n}", f"{letters}-{n}-{rng.choice('ABCDX')}", _digits(rng, 4, 9), f"{letters}_{n}", f"{letters}.{n}", f"{letters} {n}")  # fmt: skip
    return rng.choice(forms)


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def _code(rng: random.Random) -> str:
    return rng.choice((f"{_letters(rng, 2)}{_digits(rng, 2, 4)}", f"{_letters(rng, 1)}-{_digits(rng, 2, 3)}", f"{_letters(rng, 1)}{_digits(rng, 1, 3)}", f"{_digits(rng, 2, 3)}{_letters(rng, 1)}", f"{_letters(rng, 3)}-{_digits(rng, 3, 5)}"))  # fmt: skip


def _order(rng: random.Random) -> str:
    return rng.choice((f"#{_digits(rng, 4, 6)}", _digits(rng, 5, 8), f"ORD-{_digits(rng, 4, 6)}", f"{_letters(rng, 2)}{_digits(rng, 4, 6)}", f"{_letters(rng, 6)}", f"O-{_digits(rng, 3, 5)}", f"{_digits(rng, 3, 3)}-{_digits(rng, 7, 7)}"))  # fmt: skip


def _company(rng: random.Random) -> str:
    known = rng.choice(WORDS["companyname"]) if rng.random() < 0.6 else _capital(invented(rng)) + rng.choice(("", " " + _capital(invented(rng)), " " + rng.choice(("Tools", "Foods", "Bau", "Media", "Energy", "Clinic"))))  # fmt: skip
    return known + (f" {rng.choice(WORDS['companyend'])}" if rng.random() < 0.4 else "")


def _among(name: str) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(WORDS[name])


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "name": _name, "first": _first, "last": _last, "amount": _amount, "date": _date, "time": _time, "phone": _phone, "invoice": _invoice,
    "email": _email, "order": _order, "code": _code, "company": _company, "town": _among("town"), "country": _among("country"), "job": _among("job"),
    "animal": _among("animal"), "lang": _among("lang"), "plantn": _among("plantn"), "colour": _among("colour"), "food": _among("food"), "product": _among("product"),
    "thing": lambda rng: rng.choice(WORDS["thing"]) if rng.random() < 0.9 else invented(rng),
    "word": lambda rng: _capital(invented(rng)), "city": lambda rng: (f"{_digits(rng, 4, 5)} " if rng.random() < 0.25 else "") + rng.choice(WORDS["town"]),
    "street": lambda rng: rng.choice(WORDS["streetname"]) if rng.random() < 0.5 else f"{rng.choice(WORDS['streetname'])} {rng.randint(1, 180)}",
    "month": lambda rng: rng.choice(MONTHS), "day": lambda rng: rng.choice(DAYS), "year": lambda rng: str(rng.randint(1620, 2026)),
    "small": lambda rng: str(rng.randint(2, 30)) if rng.random() < 0.8 else rng.choice(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")),
    "num": lambda rng: str(rng.randint(11, 990)), "digits": lambda rng: _digits(rng, 3, 7), "customer": lambda rng: rng.choice((_digits(rng, 4, 8), f"K-{_digits(rng, 4, 6)}", f"C{_digits(rng, 5, 6)}")),
    "quantity": lambda rng: str(rng.randint(1, 60)), "url": lambda rng: rng.choice(("www.", "https://", "")) + _host(rng), "domain": _host,
    "iban": lambda rng: rng.choice((f"DE{_digits(rng, 2, 2)} {_digits(rng, 4, 4)} {_digits(rng, 4, 4)} {_digits(rng, 4, 4)} {_digits(rng, 4, 4)} {_digits(rng, 2, 2)}", f"{_letters(rng, 2)}{_digits(rng, 18, 20)}")),
    "tracking": lambda rng: rng.choice((f"{_letters(rng, 2)}{_digits(rng, 9, 9)}{_letters(rng, 2)}", f"1Z{_digits(rng, 10, 12)}", _digits(rng, 12, 14))),
    "percent": lambda rng: f"{rng.randint(1, 75)}{rng.choice(('%', ' %', ' percent'))}", "seat": lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}",
    "room": lambda rng: rng.choice((str(rng.randint(1, 450)), f"{rng.choice('ABCD')}{rng.randint(1, 30)}", f"{rng.randint(1, 5)}.{rng.randint(10, 40)}")),
    "place": lambda rng: rng.choice(("on the roof", "under the stairs", "behind the stove", "in the cellar", "in the hall", "next to the door", "on the top shelf", "in the garden", "under the bed", "in the blue box", "at the station", "on the piano", "in the boat", "by the gate", "in room 4", "on the window sill")),
}  # fmt: skip
KINDS = frozenset(_MAKERS)


def made(kind: str, rng: random.Random) -> str:
    """A value of a kind, as `amount` or `town`."""
    return _MAKERS[kind](rng)


def _value(slot: str, rng: random.Random, bound: dict[str, str], before: str) -> str:
    kind = slot.rstrip("_0123456789") if slot not in _MAKERS else slot
    if kind == "first_name":
        return bound.get("name", _first(rng)).split()[0]
    if kind in ("name", "last") and before.endswith(_TITLED):
        return _last(rng) if kind == "last" or rng.random() < 0.6 else _name(rng)
    if kind == "email":
        return _email(rng, bound.get("name", ""))
    value = _MAKERS[kind](rng)
    for _ in range(20):
        if value not in bound.values():
            break
        value = _MAKERS[kind](rng)
    return value


def fill(text: str, rng: random.Random, bound: dict[str, str] | None = None) -> str:
    """`text` with choices made and slots filled; `bound` keeps each slot's value under its name."""
    words: dict[str, str] = {} if bound is None else bound
    out: list[str] = []

    def walk(parts: Template) -> None:
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, list):
                walk(rng.choice(part))  # type: ignore[arg-type]
            else:
                slot = part[0]
                if slot not in words:
                    words[slot] = rng.choice(part[1:]) if len(part) > 1 else _value(slot, rng, words, out[-1] if out else "")
                    if slot.rstrip("0123456789") == "name":
                        words.setdefault(slot.replace("name", "first"), words[slot].split()[0])
                if words[slot][:1] in "aeiou" and out and _ARTICLE.search(out[-1]):
                    out[-1] = out[-1][:-1] + "n "
                out.append(words[slot])

    walk(template(text))
    return "".join(out)
