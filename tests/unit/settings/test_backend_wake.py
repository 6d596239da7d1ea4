"""`wake`: which hardware addresses are taken, and where a box cannot be woken."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import BackendSettings, Settings, load


def read(folder: Path, lines: str) -> Settings:
    path = folder / "homeport.toml"
    path.write_text(f"[backends.box]\n{lines}\n", encoding="utf-8")
    return load(config=path, environ={"HOMEPORT_DATA": str(folder / "data")})


def box(folder: Path, wake: str, url: str = "http://192.168.1.20:11434") -> BackendSettings:
    return read(folder, f'kind = "ollama"\nurl = "{url}"\nwake = "{wake}"').backends["box"]


@pytest.mark.parametrize("written", ["02:1a:4b:3c:5d:6e", "02-1A-4B-3C-5D-6E", "02:1A:4b:3C:5d:6E"])
def test_both_ways_of_writing_it_come_to_one(tmp_path: Path, written: str) -> None:
    assert box(tmp_path, written).wake == "02:1a:4b:3c:5d:6e"


def test_without_it_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, 'kind = "openai"\nurl = "http://192.168.1.20"').backends["box"].wake is None


@pytest.mark.parametrize("written", ["02:1a:4b:3c:5d", "02:1a:4b:3c:5d:6e:7f", "02:1a-4b:3c:5d:6e", "021a4b3c5d6e", "02:1a:4b:3c:5d:6g", "02:1a:4b:3c:5d:6e "])
def test_what_is_no_hardware_address(tmp_path: Path, written: str) -> None:
    with pytest.raises(BadSettings, match=r"homeport\.toml:4: backends\.box\.wake takes the hardware address of the box's network card, such as"):
        box(tmp_path, written)


@pytest.mark.parametrize(("written", "whose"), [("ff:ff:ff:ff:ff:ff", "many"), ("01:00:5e:00:00:01", "many"), ("00-00-00-00-00-00", "none")])
def test_it_is_the_address_of_one_card(tmp_path: Path, written: str, whose: str) -> None:
    with pytest.raises(BadSettings, match=f'wake takes the address of one card; "{written}" is that of {whose}'):
        box(tmp_path, written)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8462", "http://localhost:11434", "http://[::1]:11434", "http://127.9.9.9"])
def test_this_machine_is_awake(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSettings, match="at the end of a tunnel, set it on the node there"):
        box(tmp_path, "02:1a:4b:3c:5d:6e", url)


@pytest.mark.parametrize("kind", ["engine", "pilot"])
def test_what_runs_inside_of_homeport_does_not_sleep(tmp_path: Path, kind: str) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    model = '\nmodel = "m.gguf"' if kind == "engine" else ""
    with pytest.raises(BadSettings, match="wake is for a box of its own that sleeps; this backend runs on this machine"):
        read(tmp_path, f'kind = "{kind}"{model}\nwake = "02:1a:4b:3c:5d:6e"')


def test_a_number_is_told_by_its_type(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"wake takes a text, not a whole number"):
        read(tmp_path, 'kind = "openai"\nurl = "http://box.lan"\nwake = 12')


def test_a_public_address_gets_a_notice(tmp_path: Path) -> None:
    lines = 'kind = "openai"\nurl = "https://gpu.example.com"\nlocation = "local"\nwake = "02:1a:4b:3c:5d:6e"'
    found = read(tmp_path, lines)
    assert found.backends["box"].wake == "02:1a:4b:3c:5d:6e"
    assert [notice.partition(" (")[0] for notice in found.notices] == [
        "wake of [backends.box] does not reach a public address: its packet stays on this machine's network"
    ]
