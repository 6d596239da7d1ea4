"""The task extract: what the patterns are sure of stands; the decoder chooses the rest among the runs of the text."""

from __future__ import annotations

import msgspec

from homeport.skills import extraction, fields
from homeport.skills.fields import LOOKS
from homeport.skills.mind import LONGEST, Mind, size, worked
from homeport.skills.patterns import EMAIL
from homeport.tasks import quoting
from homeport.tasks.shipped import prompts


async def answer(asked: prompts.Asked, mind: Mind) -> str:
    """The object of fields as JSON: each value a run of the text, or null."""
    found = await worked(size(asked), extraction.extract, asked.text, asked.names)
    values = {name: one.value for name, one in found.items()}
    unsure = [name for name, one in found.items() if one.sure < extraction.SURE]
    if unsure and mind.speaks:
        said = await _asked(asked, mind, found)
        for name in unsure:
            if name in said and accepted(found[name], said[name], fields.field(name).kind):
                values[name] = said[name]
    return prompts.packed({name: value if value is not None and value in asked.text else None for name, value in values.items()})


async def _asked(asked: prompts.Asked, mind: Mind, found: dict[str, extraction.Proposal]) -> dict[str, str | None]:
    """What the decoder makes of the fields that are left open; those that are not are told to it."""
    runs = quoting.rules([asked.text]) if len(asked.text) < LONGEST else None
    if runs is None:
        return {}
    parts = []
    for name, one in found.items():
        key = prompts.packed(name) + ":"
        settled = one.sure >= extraction.SURE
        parts.append(quoting.literal(key + prompts.packed(one.value)) if settled else f'{quoting.literal(key)} ( quote | "null" )')
    between = ' "," '
    said = await mind.say(prompts.extract(asked.text, asked.names), "\n".join([f'root ::= "{{" {between.join(parts)} "}}"', *runs]) + "\n")
    try:
        return msgspec.json.decode(said, type=dict[str, str | None]) if said is not None else {}
    except (msgspec.ValidationError, msgspec.DecodeError):
        return {}


def accepted(proposal: extraction.Proposal, said: str | None, kind: str = "") -> bool:
    """Whether the decoder's word counts against the patterns' own: it has the looks of its kind, and they had little to say."""
    if said is None:
        return proposal.value is None or proposal.sure < 0.45
    if not said.strip() or len(said) > 80 or (proposal.value is not None and proposal.sure >= 0.5):
        return False
    if kind == "email":
        return EMAIL.fullmatch(said) is not None
    if kind == "name":
        return said[:1].isalpha() and len(said.split()) <= 5 and not any(sign.isdigit() or sign == "@" for sign in said)
    digits = sum(sign.isdigit() for sign in said)
    return digits >= (6 if kind == "phone" else 1) if kind in LOOKS and kind not in ("street", "url") else True
