"""Whether a model is the one that its owner pinned."""

from __future__ import annotations

from homeport.vocabulary import Card

UNKNOWN = "its digest is not known yet"
UNREAD = "?"  # the digest of a file that is still to be read


def against(pin: str, card: Card | None) -> str:
    """Why a model that should have this digest, or one that begins so, is not to be asked; "" where it is that one. `pin` is lower-case hexadecimal."""
    if card is None or card.weights.digest == UNREAD:
        return UNKNOWN
    digest = bare(card)
    if not digest:
        return f"its digest is pinned, and {card.engine or 'its engine'} does not tell one"
    return "" if digest.startswith(pin) else f"its digest is {digest[:12]}, and {pin[:12]} is pinned"


def bare(card: Card) -> str:
    """The digest of a card in lower-case hexadecimal; "" where none is told."""
    return card.weights.digest.lower().removeprefix("sha256:").removeprefix(UNREAD)
