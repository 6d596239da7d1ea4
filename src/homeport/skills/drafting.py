"""The task draft: the decoder's follow-up where it keeps the placeholders, invents nothing and has the tone; else a template in that tone."""

from __future__ import annotations

import re

import msgspec

from homeport.skills.mind import STRING, Mind
from homeport.tasks.shipped import prompts

_GRAMMAR = r'root ::= "{\"subject\":" string ",\"body\":" string "}"' + "\n" + STRING + "\n"
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_INVENTED = re.compile(
    r"[\d@$€£¥%#]|https?:|\bwww\.|\[[^\]]*\]|<[^>]*>|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|twenty|thirty|sixty|ninety|"
    r"hundred|thousand)\b(?= (?:\w+ )?(?:days?|hours?|weeks?|percent|euros?|dollars?|pounds?))",
    re.I,
)
_SOFT = re.compile(
    r"\b(?:friendly|gentle|kind(?:ly)? reminder|quick (?:note|reminder)|small reminder|just a|slipped|hope (?:you|all|this|your)|when you have a "
    r"moment|whenever|ignore this|would be (?:great|lovely|glad)|happy to help|no worries|warm|many thanks)\b",
    re.I,
)
_HARD = re.compile(
    r"\b(?:urgent(?:ly)?|immediate(?:ly)?|final (?:notice|demand|reminder|warning)|last (?:reminder|warning|notice)|at once|today|legal (?:action|"
    r"steps)|collection|lawyers?|suspend|court|demand|without further notice)\b",
    re.I,
)
_FIRM = re.compile(
    r"\b(?:overdue|outstanding|expect|must|please (?:pay|settle|arrange|transfer)|without (?:further )?delay|second reminder|not (?:yet )?received|"
    r"past due|unpaid|late|settle|require|ask you to)\b",
    re.I,
)
_LONGEST = 1200  # characters of a body
TEMPLATES: dict[str, dict[str, str]] = {
    "friendly": {
        "subject": "A friendly reminder about {amount}, due {dueDate}",
        "body": "Hi {clientName},\n\nI hope you are well. This is just a friendly reminder that the payment of {amount} was due on {dueDate}, so it is "
        "{daysOverdue} days late now. Perhaps it "
        "slipped through.\n\nCould you have a look when you have a moment? If it is already on its way, please ignore this note. If anything is "
        "unclear, I am happy to help.\n\n"
        "Many thanks and warm regards",
    },
    "firm": {
        "subject": "Payment overdue: {amount}, due {dueDate}",
        "body": "Dear {clientName},\n\nOur records show that we have not yet received the payment of {amount}. It was due on {dueDate} and is now "
        "{daysOverdue} days overdue.\n\nPlease settle the "
        "full amount this week, and confirm the date of your payment by reply. If there is a reason for the delay, we expect to hear from you without "
        "further delay.\n\nRegards",
    },
    "urgent": {
        "subject": "URGENT: {amount} is {daysOverdue} days overdue, final notice",
        "body": "Dear {clientName},\n\nThis is our final notice. The payment of {amount} was due on {dueDate} and is now {daysOverdue} days overdue. Despite "
        "our reminders it remains unpaid.\n\n"
        "Your immediate action is required: pay the full amount today. Otherwise we must suspend our services and take legal action without further "
        "notice.\n\nYours faithfully",
    },
}


async def answer(asked: prompts.Asked, mind: Mind) -> str:
    """Subject and body as JSON."""
    tone = asked.text
    said = await mind.say(prompts.draft(tone), _GRAMMAR)
    if said is not None:
        try:
            written = msgspec.json.decode(said, type=dict[str, str])
        except msgspec.DecodeError:
            written = {}
        if wrong(written, tone) is None:
            return prompts.packed({"subject": written["subject"], "body": written["body"]})
    return prompts.packed(TEMPLATES[tone])


def wrong(written: dict[str, str], tone: str) -> str | None:
    """What is wrong with a follow-up of this tone, in a few words; None where it can be sent."""
    subject, body = written.get("subject", "").strip(), written.get("body", "").strip()
    text = f"{subject}\n{body}"
    if not subject or not body or "\n" in subject or len(subject) > 120 or len(body) > _LONGEST:
        return "its parts"
    found = _PLACEHOLDER.findall(text)
    if (
        set(found) != set(prompts.PLACEHOLDERS)
        or not all(one in body for one in prompts.PLACEHOLDERS)
        or _PLACEHOLDER.sub("", text).strip("{}") != _PLACEHOLDER.sub("", text)
        or len(found) > 12
    ):
        return "its placeholders"
    if any(body.count(one) > 3 for one in prompts.PLACEHOLDERS) or not body.startswith(("Dear", "Hi", "Hello", "Good", "{clientName}")):
        return "its build"
    bare = _PLACEHOLDER.sub("", text)
    if _INVENTED.search(bare):
        return "a value of its own"
    words = re.findall(r"[a-z']+", bare.lower())
    if len(words) < 18 or any(tuple(words[at : at + 4]) == tuple(words[at + 4 : at + 8]) for at in range(len(words) - 7)):
        return "its length"
    if hears(bare) != tone:
        return "its tone"
    return None


def hears(text: str) -> str:
    """The tone of a text, by its words."""
    soft, firm, hard = len(set(_SOFT.findall(text))), len(set(_FIRM.findall(text))), len(set(_HARD.findall(text)))
    if hard >= 2 or (hard and not soft and re.search(r"\burgent|final|legal|immediate", text, re.I)):
        return "urgent"
    return "friendly" if soft > firm or (soft and not hard and firm <= soft + 1 and soft >= 2) else "firm"
