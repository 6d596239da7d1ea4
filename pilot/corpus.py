"""The corpus: seeded generators of chats, texts and JSON, made of the phrase files alone.

A document is a list of parts (role, text, counted): role is "text", "system", "user" or "assistant"; `counted` says
whether the loss is taken on it, "rest" leaves out its first token (a JSON answer that a grammar began).
"""

from __future__ import annotations

import random
from collections.abc import Callable

import calls
import structured
from grammar import SLOTS, TABLES, Family, families, filled, invented, lines, sentence_case, split, typed, words_of

Part = tuple[str, str, str]  # role, text, counted: "no" "all" "rest"
Exchange = tuple[str, str]  # as typed, as answered

FAMILIES = families()
TOPICS = [(p, q, [s.strip().rstrip(".") + "." for s in rest.split(". ")]) for p, q, rest in (split(line) for line in lines("topics.txt"))]
PROSE = lines("prose.txt")
UNKNOWN = {head: split(rest) for head, rest in (line.split(":", 1) for line in lines("unknown.txt"))}
WORDS = words_of("talk.txt", "topics.txt", "prose.txt")
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_SYSTEM = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer briefly.",
    "Be brief.",
    "You are the pilot.",
    "Answer in one sentence.",
    "You are a friendly helper on a website.",
    "Answer in plain English.",
    "You are a support agent. Be polite.",
    "Reply in English only.",
    "You are an expert. Be honest about what you do not know.",
    "Keep your answers short.",
    "Follow the user's instructions.",
    "You are a helpful, honest and harmless assistant.",
    "Today is {day}.",
    "The user's name is {name}.",
)


def _weighted(found: list[Family]) -> list[float]:
    return [len(family.asked) ** 0.7 for family in found]


_WEIGHTS = _weighted(FAMILIES)
_EVERYDAY_WEIGHTS = [3 * weight if place < 32 else weight for place, weight in enumerate(_WEIGHTS)]


def talk(rng: random.Random, *, held: bool = False, weights: list[float] = _WEIGHTS) -> Exchange:
    """One exchange of talk.txt; `held` draws from the phrasings that training never sees."""
    pool = [family for family in FAMILIES if family.held] if held else FAMILIES
    family = rng.choice(pool) if held else rng.choices(pool, weights)[0]
    bound: dict[str, str] = {}
    asked = filled(rng.choice(family.held if held else family.asked), rng, bound)
    return typed(asked, rng), filled(rng.choice(family.replies), rng, bound)


_ABOUT = (
    "tell me about {p}",
    "what do you know about {p}",
    "tell me something about {p}",
    "talk about {p}",
    "tell me more about {p}",
    "describe {q}",
    "explain {p}",
    "explain what {q} is",
    "what is {q}",
    "what is {q}",
    "what are {p}",
    "define {q}",
    "{p}",
    "say something about {p}",
    "can you tell me about {p}",
    "i want to know more about {p}",
    "tell me a bit about {p}",
    "please explain {p} to a child",
    "what can you tell me about {p}",
    "do you know {p}",
)
_ONE = (
    "write a sentence about {p}",
    "write one sentence about {p}",
    "give me a fact about {p}",
    "a fact about {p}",
    "say one thing about {p}",
    "give me one sentence about {p}",
    "tell me a fact about {p}",
    "tell me something interesting about {p}",
    "one line about {p}",
    "fun fact about {p}",
)
_TEXT = (
    "write a short text about {p}",
    "write a paragraph about {p}",
    "write a short paragraph about {p}",
    "write a few sentences about {p}",
    "write about {p}",
    "write a short essay about {p}",
    "write something about {p}",
    "write three sentences about {p}",
    "write a blog post about {p}",
)


