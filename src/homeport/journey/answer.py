"""Replies that need no model; without any configured, there are none."""

from __future__ import annotations

from homeport.vocabulary import Ask, Reply


class NoAnswers:
    """Step `answer`, switched off: every Ask goes to a model."""

    def __call__(self, ask: Ask) -> Reply | None:
        return None
