"""Which file of a repository is meant."""

from __future__ import annotations

import pytest

from homeport.pull.failure import CannotPull, Unclear
from homeport.pull.hub import Offer, chosen, offers, size_of
from homeport.pull.source import Repository
from homeport.pull.web import Web
from tests.hub import Hub

DATA = b"GGUF"


def found(*names: str, per_page: int = 1000) -> list[Offer]:
    files = {name: DATA + bytes(number) for number, name in enumerate(names)}
    with Hub({"o/r": files}, per_page=per_page) as hub, Web(hub.url) as web:
        return offers(web, Repository("o/r"))


def paths(some: list[Offer]) -> list[str]:
    return [offer.path for offer in some]


def test_models_by_size_and_nothing_else() -> None:
    names = ("b.gguf", "README.md", "mmproj-b.gguf", "x.imatrix.gguf", "a/c.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf", "t-00002-of-00002.gguf")
    assert paths(found(*names)) == ["b.gguf", "a/c.gguf", "s-00001-of-00002.gguf"]
    assert paths(found(*names, per_page=1)) == ["b.gguf", "a/c.gguf", "s-00001-of-00002.gguf"]


def test_none() -> None:
    with pytest.raises(CannotPull, match=r"its files are of the kinds bin, md"):
        found("a.md", "b.bin")
    with pytest.raises(CannotPull, match="it is empty"):
        found()


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (None, "m-Q4_K_M.gguf"),
        ("Q8_0", "m-Q8_0.gguf"),
        ("m-q8_0.GGUF", "m-Q8_0.gguf"),
        ("BF16", "BF16/m-BF16-00001-of-00002.gguf"),
        ("BF16/m-BF16-00002-of-00002.gguf", "BF16/m-BF16-00001-of-00002.gguf"),
        ("m-BF16", "BF16/m-BF16-00001-of-00002.gguf"),
        ("K_M", "m-Q4_K_M.gguf"),
        ("Q4", None),
    ],
)
def test_the_one_that_is_meant(wanted: str | None, path: str | None) -> None:
    some = found("m-Q4_K_M.gguf", "m-Q8_0.gguf", "BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf")
    if path is None:
        with pytest.raises(Unclear, match="has no GGUF file") as error:
            chosen(some, Repository("o/r", "main", wanted))
        assert len(error.value.choices) == 3
    else:
        assert chosen(some, Repository("o/r", "main", wanted)) == (next(offer for offer in some if offer.path == path), wanted is None)


def test_the_only_one_is_taken_and_of_several_one_must_be_named() -> None:
    only = found("m-Q2_K.gguf")
    assert chosen(only, Repository("o/r")) == (only[0], False)
    for names in (("m-Q2_K.gguf", "m-Q3_K.gguf"), ("a-Q4_K_M.gguf", "b-Q4_K_M.gguf")):
        with pytest.raises(Unclear, match="holds 2 models"):
            chosen(found(*names), Repository("o/r"))
    with pytest.raises(Unclear, match="could be 2 files"):
        chosen(found("a-Q4_K_M.gguf", "b-Q4_K_M.gguf"), Repository("o/r", "main", "Q4_K_M"))


def test_sizes() -> None:
    assert [size_of(count) for count in (0, 999, 1000, 380_000_000, 4_683_073_184, 142_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 KB",
        "380 MB",
        "4.7 GB",
        "142 GB",
    ]
