"""The keys: shown once, kept as hashes, at work at once, and closed when their file is spoilt."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.storage.keys import Keys


def test_no_key_to_begin_with(data_dir: Path) -> None:
    keys = Keys(data_dir)
    assert not keys.exist
    assert keys.names() == []
    assert keys.find("hp_" + "A" * 43) is None
    assert list(data_dir.iterdir()) == [], "looking makes nothing"


def test_a_key_is_found_by_its_secret_only(data_dir: Path) -> None:
    keys = Keys(data_dir)
    secret = keys.add("laptop")
    assert re.fullmatch(r"hp_[A-Za-z0-9_-]{43}", secret)
    assert keys.exist
    assert keys.find(secret) == "laptop"
    wrong = secret[:-2] + ("aa" if secret[-2:] != "aa" else "bb")
    for other in ("", "hp_", wrong, secret + "x", secret.lower(), "\ud800" * 46, "é" * 46):
        assert keys.find(other) is None


def test_only_the_hash_is_kept_for_this_user_only(data_dir: Path) -> None:
    secret = Keys(data_dir).add("laptop")
    path = data_dir / "keys.json"
    assert secret not in path.read_text()
    assert secret[3:] not in path.read_text()
    (kept,) = json.loads(path.read_text())["keys"]
    assert (kept["name"], kept["sha256"]) == ("laptop", hashlib.sha256(secret.encode()).hexdigest())
    assert kept["created"] > 1_700_000_000
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in data_dir.iterdir()) == ["keys.json", "keys.lock"]


def test_every_secret_is_another(data_dir: Path) -> None:
    keys = Keys(data_dir)
    secrets = {name: keys.add(name) for name in ("a", "b", "c")}
    assert len(set(secrets.values())) == 3
    assert {name: keys.find(secret) for name, secret in secrets.items()} == {"a": "a", "b": "b", "c": "c"}
    assert keys.names() == ["a", "b", "c"]
    assert [key.name for key in keys.kept()] == ["a", "b", "c"]


def test_a_running_gateway_sees_new_and_revoked_keys(data_dir: Path) -> None:
    running, shell = Keys(data_dir), Keys(data_dir)
    assert not running.refresh()
    secret = shell.add("laptop")
    assert not running.exist
    assert running.refresh()
    assert running.exist
    assert running.find(secret) == "laptop"
    assert not running.refresh()
    assert shell.revoke("laptop")
    assert running.refresh()
    assert running.find(secret) is None
    assert not running.exist
    assert running.trouble is None


def test_revoking_says_whether_there_was_one(data_dir: Path) -> None:
    keys = Keys(data_dir)
    kept, gone = keys.add("kept"), keys.add("gone")
    assert [keys.revoke("gone"), keys.revoke("gone"), keys.revoke("never")] == [True, False, False]
    assert (keys.find(kept), keys.find(gone)) == ("kept", None)


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", ".x", "é", "a/b", "a\n", "a" * 65, "\x1b[31m"])
def test_names_that_will_not_do(data_dir: Path, name: str) -> None:
    with pytest.raises(HomeportError, match=r"name of a key: use 1 to 64") as refused:
        Keys(data_dir).add(name)
    assert str(refused.value).isprintable()
    assert not (data_dir / "keys.json").exists()


def test_a_name_is_given_once(data_dir: Path) -> None:
    keys = Keys(data_dir)
    secret = keys.add("laptop")
    with pytest.raises(HomeportError, match="There is a key named 'laptop' already"):
        Keys(data_dir).add("laptop")
    assert keys.find(secret) == "laptop"


SPOILT = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b'{"keys": [{"name": "x"}]}',
    b'{"keys": [{"name": "x", "sha256": "zz", "created": 1}]}',
    b'{"keys": [{"name": "x", "sha256": "ab", "created": 1}]}',
]


@pytest.mark.parametrize("content", SPOILT)
def test_a_spoilt_file_closes_the_gateway(data_dir: Path, content: bytes) -> None:
    running = Keys(data_dir)
    secret = running.add("laptop")
    good = (data_dir / "keys.json").read_bytes()
    (data_dir / "keys.json").write_bytes(content)
    for keys in (running, Keys(data_dir)):
        keys.refresh()
        assert keys.exist
        assert keys.find(secret) is None
        assert keys.trouble is not None
        assert "keys.json is spoilt" in keys.trouble
        with pytest.raises(HomeportError, match="spoilt"):
            keys.add("other")
        with pytest.raises(HomeportError, match="spoilt"):
            keys.revoke("laptop")
    (data_dir / "keys.json").write_bytes(good)
    assert running.refresh()
    assert (running.exist, running.find(secret), running.trouble) == (True, "laptop", None)


def test_a_file_that_vanishes_or_cannot_be_read_closes_it_too(data_dir: Path) -> None:
    keys = Keys(data_dir)
    secret = keys.add("laptop")
    (data_dir / "keys.json").rename(data_dir / "aside")
    assert keys.refresh()
    assert keys.exist
    assert keys.find(secret) is None
    assert keys.trouble is not None
    assert "is gone" in keys.trouble
    (data_dir / "keys.json").mkdir()
    assert keys.refresh()
    assert keys.exist
    assert "cannot be read" in keys.trouble
    assert not keys.refresh(), "it looks again each time, and nothing is different"
    (data_dir / "keys.json").rmdir()
    (data_dir / "aside").rename(data_dir / "keys.json")
    assert keys.refresh()
    assert (keys.find(secret), keys.trouble) == ("laptop", None)


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    keys = Keys(tmp_path / "file")
    with pytest.raises(HomeportError, match=r"keys\.json cannot be changed"):
        keys.add("laptop")


def test_a_write_that_fails_leaves_the_keys_as_they_were(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(data_dir)
    secret = keys.add("laptop")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(HomeportError, match="No space left"):
            keys.add("phone")
    assert not keys.refresh()
    assert (keys.find(secret), keys.names()) == ("laptop", ["laptop"])
    assert sorted(entry.name for entry in data_dir.iterdir()) == ["keys.json", "keys.lock"]


def test_adding_from_several_processes_loses_none(data_dir: Path) -> None:
    program = """
import sys
from pathlib import Path
from homeport.storage.keys import Keys
keys = Keys(Path(sys.argv[1]))
for number in range(15):
    print(keys.add(f"{sys.argv[2]}{number}"))
"""
    adders = [subprocess.Popen([sys.executable, "-c", program, str(data_dir), name], stdout=subprocess.PIPE, text=True) for name in "abc"]
    shown = [line for adder in adders for line in adder.communicate(timeout=60)[0].split()]
    keys = Keys(data_dir)
    assert sorted(filter(None, map(keys.find, shown))) == sorted(f"{name}{number}" for name in "abc" for number in range(15))
