"""The id of a run: of chance, and the same for all who share its folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from homeport.fleet.identity import FILE, identity


def test_alone_each_run_has_another() -> None:
    assert len({identity(None) for _ in range(100)}) == 100
    assert all(len(identity(None)) == 16 and int(identity(None), 16) >= 0 for _ in range(10))


def test_those_who_share_a_folder_have_one(tmp_path: Path) -> None:
    for run in range(20):
        folder = tmp_path / str(run)
        folder.mkdir()
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(identity, [folder] * 8))) == 1
        assert [path.name for path in folder.iterdir()] == [FILE]
