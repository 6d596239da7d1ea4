"""Placeholders: put in once, literally; the model may not write values, invent placeholders, or leave them out."""

from __future__ import annotations

import pytest

from homeport.tasks import placeholders
from homeport.tasks.fault import Fault
from homeport.tasks.placeholders import checked, filled, texts, throughout

VALUES = {"client": "Ann {amount} Lee", "amount": "$1,250.00", "days": "9"}


def test_values_are_put_in_literally_and_in_one_pass() -> None:
    assert filled("Dear {client}: {amount}, {amount}. {{client}} {unknown} { client }", VALUES) == (
        "Dear Ann {amount} Lee: $1,250.00, $1,250.00. {Ann {amount} Lee} {unknown} { client }"
    )
    assert filled(r"{days}\1", {"days": r"\g<0>"}) == r"\g<0>\1"


def test_a_text_with_its_placeholders_holds() -> None:
    checked("Dear {client}, you owe {amount} for 9 days.", VALUES, needed=["client", "amount"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Dear {client}, pay {total}", "that there is none of"),
        ("Dear {client}", "{amount} is missing"),
        ("Dear {client}, pay {amount}, that is $1,250.00", "{amount} was written by the model"),
        ("Dear Ann {amount} Lee, {client} {amount}", None),
        ("Dear {client}, pay {amount}. ANN {amount} LEE", None),
    ],
)
def test_what_does_not_hold(text: str, what: str | None) -> None:
    values = VALUES if what is not None else {"client": "Ann", "amount": "$1,250.00"}
    with pytest.raises(Fault, match=(what or "{client} was written").replace("{", r"\{").replace("}", r"\}")) as caught:
        checked(text, values, needed=["client", "amount"])
    assert caught.value.check == "placeholder"
    assert "1,250" not in caught.value.reason


def test_a_value_inside_of_another_word_is_not_the_value() -> None:
    checked("{client} plans annually", {"client": "Ann"})


def test_a_value_of_one_digit_or_two_letters_stands_there_by_chance() -> None:
    checked("{days}: 9 or 12, as Al said", {"days": "9", "client": "Al"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21 days", "21"),
        ("{days}, that is 21.", "21"),
        ("EUR 1250", "1,250.00 EUR"),
        ("1.250,00", "$1,250"),
        ("1 250 and", "1250.00"),
        ("1250,50", "$1,250.50"),
    ],
)
def test_a_number_is_known_however_its_digits_are_grouped(text: str, value: str) -> None:
    with pytest.raises(Fault, match="was written by the model"):
        checked(text, {"days": value})


@pytest.mark.parametrize("text", ["within 3 days", "call 210 or 121", "on 2021-12-21", "12,50", "12.12.2021"])
def test_another_number_is_not_the_value(text: str) -> None:
    checked(text, {"days": "1250", "other": "12"})


def test_texts_are_found_at_any_depth() -> None:
    assert texts({"a": ["x", {"b": "y"}], "c": 1, "d": "z"}) == ["x", "y", "z"]


@pytest.mark.parametrize("text", ["Dear {client name}", "Dear {{client}}", "Dear {0}", "Dear {client-name}, {client}", "{client} {"])
def test_braces_that_are_no_placeholders_are_a_fault(text: str) -> None:
    with pytest.raises(Fault, match=r"brace|there is none of"):
        placeholders.checked(text, {"client": "Nora Lind"})


@pytest.mark.parametrize("text", ["Dear Nora\u00a0Lind", "Dear nora  lind", "the sum of 1,250.00"])
def test_a_value_is_known_without_its_edges_and_blanks(text: str) -> None:
    with pytest.raises(Fault, match="was written by the model"):
        placeholders.checked(text, {"client": "Nora Lind", "amount": "$1,250.00"})


def test_a_placeholder_inside_of_a_type_is_found() -> None:
    assert placeholders.hidden(list[placeholders.Placeholder])
    assert placeholders.hidden(placeholders.Placeholder | None)
    assert not placeholders.hidden(list[str])


def test_names_of_a_dict_are_texts_too() -> None:
    values = {"client": "Nora Lind"}
    with pytest.raises(Fault, match="there is none of"):
        checked("\n".join(texts({"subject": "x", "{sum}": {"{client}": "y"}})), values)
    assert texts({"subject": "x", "{client}": ["y"]}) == ["{client}", "x", "y"]
    assert throughout({"{client}": ["for {client}"]}, lambda text: filled(text, values)) == {"Nora Lind": ["for Nora Lind"]}
    with pytest.raises(Fault, match="twice"):
        throughout({"{client}": 1, "Nora Lind": 2}, lambda text: filled(text, values))
