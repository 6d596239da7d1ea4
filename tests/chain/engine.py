"""An engine with an answer in two speeds: `python -m tests.chain.engine NAME PORT [SLOTS]` prints its URL and serves until stdin closes."""

from __future__ import annotations

import sys

from homeport.testing.backend import ScriptedBackend
from homeport.testing.exchange import Seen
from homeport.testing.script import Answer

MODEL = "m"
TOKENS = 25  # of a slow answer, after the first word
EVERY_S = 0.04


def quick(name: str) -> str:
    """What the engine of this name says to "quick"."""
    return f"{name} is here"


def slow(name: str) -> str:
    """What it says to "slow", a token every EVERY_S."""
    return " ".join([name, *(f"w{number:04}" for number in range(TOKENS))])


def main() -> None:
    """Serve until stdin closes."""
    name, port = sys.argv[1], int(sys.argv[2])
    answers = {"quick": Answer(text=quick(name)), "slow": Answer(text=slow(name), delay_s=EVERY_S)}

    def answer(seen: Seen) -> Answer:
        return answers[str(seen.fields["messages"][-1]["content"])]

    with ScriptedBackend(answer, style="llama.cpp", models=[MODEL], port=port) as backend:
        print(backend.url, flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
