"""Why a model could not be brought."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import HomeportError


class CannotPull(HomeportError):
    """It was understood, but could not be done; the message says what is kept, and what to do."""


class Unclear(HomeportError):
    """What was asked for is none, or could be several: `choices` are what could be asked for, each with its size in bytes."""

    def __init__(self, message: str, choices: Sequence[tuple[str, int]] = ()) -> None:
        super().__init__(message)
        self.choices = list(choices)


class Again(HomeportError):
    """This attempt failed, and a later one may not: the connection was cut, or the server is busy.

    `after_s` is what the server asked to wait (Retry-After), in seconds, or None.
    """

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class Changed(HomeportError):
    """What the server has is no longer what it had when this download began."""
