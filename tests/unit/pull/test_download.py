"""One file on its way: cut anywhere and as often as it likes, it comes whole or not at all."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from homeport.pull.download import Watcher, bring, finish, kept, part_of
from homeport.pull.failure import CannotPull
from homeport.pull.hub import Remote
from homeport.pull.pace import Pace
from homeport.pull.web import Web
from tests.hub import Hub

DATA = b"GGUF\x03\0\0\0" + random.Random(1).randbytes(500_000)
QUICK = Pace(first_s=0, tries=4)


def remote(hub: Hub, *, checksum: bool = True, validator: bool = True) -> Remote:
    sha256 = hashlib.sha256(DATA).hexdigest() if checksum else None
    etag = f'"{hashlib.md5(DATA).hexdigest()}"' if validator else None
    return Remote(f"{hub.storage_url}/o/r/a.gguf", "a.gguf", len(DATA), sha256, None if checksum else etag)


@pytest.mark.parametrize("seed", range(12))
def test_cut_anywhere_it_comes_whole(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    target = tmp_path / "a.gguf"
    with Hub({"o/r": {"a.gguf": DATA}}, cuts=[chance.choice((0, 1, 7, 8, chance.randrange(120_000))) for _ in range(10)]) as hub, Web(hub.url) as web:
        hub.ranges = seed % 4 != 3
        file = remote(hub, checksum=seed % 2 == 0, validator=seed % 3 != 2)
        came = [0]
        head = DATA[: chance.choice((0, 1000))]
        for _ in range(40):
            try:
                bring(web, file, target, Watcher(came.append), head=head, pace=QUICK)
                break
            except CannotPull:
                assert not target.exists()
                came = [0]
        assert part_of(target).read_bytes() == DATA
        assert sum(came) == len(DATA)
    finish(target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gguf"]
    assert target.read_bytes() == DATA


def test_what_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    with Hub({"o/r": {"a.gguf": DATA}}, cuts=[100_000, 0, 0, 0, 0, 0]) as hub, Web(hub.url) as web:
        file = remote(hub)
        assert kept(target, file) == 0
        with pytest.raises(CannotPull):
            bring(web, file, target, Watcher(), pace=QUICK)
        assert 0 < kept(target, file) <= 100_000
        assert kept(target, file._replace(sha256="0" * 64)) == 0
        assert kept(target, file._replace(sha256=None)) == 0
        assert kept(target, file._replace(size=10)) == 0


def test_a_server_that_stops_early_and_says_nothing_of_it(tmp_path: Path) -> None:
    with Hub({"o/r": {"a.gguf": DATA[:1000]}}) as hub, Web(hub.url) as web:
        with pytest.raises(CannotPull, match=r"a\.gguf was replaced at the server meanwhile \(1\.0 KB instead of 500 KB\)"):
            bring(web, remote(hub), tmp_path / "a.gguf", Watcher(), pace=QUICK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("checksum", [True, False])
def test_a_page_in_the_place_of_the_file(tmp_path: Path, checksum: bool) -> None:
    page = b"<html>" + b" " * (len(DATA) - 6)
    with Hub({"o/r": {"a.gguf": DATA}}, page=page) as hub, Web(hub.url) as web:
        with pytest.raises(CannotPull, match="no GGUF file: it is a web page"):
            bring(web, remote(hub, checksum=checksum), tmp_path / "a.gguf", Watcher(), pace=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_part_is_found_out(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    with Hub({"o/r": {"a.gguf": DATA}}, cuts=[100_000, 0, 0, 0, 0, 0]) as hub, Web(hub.url) as web:
        with pytest.raises(CannotPull):
            bring(web, remote(hub), target, Watcher(), pace=QUICK)
        hub.cuts.clear()
        with part_of(target).open("r+b") as part:  # as a power cut may leave it
            part.seek(50)
            part.write(bytes(20))
        with pytest.raises(CannotPull, match="came damaged"):
            bring(web, remote(hub), target, Watcher(), pace=QUICK)
        assert list(tmp_path.iterdir()) == []
        bring(web, remote(hub), target, Watcher(), pace=QUICK)
