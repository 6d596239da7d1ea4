"""Which routes can do what a request asks, by what is known of their models."""

from __future__ import annotations

from homeport.rules.selection import able, unable
from homeport.vocabulary import Route

BLIND, SEER, UNKNOWN = Route("home", "coder"), Route("box", "seer"), Route("vm", "other")
LACKS = {("home", "coder"): frozenset({"vision", "embedding"}), ("box", "seer"): frozenset({"tools"})}


def test_what_is_unknown_counts_as_able() -> None:
    assert able((BLIND, SEER, UNKNOWN), LACKS, ["vision"]) == [SEER, UNKNOWN]
    assert able((BLIND, SEER, UNKNOWN), LACKS, ["tools", "vision"]) == [UNKNOWN]
    assert able((BLIND, SEER), LACKS, ["tools", "vision"]) == []


def test_the_order_stays() -> None:
    assert able((UNKNOWN, SEER, BLIND), LACKS, ["embedding"]) == [UNKNOWN, SEER]
    assert able((BLIND, SEER), LACKS, []) == (BLIND, SEER)
    assert able((BLIND, SEER), LACKS, ["completion"]) == [BLIND, SEER]


def test_the_error_names_the_models_and_what_they_lack() -> None:
    error = unable("assistant", (BLIND,), LACKS, ["completion", "vision"])
    assert (error.status, error.code, error.param) == (400, "not_carried", "messages")
    assert str(error).startswith("`assistant` cannot look at images: coder at home cannot. Leave them out")
    each = unable("assistant", (BLIND, SEER), LACKS, ["tools", "vision"])  # each lacks another
    assert "`assistant` cannot call tools" in str(each)