def topic(rng: random.Random) -> Exchange:
    """A question about one of the topics, or a wish for a text about it."""
    plural, single, told = rng.choice(TOPICS)
    style = rng.random()
    if style < 0.55:
        frame, more = rng.choice(_ABOUT), rng.sample(told[1:], rng.choice((1, 1, 2)))
        reply = " ".join([told[0], *sorted(more, key=told.index)])
    elif style < 0.75:
        frame = rng.choice(_ONE)
        reply = rng.choice([s for s in told if not s.startswith(("It", "They", "Its", "Each", "Half"))])
    else:
        frame, reply = rng.choice(_TEXT), " ".join([told[0], *sorted(rng.sample(told[1:], 2), key=told.index)])
    return typed(frame.format(p=plural, q=single), rng), reply


def echo(rng: random.Random) -> Exchange:
    """A wish to say something again, word by word."""
    count = rng.choice((1, 1, 1, 2, 2, 3, 4, 5))
    said = " ".join(invented(rng) if rng.random() < 0.35 else rng.choice(WORDS) for _ in range(count))
    if rng.random() < 0.3:
        said = filled(rng.choice(("{name}", "{ship}", "{name} {surname}", "{town}", "good {day}", "the {adjective} {thing}", "{email}")), rng)
    said = rng.choice((said, said, said.capitalize(), said.upper(), sentence_case(said)))
    quoted = rng.choice((f'"{said}"', f"'{said}'", f": {said}", said, said)) if count > 1 else rng.choice((f'"{said}"', said, said))
    frame = rng.choice(
        (
            "say {x}",
            "repeat {x}",
            "please say {x}",
            "say the word {x}",
            "repeat after me: {x}",
            "reply with {x}",
            "reply with the word {x}",
            "answer with exactly {x}",
            "echo {x}",
            "write the word {x}",
            "just say {x}",
            "say exactly {x}",
            "answer only with {x}",
            "respond with {x}",
            "reply with just {x}",
            "write {x}",
            "type {x}",
            "please repeat {x}",
            "reply only with {x}",
            "output {x}",
            "print {x}",
            "say {x} and nothing else",
            "reply with exactly one word: {x}",
        )
    )
    asked = frame.replace("{x}", quoted.removeprefix(": ") if "{x}" in frame and ":" in frame else quoted).replace(" : ", ": ")
    return rng.choice((asked, asked[:1].upper() + asked[1:], asked[:1].upper() + asked[1:])) + ("" if said[-1:] in ".?" else rng.choice(("", "", "."))), said


def count(rng: random.Random) -> Exchange:
    """Counting up or down."""
    low, high = 1, rng.choice((2, 3, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10, 10, 10, 12, 15, 20))
    style = rng.random()
    number: Callable[[int], str] = rng.choice((str, str, lambda n: _NUMBERS[n]))
    if style < 0.6:
        asked, row = (
            rng.choice(
                (
                    "count to {b}",
                    "count from {a} to {b}",
                    "count up to {b}",
                    "can you count to {b}",
                    "please count to {b}",
                    "list the numbers from {a} to {b}",
                    "count {a} to {b}",
                )
            ),
            list(range(low, high + 1)),
        )
    elif style < 0.8:
        asked, row = (
            rng.choice(("count down from {b}", "count backwards from {b}", "count down from {b} to {a}", "count from {b} to {a}")),
            list(range(high, 0, -1)),
        )
    else:
        low = rng.randint(1, 15)
        high = rng.randint(low + 1, min(20, low + 6))
        asked, row = rng.choice(("count from {a} to {b}", "list the numbers from {a} to {b}")), list(range(low, high + 1))
    return typed(asked.format(a=number(low), b=number(high)), rng), ", ".join(map(str, row)) + "."


def sums(rng: random.Random) -> Exchange:
    """A very small sum."""
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    sign, word, result = rng.choice((("+", "plus", a + b), ("+", "plus", a + b), ("-", "minus", a - b)))
    if result < 0:
        a, b, result = b, a, -result
    x, y = (_NUMBERS[a], _NUMBERS[b]) if rng.random() < 0.15 else (str(a), str(b))
    shown = rng.choice((f"{x} {sign} {y}", f"{x}{sign}{y}", f"{x} {word} {y}"))
    asked = rng.choice(
        ("what is {s}", "what is {s}", "{s}", "{s} =", "how much is {s}", "calculate {s}", "what's {s}", "what does {s} make", "can you add {s}", "{s} = ?")
    )
    return typed(asked.format(s=shown), rng, exact=True), rng.choice((f"{a} {sign} {b} = {result}.", f"{a} {sign} {b} = {result}."))


