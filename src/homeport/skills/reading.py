"""The task ask: the likeliest run of the text by its fit to the question; where that is not clear, the decoder's word among the likely ones."""

from __future__ import annotations

import msgspec

from homeport.skills import spans
from homeport.skills.mind import LONGEST, Mind, size, worked
from homeport.tasks import quoting
from homeport.tasks.shipped import prompts

SURE = 0.55  # from here on the decoder is not asked
WEIGHT = 3.0  # times as likely is a run that the decoder names, and half of that one that touches it


async def answer(asked: prompts.Asked, mind: Mind) -> str:
    """The answer as JSON: a run of the text, or null."""
    if not asked.text.strip() or not asked.question.strip():
        return prompts.packed({"answer": None})
    found = await worked(size(asked), spans.ranked, asked.question, asked.text)
    best = found[0]
    if best.share < SURE and mind.speaks:
        said, heard = await _asked(asked, mind)
        if heard:
            best = chosen(found, said, asked.text)
    return prompts.packed({"answer": best.text})


def chosen(found: list[spans.Candidate], said: str | None, text: str) -> spans.Candidate:
    """The likeliest answer once the decoder was heard: its word weighs, and does not decide alone."""
    at = text.find(said) if said is not None else -1

    def weighed(one: spans.Candidate) -> float:
        if one.text == said:
            return WEIGHT * one.share
        touches = said is not None and at >= 0 and one.text is not None and one.start < at + len(said) and at < one.end
        return one.share * (WEIGHT / 2 if touches else 1.0)

    return max(found, key=weighed)


async def _asked(asked: prompts.Asked, mind: Mind) -> tuple[str | None, bool]:
    """What the decoder answers, and whether it did."""
    runs = quoting.rules([asked.text]) if len(asked.text) < LONGEST else None
    if runs is None:
        return None, False
    grammar = "\n".join(['root ::= "{\\"answer\\":" ( quote | "null" ) "}"', *runs]) + "\n"
    said = await mind.say(prompts.ask(asked.question, asked.text), grammar, 120)
    try:
        return (msgspec.json.decode(said, type=dict[str, str | None]).get("answer"), True) if said is not None else (None, False)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None, False
