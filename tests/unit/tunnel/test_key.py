"""The tunnel's own key."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homeport.errors import HomeportError
from homeport.tunnel import key


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = key.make(tmp_path / "data")
    public = key.public(first)
    assert key.make(tmp_path / "data") == first
    assert key.public(first) == public
    assert public.startswith("ssh-ed25519 ") and public.endswith(" homeport-tunnel")
    assert sorted(path.name for path in first.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]
    if sys.platform != "win32":
        assert (first.stat().st_mode & 0o777, first.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_who_makes_it_at_once_is_told_the_same(tmp_path: Path) -> None:
    """A line for the VPS that is of a key thrown away would never be let in."""
    with ThreadPoolExecutor(4) as many:
        told = set(many.map(lambda _: key.public(key.make(tmp_path)), range(4)))
    assert told == {(tmp_path / "tunnel" / "id_ed25519.pub").read_text(encoding="ascii").strip()}
    assert sorted(path.name for path in (tmp_path / "tunnel").iterdir()) == ["id_ed25519", "id_ed25519.pub"]


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homeport.tunnel.key._put", full)
    with pytest.raises(HomeportError, match=r"id_ed25519 cannot be made: No space left on device"):
        key.make(tmp_path)
    assert list((tmp_path / "tunnel").iterdir()) == []


def test_its_fingerprint_is_what_openssh_shows(tmp_path: Path) -> None:
    identity = key.make(tmp_path)
    shown = subprocess.run(["ssh-keygen", "-lf", str(identity)], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1] == key.fingerprint(key.public(identity))


def test_what_is_no_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomeportError, match="make one with: homeport tunnel key"):
        key.public(tmp_path / "none")
    (tmp_path / "bad").write_text("no key\n", encoding="ascii")
    (tmp_path / "bad").chmod(0o600)
    with pytest.raises(HomeportError, match="ssh-keygen refused"):
        key.public(tmp_path / "bad")


def test_one_with_a_passphrase_cannot_be_used_by_nobody(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")], check=True)
    with pytest.raises(HomeportError, match="incorrect passphrase"):
        key.public(tmp_path / "locked")


def test_a_machine_without_openssh_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HomeportError, match="there is no ssh-keygen"):
        key.make(tmp_path)
