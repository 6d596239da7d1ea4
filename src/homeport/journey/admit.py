"""Who asks, and may they: the one place where a key is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from homeport.journey.limits import Limits
from homeport.ports import KeyRing
from homeport.rules import admission as rule
from homeport.vocabulary import Ask, Caller, Receipt


class Admit:
    """Finds out who asks before a body is read (`greet`), and lets their Ask in (step `admit`)."""

    def __init__(self, keys: KeyRing, *, public: bool = False) -> None:
        self._keys = keys
        self._public = public  # listening beyond this machine: a key is needed even when the last one was revoked

    def __call__(self, ask: Ask) -> Caller:
        """The caller. Without limits, whoever was greeted is let in."""
        return ask.caller

    def keep(self, names: Iterable[str]) -> None:
        """Only these keys are left; without limits there is nothing to forget."""

    def greet(self, headers: dict[bytes, bytes]) -> Caller:
        """The caller, by the headers of a request (lower-case names).

        Raises:
            Unauthenticated: once there are keys, none or an unknown one came.
            Forbidden: without keys, a request for another host, from a foreign page, or from elsewhere through a proxy.
        """
        if self.keyless:
            rule.from_here(headers.get(b"host", b"localhost"), headers.get(b"origin"), headers.get(b"x-forwarded-for"))
            return rule.ANYONE
        secret = credential(headers)
        return rule.caller(secret, self._keys.find(secret) if secret is not None and self._keys.exist else None)

    @property
    def keyless(self) -> bool:
        """Whether no key exists, so that only this machine may ask."""
        return not (self._keys.exist or self._public)


class Limited(Admit):
    """The same where there are limits: who has reached one is refused."""

    def __init__(self, keys: KeyRing, limits: Limits, *, public: bool = False) -> None:
        super().__init__(keys, public=public)
        self._limits = limits

    def __call__(self, ask: Ask) -> Caller:
        """The caller. Raises OverBudget where a limit of its key is reached."""
        self._limits.spend(ask)
        return ask.caller

    def keep(self, names: Iterable[str]) -> None:
        self._limits.keep(names)


def admission(keys: KeyRing, limits: Limits, observers: list[Callable[[Receipt], None]], *, public: bool) -> Admit:
    """The step for these limits. Once there are any they hear of the receipts, in `observers`, for good: what is under way has to come to its end."""
    if not limits.any:
        return Admit(keys, public=public)
    if limits.settled not in observers:
        observers.append(limits.settled)
    return Limited(keys, limits, public=public)


def credential(headers: dict[bytes, bytes]) -> str | None:
    """The key a request came with: `Authorization: Bearer`, the bare key there, or `x-api-key`; None where there is none."""
    value = headers.get(b"authorization") or headers.get(b"x-api-key")
    if value is None:
        return None
    if value[:7].lower() == b"bearer ":
        value = value[7:]
    return value.decode("latin-1").strip() or None
