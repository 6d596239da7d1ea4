"""Seen before? Replay it, or store; without a cache, neither."""

from __future__ import annotations

from homeport.vocabulary import Ask, Caller, Reply


class NoCache:
    """Step `cache`, switched off: nothing is found and nothing kept."""

    def find(self, ask: Ask, caller: Caller) -> Reply | None:
        """The reply to the same Ask of the same caller, if it is known."""
        return None

    def keep(self, ask: Ask, caller: Caller, reply: Reply) -> None:
        """Remember a reply."""