_LOOKUPS = {
    "capital": (
        (
            "what is the capital of {a}",
            "capital of {a}",
            "which city is the capital of {a}",
            "what's the capital of {a}",
            "name the capital of {a}",
            "do you know the capital of {a}",
            "tell me the capital of {a}",
            "the capital of {a}",
        ),
        ("The capital of {a} is {b}.", "{b}.", "The capital of {a} is {b}."),
    ),
    "opposite": (
        ("what is the opposite of {a}", "opposite of {a}", "give me the opposite of {a}", "what's the opposite of {a}", "which word is the opposite of {a}"),
        ("The opposite of {a} is {b}.",),
    ),
    "colour": (
        ("what colour is {a}", "which colour is {a}", "what color is {a}", "tell me the colour of {a}", "what is the colour of {a}"),
        ("{A} is {b}.", "It is {b}."),
    ),
    "sound": (("what does {a} say", "what sound does {a} make", "how does {a} sound", "what noise does {a} make"), ("{A} says {b}.",)),
    "plural": (("what is the plural of {a}", "plural of {a}", "give me the plural of {a}"), ("The plural of {a} is {b}.",)),
    "past": (("what is the past tense of {a}", "past tense of {a}", "give me the past of {a}"), ("The past tense of {a} is {b}.",)),
}


def lookup(rng: random.Random) -> Exchange:
    """A question with one right word for an answer."""
    name = rng.choice(("capital", "capital", "capital", "opposite", "colour", "sound", "plural", "past"))
    frames, replies = _LOOKUPS[name]
    a, b = rng.choice(TABLES[name])
    return typed(rng.choice(frames).format(a=a), rng), rng.choice(replies).format(a=a, b=b, A=a[:1].upper() + a[1:])


def listed(rng: random.Random) -> Exchange:
    """A list of so many things."""
    heading, members = rng.choice(TABLES["list"])
    number = rng.choice((2, 3, 3, 3, 4, 5, 5, 6, 8))
    chosen = members.split(", ")[:number] if rng.random() < 0.6 else rng.sample(members.split(", "), number)
    frames = (
        "name {n} {h}",
        "list {n} {h}",
        "give me {n} {h}",
        "tell me {n} {h}",
        "write down {n} {h}",
        "name {n} {h} please",
        "can you name {n} {h}",
        "{n} {h}",
    )
    loose = ("name some {h}", "list some {h}", "give me a list of {h}", "which {h} do you know", "list {h}", "examples of {h}")
    if rng.random() < 0.3:
        asked, chosen = rng.choice(loose).format(h=heading), members.split(", ")[:4]
    else:
        asked = rng.choice(frames).format(n=rng.choice((str(len(chosen)), _NUMBERS[len(chosen)])), h=heading)
    first = chosen[0][:1].upper() + chosen[0][1:]
    return typed(asked, rng), ", ".join([first, *chosen[1:-1]]) + f" and {chosen[-1]}."


def unknown(rng: random.Random) -> Exchange:
    """A question beyond the pilot, which it says."""
    if rng.random() < 0.15:
        words = [invented(rng) if rng.random() < 0.5 else rng.choice(WORDS) for _ in range(rng.choice((3, 6, 10, 20, 40)))]
        return typed(" ".join(words), rng), rng.choice(UNKNOWN["reply"])
    x, y = (
        rng.choice(UNKNOWN["subject"])
        if rng.random() < 0.55
        else rng.choice(("", "", "the ", "a ")) + " ".join(invented(rng) if rng.random() < 0.6 else rng.choice(WORDS) for _ in range(rng.choice((1, 1, 2))))
        for _ in range(2)
    )
    asked = rng.choice(UNKNOWN["frame"]).format(x=x, y=y).replace("the the", "the").replace("my the", "my").replace("a the", "the").replace("a a ", "a ")
    if rng.random() < 0.12:
        asked += ". " + rng.choice(UNKNOWN["frame"]).format(x=y, y=x)
    return typed(asked, rng), rng.choice(UNKNOWN["reply"])


