"""Whether a model is the pinned one."""

from __future__ import annotations

import pytest

from homeport.rules import pinning
from homeport.vocabulary import Card, Weights

PIN = "ab" * 32


def card(digest: str) -> Card:
    return Card(engine="ollama", weights=Weights(digest=digest))


@pytest.mark.parametrize("digest", [PIN, PIN.upper(), f"sha256:{PIN}"])
@pytest.mark.parametrize("pin", [PIN, PIN[:12]])
def test_the_same(digest: str, pin: str) -> None:
    assert pinning.against(pin, card(digest)) == ""


def test_another_unknown_and_untold_are_three_things() -> None:
    assert pinning.against(PIN, card("cd" * 32)) == f"its digest is cdcdcdcdcdcd, and {PIN[:12]} is pinned"
    assert pinning.against(PIN, None) == pinning.UNKNOWN
    assert pinning.against(PIN, card("")) == "its digest is pinned, and ollama does not tell one"
    assert pinning.against(PIN, card(PIN[:20])) != ""  # a shorter digest than the pin proves nothing
