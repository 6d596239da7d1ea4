"""Ollama's pages: the fields that Ollama's have, filled with what is known of the names that are served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.errors import Malformed
from homeport.front import ollama_pages
from homeport.front.pages import Name, Place
from homeport.vocabulary import Card, Weights
from tests.captures import captured

WEIGHTS = Weights(form="gguf", family="llama", parameters="1.51M", quantization="F16", size=20080229, digest="ab" * 32, modified="2026-11-20T17:29:50Z")
CAN = {"completion": True, "tools": True, "vision": False, "thinking": True, "embedding": False, "insert": False}
TALKER = Card(engine="ollama", context=4096, trained=32768, capabilities=CAN, weights=WEIGHTS)


class Fake:
    """An Overview of these names."""

    version, id, started_at, trouble, counts = "0", "ab12", 1795195790.0, None, {}
    fleet_standing = None

    def __init__(self, *names: Name) -> None:
        self.names = names

    def standings(self) -> list[Any]:
        return []

    def models(self) -> tuple[Name, ...]:
        return self.names


def name(*places: Place, called: str = "assistant") -> Name:
    return Name(called, list(places), "local")


def recorded(case: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads("".join(text for _, text in captured("ollama")[case].response.pieces))
    return decoded


KNOWN = name(Place("home", "talker", card=TALKER))
BARE = name(Place("cloud", "gpt"), called="other")


def test_tags_have_ollamas_fields() -> None:
    ours = json.loads(ollama_pages.tags(Fake(KNOWN, BARE)))
    theirs = recorded("about: tags")["models"][0]
    theirs["details"] = {key: value for key, value in theirs["details"].items() if key not in ("context_length", "embedding_length")}
    assert [list(row) for row in ours["models"]] == [list(theirs)] * 2
    assert [list(row["details"]) for row in ours["models"]] == [list(theirs["details"])] * 2
    first, second = ours["models"]
    assert (first["name"], first["size"], first["modified_at"], first["details"]["family"]) == ("assistant", 20080229, "2026-11-20T17:29:50Z", "llama")
    assert (second["size"], second["modified_at"], second["details"]["families"]) == (0, "2026-11-20T17:29:50Z", [])


def test_the_digest_is_of_what_stands_behind_the_name() -> None:
    same = ollama_pages.digest(name(Place("home", "talker", card=TALKER)))
    assert same == ollama_pages.digest(KNOWN)
    assert len(bytes.fromhex(same)) == 32
    changed = Card(weights=Weights(digest="cd" * 32))
    others = [name(Place("home", "talker", card=changed)), name(Place("vm", "talker", card=TALKER)), name(Place("home", "coder", card=TALKER))]
    others += [name(*KNOWN.places, Place("vm", "talker")), name(*KNOWN.places, called="x")]
    assert len({same, *map(ollama_pages.digest, others)}) == 6


def test_show_has_ollamas_fields() -> None:
    ours, theirs = json.loads(ollama_pages.show(Fake(KNOWN), KNOWN)), recorded("about: show")
    assert set(ours) <= set(theirs)
    assert list(ours["details"]) == list(theirs["details"])
    assert ours["model_info"] == {"general.architecture": "llama", "llama.context_length": 32768}
    assert ours["capabilities"] == ["completion", "tools", "thinking"]
    assert "talker at home" in ours["modelfile"]


def test_of_a_model_that_nobody_describes_chat_and_tools_are_presumed() -> None:
    shown = json.loads(ollama_pages.show(Fake(BARE), BARE))
    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["model_info"] == {"general.architecture": "homeport"}


def test_a_name_can_what_any_model_behind_it_can_and_takes_what_all_take() -> None:
    seer = Card(engine="vllm", context=8192, capabilities={"vision": True})
    both = name(Place("home", "talker", card=TALKER), Place("gpu", "seer", card=seer))
    assert ollama_pages.capabilities(both) == ["completion", "tools", "vision", "thinking"]
    assert ollama_pages.context(both) == 8192
    embedder = name(Place("home", "e", card=Card(capabilities={"completion": False, "tools": False, "embedding": True})))
    assert ollama_pages.capabilities(embedder) == ["embedding"]
    assert ollama_pages.context(embedder) is None


def test_ps_lists_what_a_healthy_backend_answers() -> None:
    down = name(Place("vm", "coder", "down"), called="away")
    (ours,) = json.loads(ollama_pages.ps(Fake(KNOWN, down)))["models"]
    theirs = recorded("about: ps, one loaded")["models"][0]
    assert set(ours) == set(theirs)
    assert (ours["name"], ours["context_length"]) == ("assistant", 4096)


def test_the_version_is_that_of_the_ollama_it_was_checked_against() -> None:
    assert json.loads(ollama_pages.version()) == {"version": captured("ollama")["about: version"].response.pieces[0][1].split('"')[3]}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"model": 5}', b'{"model": ""}', b"\xff"])
def test_show_wants_a_name(body: bytes) -> None:
    with pytest.raises(Malformed, match="`model` is missing"):
        ollama_pages.asked(body)


def test_show_takes_the_old_fields_name() -> None:
    assert (ollama_pages.asked(b'{"name": "a"}'), ollama_pages.asked(b'{"model": "b", "name": "a"}')) == ("a", "b")
