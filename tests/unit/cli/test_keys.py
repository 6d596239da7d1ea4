"""`homeport keys`."""

from __future__ import annotations

from pathlib import Path

from .conftest import Homeport


def test_a_key_is_shown_once(homeport: Homeport, tmp_path: Path) -> None:
    ended = homeport("keys", "add", "laptop")
    key = ended.out.strip()
    assert ended.code == 0
    assert len(key) > 40
    assert "shown only now" in ended.err
    assert "from now on nobody is answered without a key" in ended.err
    second = homeport("keys", "add", "phone", "--json").json
    assert second["name"] == "phone"
    assert second["key"] != key
    listed = homeport("keys", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == ["KEY", "laptop", "phone"]
    assert [set(row) for row in homeport("keys", "list", "--json").json] == [{"name", "created"}] * 2
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    for shown in (key, second["key"]):
        assert shown not in listed
        assert shown.encode() not in kept


def test_no_key(homeport: Homeport) -> None:
    assert homeport("keys", "list").out.startswith("No key: everyone on this machine may ask, and nobody else.")
    assert homeport("keys", "list", "--json").json == []


def test_a_name_twice_is_refused(homeport: Homeport) -> None:
    homeport("keys", "add", "laptop")
    ended = homeport("keys", "add", "laptop")
    assert (ended.code, ended.out) == (1, "")
    assert "laptop" in ended.err
    assert homeport("keys", "add", "no good name", "--json").code == 1


def test_revoke(homeport: Homeport) -> None:
    homeport("keys", "add", "laptop")
    ended = homeport("keys", "revoke", "labtop")
    assert (ended.code, ended.err) == (1, 'homeport: there is no key "labtop"; did you mean "laptop"?\n')
    assert homeport("keys", "revoke", "laptop").out.splitlines() == [
        "The key laptop is revoked.",
        "No key is left: everyone on this machine may ask again without one.",
    ]
    assert homeport("keys", "list", "--json").json == []
    homeport("keys", "add", "a")
    homeport("keys", "add", "b")
    assert homeport("keys", "revoke", "a", "--json").json == {"name": "a", "revoked": True}
    assert homeport("keys", "revoke", "b", "--json").code == 0


def test_keys_that_cannot_be_read_are_told(homeport: Homeport, tmp_path: Path) -> None:
    homeport("keys", "add", "a")
    (tmp_path / "data" / "keys.json").write_text("{")
    for words in (("add", "b"), ("list",), ("revoke", "a")):
        ended = homeport("keys", *words)
        assert ended.code == 1
        assert "keys.json" in ended.err
