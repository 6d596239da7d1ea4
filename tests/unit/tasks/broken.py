"""A corpus of broken replies: what a model said, the type that was asked for, and what it meant where that can be told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from homeport.tasks.quote import Quote

INPUT = 'Hi, this is Anna Berg (anna@berg.example). I paid €1.250,00 on 2 May for "RG-17"; see you in München 🙂\nBest, Anna'


class Person(Struct):
    name: str
    age: int


class Values(Struct):
    name: Quote | None
    email: Quote | None
    amount: Quote | None


class Letter(Struct):
    subject: str
    body: str


class Order(Struct):
    id: int
    lines: list[Person]
    paid: bool
    note: str | None = None


Label = Literal["question", "request", "complaint", "other"]

WHOLE: list[tuple[Any, Any]] = [  # ten objects of several types, each meant as it stands
    (Person, {"name": "Ann", "age": 41}),
    (Person, {"name": 'Ann "the {bold}" Lee, [jr.]', "age": -7}),
    (Person, {"name": "Zoë 🙂 \\ 日本", "age": 0}),
    (Values, {"name": "Anna Berg", "email": "anna@berg.example", "amount": None}),
    (Values, {"name": None, "email": None, "amount": "€1.250,00"}),
    (Letter, {"subject": "Invoice", "body": "Dear {clientName},\n\nplease pay {amount}.\n\nBest"}),
    (Letter, {"subject": "</think>", "body": "```json\n{}\n``` <think> not thought"}),
    (Order, {"id": 17, "lines": [{"name": "a", "age": 1}, {"name": "b", "age": 2}], "paid": True, "note": None}),
    (Order, {"id": 18, "lines": [], "paid": False, "note": "it's, well: fine"}),
    (list[Person], [{"name": "a", "age": 1}, {"name": "b", "age": 2}]),
]


@dataclass(frozen=True)
class Broken:
    """One reply. `meant`: the value it says; None where only a failure is honest."""

    group: str
    type: Any
    text: str
    meant: Any = None


def corpus() -> list[Broken]:
    """All of them, in groups."""
    return [*_wrapped(), *_thought(), *_truncated(), *_nearly(), *_several(), *_wrong(), *_unicode(), *_words()]


def _wrapped() -> list[Broken]:
    ways = [
        "```json\n{}\n```",
        "```\n{}\n```",
        "Here it is:\n\n```JSON\n{}\n```\n\nLet me know if you need more!",
        "~~~\n{}\n~~~",
        "```json\n{}",
        "Sure! The answer is {} and nothing else.",
        "{}\n\nI hope this helps [1].",
        "\ufeff  {}  \n\n",
        "Answer [see note]: {}",
        "As I said:\n{}\nOnce more:\n{}",
    ]
    found = []
    for type_, value in WHOLE:
        for way in ways:
            group = "fences" if "```" in way or "~~~" in way else "prose"
            said = None if isinstance(value, list) and "[" in way else value  # two lists: which was meant is not ours to guess
            found.append(Broken(group, type_, way.replace("{}", json.dumps(value, ensure_ascii=False)), said))
        found.append(Broken("fences", type_, json.dumps(json.dumps(value)), value))
        found.append(Broken("fences", type_, "```json\n" + json.dumps(value, indent=2) + "\n```", value))
    return found


def _thought() -> list[Broken]:
    found = []
    for type_, value in WHOLE:
        said = json.dumps(value)
        draft = json.dumps({"name": "draft", "age": 1})
        found += [
            Broken("thought", type_, f"<think>They want JSON.</think>\n{said}", value),
            Broken("thought", type_, f"<think>Maybe {draft}? No.</think>{said}", value),
            Broken("thought", type_, f"Maybe it is a name…\n</think>\n\n{said}", value),
            Broken("thought", type_, f"<think>\none\n</think>\n<think>two</think>\n```json\n{said}\n```", value),
            Broken("thought", type_, f"<think>I would say {said}"),
            Broken("thought", type_, f"<think>{said}</think>"),
        ]
    return found


def _truncated() -> list[Broken]:
    found = []
    for type_, value in WHOLE:
        said = json.dumps(value, ensure_ascii=False).encode()
        for end in range(len(said)):
            text = said[:end].decode(errors="replace")
            only_braces = not said[end:].strip(b"} ") and not isinstance(value, list)
            meant = value if only_braces and not text[-1:].isdigit() else None
            found.append(Broken("truncated", type_, text, meant))
    return found


def _nearly() -> list[Broken]:
    person, order = {"name": "Ann", "age": 41}, {"id": 1, "lines": [{"name": "a", "age": 1}], "paid": True, "note": None}
    good = [
        (Person, "{'name': 'Ann', 'age': 41}", person),
        (Person, '{"name": "Ann", "age": 41,}', person),
        (Person, '{name: "Ann", age: 41}', person),
        (Person, '{"name": "Ann" "age": 41}', person),
        (Person, "{“name”: “Ann”, “age”: 41}", person),
        (Person, 'Sure: {"name": "Ann", "age": 41,} Done.', person),
        (Person, '```json\n{\n  "name": "Ann",\n  "age": 41,\n}\n```', person),
        (Order, "{'id': 1, 'lines': [{'name': 'a', 'age': 1}], 'paid': True, 'note': None}", order),
        (Order, '{"id": 1, "lines": [{"name": "a", "age": 1},], "paid": true, "note": null,}', order),
        (Letter, '{"subject": "Hi", "body": "one\ntwo\n\tthree"}', {"subject": "Hi", "body": "one\ntwo\n\tthree"}),
        (list[str], "['a', 'b']", ["a", "b"]),
        (list[str], """["it's", 'fine']""", ["it's", "fine"]),
        (list[str], r"['it\'s', 'say \"x\"']", ["it's", 'say "x"']),
        (list[str], "['one, two', 'three']", ["one, two", "three"]),
        (list[float], "[1250.0, 3.50,]", [1250.0, 3.5]),
    ]
    bad = [
        (Person, '{"name": "Ann", "age": }'),
        (Person, '{"name": , "age": 41}'),
        (Person, '{"name": "Ann", "age": 41, // years\n}'),
        (Person, '{"name": "Ann, "age": 41}'),
        (Person, '{"name": "Ann", "name": "Bea", "age": 41}'),
        (Person, "{'name': 'Ann', 'name': 'Bea', 'age': 41}"),
        (Person, '{"name": "Ann", ...}'),
        (Letter, '{"subject": "Hi", "body": "Dear Ann, I …}'),
        (Letter, '{"subject": "Hi", "body":}'),
        (Order, '{"id": 1, "lines": [{"name": "a", "age": 1}, ...], "paid": true, "note": null}'),
        (list[str], "['it's', 'fine']"),
        (list[str], "['it's', 'that's']"),
        (list[str], "['a', 'b's', 'c']"),
        (list[str], "['the dogs' bones', 'x']"),
        (list[str], '["a "b", c" d"]'),
        (list[str], '["x" "y"]'),
        (list[str], "['a', , 'b']"),
        (list[str], '["a": "b",]'),
        (list[str], "[don't, can't]"),
        (list[str], "[red, green]"),
        (list[str], "['1',a,'', 'b']"),
        (list[str], "['a [ ', 'b']"),
        (list[str], "['a ['b', 'c']"),
        (list[str | None], "[None, 'a ['b']"),
        (list[float], "[1,250, 3,]"),
        (list[float], "[1,5, 2.5,]"),
        (list[float], "[1 250, 3,]"),
        (Letter, "{'subject': 'O'Brien, it's', 'body': 'Rome'}"),
        (Letter, "{'subject': 'rock 'n', roll', 'body': 'Rome'}"),
        (Letter, '{"subject": "a""body": "b"}'),
        (Letter, "{'subject': nil, 'body': 'Rome'}"),
    ]
    return [Broken("nearly JSON", *case) for case in good] + [Broken("nearly JSON", *case) for case in bad]


def _several() -> list[Broken]:
    one, two = '{"name": "Ann", "age": 41}', '{"name": "Bea", "age": 41}'
    same = '{ "age": 41, "name": "Ann" }'
    texts = [
        f"{one}\n{two}",
        f"{one}{two}",
        f"```json\n{one}\n```\nor\n```json\n{two}\n```",
        f"Either {one} or {two}.",
        f"[{one}, {two}]",
        f"First {one}, no: {two[:-4]}",
    ]
    kept = [f"{one}\n{same}", f"```json\n{one}\n```\n\n{same}", f"{one} {one} {one}"]
    return [Broken("two objects", Person, text) for text in texts] + [Broken("two objects", Person, text, json.loads(one)) for text in kept]


def _wrong() -> list[Broken]:
    cases: list[tuple[Any, str]] = [
        (Person, '{"name": "Ann", "age": "41"}'),
        (Person, '{"name": "Ann", "age": 41.5}'),
        (Person, '{"name": "Ann", "age": true}'),
        (Person, '{"name": "Ann", "age": null}'),
        (Person, '{"name": ["Ann"], "age": 41}'),
        (Person, '{"name": "Ann"}'),
        (Person, '{"name": "Ann", "age": 41, "city": "Rome"}'),
        (Person, '{"person": {"name": "Ann", "age": 41}}'),
        (Person, '{"Name": "Ann", "Age": 41}'),
        (Person, '"Ann, 41"'),
        (Person, "null"),
        (Person, "Ann is 41."),
        (Person, "I cannot answer that."),
        (Person, ""),
        (Person, "   \n\t  "),
        (Person, "{}"),
        (Person, "[]"),
        (Person, '{"name": "Ann", "age": NaN}'),
        (Order, '{"id": 1, "lines": [{"name": "a"}], "paid": true, "note": null}'),
        (Order, '{"id": 1, "lines": [], "paid": true}'),
        (Order, '{"id": 1, "lines": {}, "paid": true, "note": null}'),
        (Order, '{"id": 1, "lines": [], "paid": "yes", "note": null}'),
        (Values, '{"name": "Anna Bergmann", "email": null, "amount": null}'),
        (Values, '{"name": "anna berg", "email": null, "amount": null}'),
        (Values, '{"name": "", "email": null, "amount": null}'),
        (Values, '{"name": "Anna  Berg", "email": null, "amount": "1250"}'),
        (list[Person], '{"name": "a", "age": 1}'),
        (int, "about 7"),
        (int, "7.5"),
        (float, "1e999"),
        (bool, "yes"),
        (Person, "[" * 5000),
        (Person, '{"name":' * 5000),
    ]
    return [Broken("wrong types", *case) for case in cases]


def _unicode() -> list[Broken]:
    return [
        Broken("unicode", Person, '{"name": "Zo\\u00eb", "age": 1}', {"name": "Zoë", "age": 1}),
        Broken("unicode", Person, '{"name": "\\ud83d\\ude42", "age": 1}', {"name": "🙂", "age": 1}),
        Broken("unicode", Person, '{"name": "\\ud83d", "age": 1}'),
        Broken("unicode", Person, '{"name": "half \ud83d", "age": 1}'),
        Broken("unicode", Person, "{'name': 'Zo\\u00eb', 'age': 1}", {"name": "Zoë", "age": 1}),
        Broken("unicode", Person, '{"name": "a\u2028b\u200d", "age": 1}', {"name": "a\u2028b\u200d", "age": 1}),
        Broken("unicode", Person, '{"name": "e\u0301", "age": 1}', {"name": "e\u0301", "age": 1}),
        Broken("unicode", Person, '{"name": "שלום", "age": 1}', {"name": "שלום", "age": 1}),
        Broken("unicode", Person, '{"name": "\\x41", "age": 1}'),
        Broken("unicode", Values, '{"name": null, "email": null, "amount": "\\u20ac1.250,00"}', {"name": None, "email": None, "amount": "€1.250,00"}),
    ]


def _words() -> list[Broken]:
    good = [
        '"question"',
        "question",
        "Question",
        "question.",
        '"Question"',
        "**question**",
        "```\nquestion\n```",
        '```json\n"question"\n```',
        "<think>hm</think>question",
    ]
    bad = ["question or request", "questions", "It is a question.", '"query"', "", "```\nquestion\n```\n```\nrequest\n```", '{"label": "question"}', "1"]
    return [Broken("words", Label, text, "question") for text in good] + [Broken("words", Label, text) for text in bad]
