"""What an answer cost."""

from __future__ import annotations


def cost_usd(location: str | None) -> float | None:
    """US dollars for one answer: nothing on the owner's hardware, unknown (None) in a cloud while no prices are set."""
    return 0.0 if location == "local" else None
