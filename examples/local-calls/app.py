"""Local calls: your own models from plain Python and from the OpenAI SDK, in blocks small enough to copy."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import httpx2

import homeport
from homeport import Quote, task
from homeport.errors import HomeportError
from homeport.tasks.shipped import extract

MAIL = "Hello, this is Nora Lind. Invoice INV-2044 over $1,250.00 was due on 2 May 2026. Please write to nora@lind.example."
NOTES = [
    "The parcel was sent on Monday and arrives on Thursday.",
    "An invoice can be paid by card or by bank transfer.",
    "The shop opens at nine and closes at six.",
    "Broken goods are replaced within thirty days.",
    "The password is changed on the account page.",
]


# 1 · a typed function whose body a model is: what comes back is one of these four words, or an error
@task
def classify_intent(text: str) -> Literal["question", "request", "complaint", "other"]:
    """Which kind of message is this?"""


def classified() -> None:
    """A task of your own, in five lines."""
    for text in ("Where is my parcel?", "Please send me the invoice again.", "The lamp arrived broken, and nobody answers!"):
        say(f"{classify_intent(text):<10} {text}")


# 2 · a Quote stands in the text letter by letter: what is not there is None, and nothing is invented
@dataclass
class Invoice:
    """What an invoice mail says."""

    number: Quote | None
    amount: Quote | None


@task
def invoice(text: str) -> Invoice:
    """Which invoice is it about, and how much is it?"""


def extracted() -> None:
    """Fields of a mail, by a type of your own and by the task that ships."""
    say(f"the mail    {MAIL}")
    found = invoice(MAIL)
    say(f"invoice     number {found.number!r}, amount {found.amount!r}")
    for name, value in extract(MAIL, fields=["name", "email", "date"]).items():
        say(f"{name:<11} {value!r}")


# 3 · a chat, whole and as it is written
def chatted() -> None:
    """A chat over homeport.Client."""
    with homeport.Client(app="local-calls") as client:
        reply = client.chat("What is a gateway?", max_tokens=64)
        say(reply.text)
        say(f"by {reply.headers['x-homeport-model']} on {reply.headers['x-homeport-backend']} ({reply.headers['x-homeport-location']})")
        with client.chat("What is a server?", stream=True, max_tokens=64) as stream:
            say("".join(stream.texts()))


# 4 · embeddings: a vector for each text, and the nearest by cosine; for some thousand texts no database is needed
def cosine(a: list[float], b: list[float]) -> float:
    """How alike two vectors are: 1 the same direction, 0 nothing in common."""
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def dot(a: list[float], b: list[float]) -> float:
    """The sum of the products, number by number."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def compared() -> None:
    """The notes that are nearest to a question."""
    question = "When does my parcel arrive?"
    with homeport.Client(app="local-calls") as client:
        asked, *vectors = client.embed([question, *NOTES]).vectors
    nearest = sorted(zip((cosine(asked, vector) for vector in vectors), NOTES, strict=True), reverse=True)
    say(f"{len(asked)} numbers a text; nearest to: {question}")
    for likeness, note in nearest[:3]:
        say(f"{likeness:6.3f}  {note}")


# 5 · the OpenAI SDK, with the failover of homeport.Client underneath; its base_url needs no host of its own
def by_openai() -> None:
    """The same by the OpenAI SDK."""
    try:
        from openai import OpenAI, OpenAIError
    except ImportError:
        say("skipped: the OpenAI SDK is not installed here (pip install openai)")
        return
    http = httpx2.Client(transport=homeport.client.Transport(), timeout=None)
    with OpenAI(base_url="http://homeport/v1", api_key="none", http_client=http) as client:
        try:
            reply = client.chat.completions.create(model="default", messages=[{"role": "user", "content": "What is a gateway?"}], max_tokens=64)
            vectors = client.embeddings.create(model="default", input=NOTES[:2]).data
        except OpenAIError as error:
            raise HomeportError(str(error.__cause__ or error)) from None
    say(f"chat        {reply.choices[0].message.content}")
    say(f"embeddings  {len(vectors)} vectors of {len(vectors[0].embedding)} numbers")


BLOCKS: dict[str, Callable[[], None]] = {
    "classify_intent in five lines": classified,
    "extraction: values that stand in the text": extracted,
    "a chat, whole and streamed": chatted,
    "embeddings and nearest neighbours": compared,
    "the OpenAI SDK": by_openai,
}


def say(line: str, indent: str = "   ") -> None:
    """One line of the transcript."""
    sys.stdout.write(f"{indent}{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run all blocks; 0 when all went well, 1 where one did not."""
    failed = []
    for number, (title, block) in enumerate(BLOCKS.items(), 1):
        say(f"\n{number} · {title}", "")
        try:
            block()
        except HomeportError as error:
            say(f"failed: {error}")
            failed.append(title)
    say(f"\n{len(failed)} of {len(BLOCKS)} blocks failed: {'; '.join(failed)}." if failed else f"\nAll {len(BLOCKS)} blocks went well.", "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
