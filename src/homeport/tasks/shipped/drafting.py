"""The task draft: a payment follow-up whose tone a rule chooses and whose values code puts in."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from homeport.errors import Malformed
from homeport.tasks import placeholders
from homeport.tasks.declared import Task, planned
from homeport.tasks.fault import Fault
from homeport.tasks.plan import Call
from homeport.tasks.shapes import Shape
from homeport.tasks.shipped import prompts

Tone = Literal["friendly", "firm", "urgent"]
FIRM_FROM, URGENT_FROM = 7, 14  # days overdue


class Draft(Struct):
    """A follow-up, ready to be read over and sent."""

    tone: Tone
    subject: str
    body: str


class _Written(Struct):
    subject: str
    body: str


_WRITTEN = Shape(_Written)
_SUBJECTS: dict[str, str] = {
    "friendly": "A reminder: {amount}",
    "firm": "Payment of {amount} is overdue",
    "urgent": "Urgent: {amount} is {daysOverdue} days overdue",
}
_FACT = "The payment of {amount} was due on {dueDate} and is {daysOverdue} days overdue."
_BODIES: dict[str, str] = {
    "friendly": f"{_FACT} Perhaps it slipped through. Could you have a look?",
    "firm": f"{_FACT} Please pay it within three working days.",
    "urgent": f"{_FACT} Please pay it today, or call us today.",
}


def tone(days_overdue: int) -> Tone:
    """friendly under 7 days, firm from 7, urgent from 14."""
    return "urgent" if days_overdue >= URGENT_FROM else "firm" if days_overdue >= FIRM_FROM else "friendly"


def _template(client: str, amount: str, due: str, days_overdue: int) -> Draft:
    """The follow-up for when no model writes one."""
    chosen = tone(days_overdue)
    body = "Dear {clientName},\n\n" + _BODIES[chosen] + "\n\nThank you"
    values = _values(client, amount, due, days_overdue)
    return Draft(chosen, placeholders.filled(_SUBJECTS[chosen], values), placeholders.filled(body, values))


@planned(Draft, offline=_template)
def draft(task: Task[Any, Any], client: str, amount: str, due: str, days_overdue: int) -> Call:
    """A payment follow-up: tone by rule, values put in by code."""
    if days_overdue < 0:
        raise Malformed("`days_overdue` takes 0 or more: what is not due yet needs no follow-up.", param="input")
    values = _values(client, amount, due, days_overdue)
    for name, value in (("client", client), ("amount", amount), ("due", due)):
        if not value.strip():
            raise Malformed(f"`{name}` is empty; it stands in the draft.", param="input")
    chosen = tone(days_overdue)

    def take(written: _Written) -> Draft:
        if not written.subject.strip() or not written.body.strip():
            raise Fault("empty", "the subject or the body has no text")
        placeholders.checked(f"{written.subject}\n{written.body}", values, needed=values)
        return Draft(chosen, placeholders.filled(written.subject, values), placeholders.filled(written.body, values))

    return task.asked(prompts.draft(chosen), shape=_WRITTEN, take=take)


def _values(client: str, amount: str, due: str, days_overdue: int) -> dict[str, str]:
    """By placeholder, each on one line: a line break in a subject would begin another header of the mail."""
    given = {"{clientName}": client, "{dueDate}": due, "{amount}": amount, "{daysOverdue}": str(days_overdue)}
    return {name[1:-1]: " ".join(given[name].split()) for name in prompts.PLACEHOLDERS}
