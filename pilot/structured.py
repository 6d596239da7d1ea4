"""JSON answers of the corpus: compact objects under common field names, wrapped replies, labels and copied values."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from grammar import SLOTS, filled, invented, typed

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
Exchange = tuple[str, str]


def _slot(*names: str) -> Callable[[random.Random], Any]:
    return lambda rng: filled(rng.choice(names), rng)


def _number(low: int, high: int) -> Callable[[random.Random], Any]:
    return lambda rng: rng.randint(low, high)


def _amount(rng: random.Random) -> float:
    return rng.choice((rng.randint(1, 99) + 0.5, float(rng.randint(1, 200)), rng.randint(100, 9999) / 100))


def _share(rng: random.Random) -> float:
    return rng.choice((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0))


def _flag(rng: random.Random) -> bool:
    return rng.random() < 0.6


def _several(*names: str) -> Callable[[random.Random], Any]:
    return lambda rng: [filled(rng.choice(names), rng) for _ in range(rng.choice((1, 2, 2, 3, 3, 4)))]


def _date(rng: random.Random) -> str:
    return f"{rng.randint(2020, 2027)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _code(rng: random.Random) -> str:
    return rng.choice(("INV-", "R-", "A", "NO-", "")) + str(rng.randint(100, 99999))


_SENTENCES = (
    "The sea is calm and the wind is light.",
    "All is well on board.",
    "The ship leaves on {day}.",
    "{name} will come on {day}.",
    "The harbour of {town} is quiet.",
    "Thank you for your message.",
    "The parcel will arrive on {day}.",
    "This is a short note.",
    "The weather is {weather} today.",
    "I am the small pilot model.",
    "Please write to us.",
    "The {adjective} {thing} is on the table.",
    "The question is simple.",
    "It is a good day for a walk.",
)
_TEXT = _slot(*_SENTENCES)
_STEPS = _several(
    "Boil the water.", "Open the door.", "Check the weather.", "Write a list.", "Call {name}.", "Buy {food}.", "Rest for five minutes.", "Close the box."
)
_WORDS = _several("{thing}", "{colour}", "{animal}", "{fruit}", "sea", "ship", "harbour", "wind", "work", "travel", "food", "weather")
_TITLE = _slot(
    "A Day at Sea", "The Old {thing}", "Meeting on {day}", "A Letter from {town}", "The {ship}", "A Short Note", "{town} in {month}", "Our Plan for {month}"
)

_INNER: dict[str, Callable[[random.Random], Any]] = {
    "name": _slot("{name}", "{name}", "{name} {surname}"),
    "first_name": _slot("{name}"),
    "last_name": _slot("{surname}"),
    "firstName": _slot("{name}"),
    "lastName": _slot("{surname}"),
    "full_name": _slot("{name} {surname}"),
    "age": _number(5, 90),
    "city": _slot("{town}"),
    "town": _slot("{town}"),
    "country": _slot("{country}"),
    "capital": _slot("{town}"),
    "email": _slot("{email}"),
    "phone": lambda rng: f"+44 {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
    "street": _slot("{street}"),
    "job": _slot("{job}"),
    "occupation": _slot("{job}"),
    "profession": _slot("{job}"),
    "price": _amount,
    "amount": _amount,
    "total": _amount,
    "cost": _amount,
    "currency": _slot("EUR", "USD", "GBP"),
    "quantity": _number(1, 12),
    "count": _number(0, 20),
    "number": _number(1, 100),
    "id": _number(1, 999),
    "year": _number(1950, 2027),
    "month": _slot("{month}"),
    "day": _slot("{day}"),
    "date": _date,
    "due_date": _date,
    "time": lambda rng: f"{rng.randint(6, 22):02d}:{rng.choice(('00', '15', '30', '45'))}",
    "colour": _slot("{colour}"),
    "color": _slot("{colour}"),
    "size": _slot("small", "medium", "large"),
    "weight": _number(1, 80),
    "height": _number(10, 200),
    "length": _number(5, 300),
    "width": _number(2, 60),
    "title": _TITLE,
    "subject": _TITLE,
    "heading": _TITLE,
    "body": _TEXT,
    "summary": _TEXT,
    "description": _TEXT,
    "comment": _TEXT,
    "note": _TEXT,
    "sentence": _TEXT,
    "explanation": _TEXT,
    "reason": _TEXT,
    "message": _TEXT,
    "text": _TEXT,
    "content": _TEXT,
    "thought": _TEXT,
    "reasoning": _TEXT,
    "question": _slot("How are you?", "Where is my parcel?", "What is the weather like?", "Who is {name}?", "When does the ship leave?"),
    "word": _slot("{thing}", "sea", "harbour"),
    "label": _slot("question", "request", "complaint", "other"),
    "intent": _slot("question", "request", "complaint", "other"),
    "category": _slot("food", "travel", "work", "weather", "ships"),
    "type": _slot("ship", "text", "person", "question"),
    "kind": _slot("ship", "text", "person"),
    "topic": _slot("ships", "weather", "food", "travel"),
    "sentiment": _slot("positive", "neutral", "negative"),
    "priority": _slot("low", "medium", "high"),
    "status": _slot("open", "done", "ok", "closed", "ready"),
    "language": _slot("English"),
    "tone": _slot("friendly", "firm", "urgent"),
    "unit": _slot("metres", "degrees", "kilograms", "hours"),
    "score": _share,
    "confidence": _share,
    "probability": _share,
    "rating": _number(1, 5),
    "temperature": _number(-5, 32),
    "ok": _flag,
    "valid": _flag,
    "done": _flag,
    "active": _flag,
    "available": _flag,
    "success": _flag,
    "is_question": _flag,
    "happy": _flag,
    "urgent": _flag,
    "true": _flag,
    "tags": _WORDS,
    "keywords": _WORDS,
    "items": _WORDS,
    "words": _WORDS,
    "list": _WORDS,
    "colours": _several("{colour}"),
    "colors": _several("{colour}"),
    "animals": _several("{animal}"),
    "fruits": _several("{fruit}"),
    "names": _several("{name}"),
    "friends": _several("{name}"),
    "cities": _several("{town}"),
    "days": _several("{day}"),
    "ingredients": _several("{food}", "salt", "{fruit}", "water"),
    "hobbies": _several("reading", "sailing", "cooking", "music", "chess", "fishing"),
    "skills": _several("reading", "sailing", "cooking", "writing"),
    "steps": _STEPS,
    "tasks": _STEPS,
    "sentences": lambda rng: [_TEXT(rng) for _ in range(rng.choice((1, 2, 3)))],
    "numbers": lambda rng: [rng.randint(0, 20) for _ in range(rng.choice((1, 2, 3, 4)))],
    "animal": _slot("{animal}"),
    "pet": _slot("{pet}"),
    "fruit": _slot("{fruit}"),
    "food": _slot("{food}"),
    "dish": _slot("{food}"),
    "product": _slot("{thing}"),
    "item": _slot("{thing}"),
    "object": _slot("{thing}"),
    "company": _slot("{company}"),
    "customer": _slot("{name} {surname}"),
    "client": _slot("{name} {surname}"),
    "author": _slot("{name} {surname}"),
    "captain": _slot("{name} {surname}"),
    "sender": _slot("{name}"),
    "recipient": _slot("{name}"),
    "invoice": _code,
    "order": _code,
    "order_id": _code,
    "code": _code,
    "ship": _slot("{ship}"),
    "harbour": _slot("{town}"),
    "port": _slot("{town}"),
    "destination": _slot("{town}"),
    "origin": _slot("{town}"),
    "location": _slot("{town}"),
    "place": _slot("{town}"),
    "weather": _slot("{weather}"),
    "wind": _slot("light", "fresh", "strong"),
    "speed": _number(2, 30),
    "greeting": _slot("Hello!", "Hello {name}!", "Ahoy!"),
    "units": _slot("celsius", "metric"),
    "query": _slot("{town}", "ships", "weather in {town}"),
    "expression": lambda rng: f"{rng.randint(1, 9)} + {rng.randint(1, 9)}",
}
_REPLY = ("answer", "answer", "reply", "response", "text", "message", "content", "result", "output", "value", "joke", "story")
_PEOPLE = ("name", "age", "city", "job", "email", "phone", "hobbies", "country", "last_name", "happy")


def _value(key: str, rng: random.Random) -> Any:
    if key == "address":
        return {"street": f"{filled('{street}', rng)} {rng.randint(1, 99)}", "city": filled("{town}", rng)}
    if key in ("person", "user", "author_info"):
        return {"name": filled("{name}", rng), "age": rng.randint(5, 90)}
    if key in ("people", "persons", "users"):
        return [{"name": filled("{name}", rng), "age": rng.randint(5, 90)} for _ in range(rng.choice((1, 2, 3)))]
    return _INNER[key](rng)


_KEYS = [*_INNER, "address", "person", "user", "people", "persons", "users"]


def _packed(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _object(rng: random.Random) -> tuple[list[str], dict[str, Any]]:
    if rng.random() < 0.3:
        keys = [key for key in _PEOPLE if rng.random() < 0.4] or ["name"]
    else:
        keys = rng.sample(_KEYS, rng.choice((1, 1, 2, 2, 3, 3, 4, 5)))
    return keys, {key: None if rng.random() < 0.03 else _value(key, rng) for key in keys}


_ASK = (
    "give me a JSON object with {k}",
    "reply in JSON with {k}",
    "answer as JSON with the fields {k}",
    "make a JSON with {k}",
    "return JSON: {k}",
    "generate an example with {k} as JSON",
    "create a person with {k} in JSON",
    "write JSON with the keys {k}",
    "json with {k} please",
    "invent a record with {k} and answer in JSON",
    "fill in {k} as JSON",
)


def asked_for(rng: random.Random) -> tuple[str, str, str]:
    """Somebody names the fields and gets them."""
    keys, made = _object(rng)
    named = ", ".join(keys[:-1]) + (" and " if len(keys) > 1 else "") + keys[-1]
    return typed(rng.choice(_ASK).format(k=named), rng, exact=True), _packed(made), "all"


def forced(rng: random.Random, exchange: Callable[[random.Random], Exchange]) -> tuple[str, str, str]:
    """A grammar forces JSON after any question: its first token is not learned, the rest is."""
    asked, reply = exchange(rng)
    style = rng.random()
    if style < 0.45:
        made: dict[str, Any] = {rng.choice(_REPLY): reply}
        if rng.random() < 0.4:
            _, more = _object(rng)
            made.update(more)
        return asked, _packed(made), "rest"
    if style < 0.9:
        return asked, _packed(_object(rng)[1]), "rest"
    return asked, _packed(rng.choice((reply, rng.choice(("question", "request", "complaint", "other")), [reply], _WORDS(rng)))), "rest"


_FACTS = (
    "my name is {name} {surname} and my e-mail is {email}",
    "{name} {surname} wrote from {email}",
    "invoice {inv} over {amt} is due on {date}",
    "i am {name}, i paid {amt} on {date}",
    "please send invoice {inv} to {email}",
    "{name} {surname} owes {amt} for invoice {inv}",
    "this is {name} {surname} from {company}",
    "call {name} in {town} about {inv}",
)


def extracted(rng: random.Random) -> tuple[str, str, str]:
    """Values that stand in the question, copied out of it."""
    names = {
        "name": f"{rng.choice(SLOTS['name'])} {rng.choice(SLOTS['surname'])}",
        "email": rng.choice(SLOTS["email"]),
        "inv": _code(rng),
        "town": rng.choice(SLOTS["town"]),
    }
    if rng.random() < 0.5:
        names["email"] = f"{invented(rng)}@{invented(rng)}.{rng.choice(('com', 'org', 'net'))}"
    names["amt"] = f"{_amount(rng):.2f} {rng.choice(('EUR', 'USD', 'euros', 'dollars'))}"
    names["date"] = rng.choice((_date(rng), f"{rng.randint(1, 28)} {rng.choice(SLOTS['month'])}"))
    frame = rng.choice(_FACTS)
    text = frame.replace("{name} {surname}", names["name"]).replace("{name}", names["name"].split()[0]).replace("{company}", rng.choice(SLOTS["company"]))
    for slot in ("email", "inv", "amt", "date", "town"):
        text = text.replace("{" + slot + "}", names[slot])
    real = {"name": "name", "email": "email", "amount": "amt", "date": "date", "invoice": "inv", "city": "town"}
    keys = rng.sample(list(real), rng.choice((1, 2, 3, 5)))
    made: dict[str, str | None] = {}
    for key in keys:
        value = names[real[key]]
        value = value.split()[0] if key == "name" and value not in text else value
        made[key] = value if value in text else None
    asked = rng.choice(("extract {k}: ", "find {k} in this text: ", "extract {k} as JSON from: ", "which {k} does the text name? ", "")).format(
        k=", ".join(keys)
    )
    return asked[:1].upper() + asked[1:] + text[:1].upper() + text[1:] + rng.choice((".", "")), _packed(made), "rest" if not asked else "all"


def exchange(rng: random.Random, plain: Callable[[random.Random], Exchange]) -> tuple[str, str, str]:
    """One question with a JSON answer: (asked, JSON, "all" or "rest")."""
    style = rng.random()
    if style < 0.28:
        return asked_for(rng)
    if style < 0.8:
        return forced(rng, plain)
    return extracted(rng)