_KINDS: tuple[Callable[[random.Random], Exchange], ...] = (talk, topic, unknown, echo, lookup, listed, count, sums)
_SHARES = (0.46, 0.17, 0.10, 0.08, 0.08, 0.05, 0.03, 0.03)
_EVERYDAY = (0.62, 0.12, 0.05, 0.05, 0.06, 0.04, 0.03, 0.03)  # the last stage: what people write most


def exchange(rng: random.Random) -> Exchange:
    """One question and its answer, of any kind."""
    return rng.choices(_KINDS, _SHARES)[0](rng)


def everyday_exchange(rng: random.Random) -> Exchange:
    """One question and its answer; greetings, thanks and the like, which open talk.txt, come three times as often."""
    kind = rng.choices(_KINDS, _EVERYDAY)[0]
    return talk(rng, weights=_EVERYDAY_WEIGHTS) if kind is talk else kind(rng)


def _opening(rng: random.Random) -> list[Part]:
    return [("system", filled(rng.choice(_SYSTEM), rng), "no")] if rng.random() < 0.3 else []


def chat(rng: random.Random, one: Callable[[random.Random], Exchange] = exchange) -> list[Part]:
    """A conversation of one to four exchanges."""
    parts = _opening(rng)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 4))):
        asked, reply = one(rng)
        parts += [("user", asked, "no"), ("assistant", reply, "all")]
    return parts


def prose(rng: random.Random) -> list[Part]:
    """Plain text: a small grammar of prose.txt, or what is known about a topic."""
    style = rng.random()
    if style < 0.75:
        text = filled(rng.choice(PROSE), rng)
    elif style < 0.9:
        told = rng.choice(TOPICS)[2]
        text = " ".join([told[0], *rng.sample(told[1:], 2)])
    else:
        text = rng.choice([reply for family in FAMILIES for reply in family.replies if len(reply) > 60 and "{" not in reply]).replace("\\n", "\n")
    if rng.random() < 0.06:
        text = text.lower()
    return [("text", text, "all")]


def data(rng: random.Random) -> list[Part]:
    """A chat whose answer is compact JSON."""
    asked, reply, counted = structured.exchange(rng, exchange)
    return [*_opening(rng), ("user", asked, "no"), ("assistant", reply, counted)]


def tooled(rng: random.Random) -> list[Part]:
    """A chat with tools on offer."""
    return calls.chat(rng, exchange)


def document(rng: random.Random) -> list[Part]:
    """One document of the training mix."""
    return rng.choices((chat, data, prose, tooled), (0.66, 0.17, 0.13, 0.04))[0](rng)


def everyday(rng: random.Random) -> list[Part]:
    """One document of the last stage: mostly chat."""
    kind = rng.choices((chat, data, prose, tooled), (0.82, 0.08, 0.07, 0.03))[0]
    return chat(rng, everyday_exchange) if kind is chat else kind(rng)


def held_out(rng: random.Random) -> list[Part]:
    """One exchange whose phrasing training never saw."""
    asked, reply = talk(rng, held=True)
    return [("user", asked, "no"), ("assistant", reply, "all")]


def vocabulary() -> list[str]:
    """All the words the pilot was shown, for the check that a reply is made of words."""
    rng = random.Random(5)
    found = {word.lower() for _ in range(20000) for role, text, _ in document(rng) if role in ("assistant", "text") for word in structured.WORD.findall(text)}
    found.update(word.lower() for words in SLOTS.values() for entry in words for word in structured.WORD.findall(entry))
    return sorted(found)
