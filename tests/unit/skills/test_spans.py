"""Answers in a text: runs of it, ranked."""

from __future__ import annotations

import random
import time

import pytest

from homeport.skills import spans
from homeport.skills.questions import Question, sentences, stem

TEXT = (
    "The harbour museum in Oban opened in 1962. Its curator, Moira Kerr, looks after 4,300 objects. Tickets cost £7.50; children pay nothing. "
    "Guided tours start at 2 pm in the old boathouse. For bookings write to tours@harbour.example."
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did the museum open?", "1962"),
        ("How much do tickets cost?", "£7.50"),
        ("At what time do guided tours start?", "2 pm"),
        ("What is the e-mail address for bookings?", "tours@harbour.example"),
        ("Who is the curator?", "Moira Kerr"),
    ],
)
def test_the_likeliest_run_answers(question: str, answer: str) -> None:
    assert spans.ranked(question, TEXT)[0].text == answer


def test_what_the_text_does_not_say_is_null() -> None:
    assert spans.ranked("Who founded the brewery in Lyon?", TEXT)[0].text is None


def test_shares_are_shares_and_runs_are_runs() -> None:
    rng = random.Random(4)
    words = [*TEXT.split(" "), "", "\n\n", "日本語。", "🙂", '"', "(", ")", ";", "Mr.", "e.g."]
    for _ in range(60):
        text = " ".join(rng.choice(words) for _ in range(rng.randint(0, 60)))
        question = " ".join(rng.choice([*words, "who", "how many", "why"]) for _ in range(rng.randint(0, 9)))
        found = spans.ranked(question, text)
        assert found and all(one.text is None or (one.text and text[one.start : one.end] == one.text) for one in found)
        assert all(0 <= one.share <= 1 + 1e-6 for one in found) and found == sorted(found, key=lambda one: -one.share)


def test_sentences_end_where_they_end() -> None:
    text = "Dr. Kerr met Mr. Ito at 3 p.m. They spoke. It rained\nhard! (Really.)"
    assert [text[a:b] for a, b in sentences(text)] == ["Dr. Kerr met Mr. Ito at 3 p.m. They spoke.", "It rained", "hard!", "(Really.)"]


def test_words_of_one_stem() -> None:
    assert stem("opened") == stem("opens") == stem("opening")
    assert stem("took") == stem("taken") and stem("cities") == stem("city")


def test_a_question_says_what_it_wants() -> None:
    assert Question("How many boats are there?").coarse == "how many"
    assert Question("what does it cost").wanted == "amount"
    assert Question("").coarse == "none"


def test_a_sentence_of_abbreviations_is_soon_looked_at() -> None:
    began = time.thread_time()
    spans.ranked("Who?", "Mr. Xy " * 20_000)
    assert time.thread_time() - began < 6
