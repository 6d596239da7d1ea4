"""Who asks, and may they: the one place where a key is checked."""

from __future__ import annotations

from homeport.ports import KeyRing
from homeport.rules import admission
from homeport.vocabulary import Ask, Caller


class Admit:
    """Turns the credential of an Ask into its Caller (step `admit`)."""

    def __init__(self, keys: KeyRing, *, public: bool = False) -> None:
        self._keys = keys
        self._public = public  # listening beyond this machine: a key is needed even when the last one was revoked

    def __call__(self, ask: Ask) -> Caller:
        """The caller. Raises Unauthenticated."""
        return self.credential(ask.credential)

    def credential(self, credential: str | None) -> Caller:
        """The caller behind a key as it came, for routes that are no Ask too. Raises Unauthenticated."""
        keys = self._keys
        needed = keys.exist or self._public
        name = keys.find(credential) if needed and credential is not None else None
        return admission.caller(needed, credential, name)
