"""Fields by patterns and cues; every value a run of the text."""

from __future__ import annotations

import random
import time

import pytest

from homeport.skills import extraction, fields, names, patterns

DEFAULT = ("name", "email", "amount", "date", "invoice")
CASES: list[tuple[str, dict[str, str | None]]] = [
    (
        "Hello, I'm Petra Lindgren. I paid invoice QX-2231 (€48.90) on 3 March, see petra.l@posten.example.",
        {"name": "Petra Lindgren", "email": "petra.l@posten.example", "amount": "€48.90", "date": "3 March", "invoice": "QX-2231"},
    ),
    ("Where do I park the boat?", dict.fromkeys(DEFAULT)),
    (
        "Total: 1.204,50 EUR\nDue: 2026-04-30\nBill no. 77120\nCustomer: Oumar Sy",
        {"name": "Oumar Sy", "email": None, "amount": "1.204,50 EUR", "date": "2026-04-30", "invoice": "77120"},
    ),
    ("please call mr. de wit about the 12 dollars", {"amount": "12 dollars", "email": None, "invoice": None}),
    ("Order 8841 was sent on 1.2.2025, tracking 0034 5512.", {"invoice": None, "date": "1.2.2025"}),
]


@pytest.mark.parametrize(("text", "values"), CASES)
def test_the_default_fields(text: str, values: dict[str, str | None]) -> None:
    found = extraction.extract(text, DEFAULT)
    assert {name: found[name].value for name in values} == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Colour: teal; size: XL; stock = 14", {"colour": "teal", "size": "XL", "stock": "14", "weight": None}),
        ("Flight KL 1009 leaves from gate D7 at 18:40, seat 22F.", {"gate": "D7", "seat": "22F", "departure time": "18:40"}),
        (
            "Net 100.00 GBP, VAT 20.00 GBP, total 120.00 GBP, payable by 5 May 2027 to Ashdown Ltd.",
            {"total": "120.00 GBP", "vat": "20.00 GBP", "due date": "5 May 2027", "company": "Ashdown Ltd"},
        ),
        ("Ring Yara Haddad on +44 20 7946 0018, her member number is M-5541.", {"phone": "+44 20 7946 0018", "name": "Yara Haddad", "member number": "M-5541"}),
    ],
)
def test_other_fields_are_found_by_their_names(text: str, values: dict[str, str | None]) -> None:
    found = extraction.extract(text, list(values))
    assert {name: one.value for name, one in found.items()} == values


def test_whatever_the_text_each_value_stands_in_it() -> None:
    rng = random.Random(1)
    pieces = [
        "Ann",
        "Berg",
        "ann@b.example",
        "€3",
        "3,50",
        "EUR",
        "INV-",
        "7",
        "due",
        "on",
        "May",
        "2nd",
        ":",
        "\n",
        "name",
        "=",
        "(",
        "日本",
        "🙂",
        "\\",
        '"',
        "{x}",
        "Dr.",
        "a",
        "1.1.",
        "#",
        "-",
        ",",
        "total",
    ]
    asked = [*DEFAULT, "phone", "company", "city", "code", "colour", "quantity", "iban", "address", "seat", "({[", ""]
    for _ in range(400):
        text = "".join(rng.choice(pieces) + rng.choice((" ", "", " ")) for _ in range(rng.randint(0, 40)))
        found = extraction.extract(text, asked)
        assert list(found) == asked
        assert all(one.value is None or one.value in text for one in found.values())
        assert all(0.0 <= one.sure <= 1.0 for one in found.values())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("E-Mail", "email"),
        ("due date", "date"),
        ("customerName", "name"),
        ("invoice_no", "invoice"),
        ("contact email", "email"),
        ("total amount", "amount"),
        ("Telefon", ""),
        ("zorbl", ""),
        ("company name", "company"),
    ],
)
def test_a_field_asks_for_a_kind(name: str, kind: str) -> None:
    assert fields.field(name).kind == kind


@pytest.mark.parametrize("text", ["€1,250.00", "1.480,00 €", "$7", "CHF 12'400.50", "45,90 EUR", "300 kr", "Rs. 2,000", "twenty euros", "GBP 5k", "1 234,50 €"])
def test_an_amount_is_taken_whole(text: str) -> None:
    around = f"You owe {text} by Friday"
    best = max(patterns.amounts(around), key=lambda span: span.looks)
    assert best.of(around) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "31.01.2026",
        "1/31/2026",
        "31 January",
        "January 31, 2026",
        "31st of January",
        "31. Januar 2026",
        "31-Jan-2026",
        "1er mars 2025",
        "3 de mayo de 2025",
    ],
)
def test_a_date_is_taken_whole(text: str) -> None:
    around = f"It was on {text}, I think"
    assert [span.of(around) for span in patterns.dates(around)] == [text]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Best regards,\nSiobhán O'Dowd", "Siobhán O'Dowd"),
        ("Mr Tavares paid", "Tavares"),
        ("my name is olga brandt and", "olga brandt"),
        ("From: J. van der Berg <jb@x.example>", "J. van der Berg"),
        ("Ask Dr. Adaeze Obi, please", "Adaeze Obi"),
    ],
)
def test_a_name_is_known_by_what_stands_around_it(text: str, name: str) -> None:
    assert names.names(text)[0].of(text) == name


@pytest.mark.parametrize("text", ["Please Call Me Tomorrow", "The Quick Fix Ltd owes us", "We met in Lisbon on Monday", "INVOICE TOTAL", ""])
def test_what_is_no_name_is_not_sure(text: str) -> None:
    assert all(span.looks < 0.5 for span in names.names(text))


@pytest.mark.parametrize("unit", ["1 EUR ", "2 May ", "A1-77 2 May ", "one hundred ", "a" * 159 + " "])
def test_twice_the_text_is_no_more_than_about_twice_the_work(unit: str) -> None:
    began = time.thread_time()
    extraction.extract(unit * (100_000 // len(unit)), DEFAULT)
    assert time.thread_time() - began < 6  # half a second; by pairs of values, or signs of a word, it is a minute


def test_of_a_text_without_end_the_beginning_is_read() -> None:
    text = "Ann Berg owes 3 EUR." + " and so on" * (extraction.MOST // 10) + " Write to ann@berg.example."
    found = extraction.extract(text, DEFAULT)
    assert (found["amount"].value, found["email"].value) == ("3 EUR", None)
    assert extraction.extract(text[-1000:], DEFAULT)["email"].value == "ann@berg.example"


def test_addresses_of_mail_are_taken_whole() -> None:
    text = "'a.b@c.example', <d+e@f.example>;g@h.example,mailto:i@j.example. not@ @this x..@y, k_l@m-n.example/o"
    assert [span.of(text) for span in patterns.emails(text)] == [
        "a.b@c.example",
        "d+e@f.example",
        "g@h.example",
        "i@j.example",
        "k_l@m-n.example",
    ]
