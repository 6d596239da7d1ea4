"""Open files: what a full house needs against what is allowed."""

from __future__ import annotations

from pathlib import Path

from homeport.doctor.descriptors import SPARE, look, needed
from homeport.settings import BackendSettings

HOUSE = [BackendSettings(name="a", kind="openai", max_in_flight=100, queue=50), BackendSettings(name="b", kind="openai", max_in_flight=4, queue=0)]
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             31000                31000                processes
Max open files            {}                 4096                 files
"""


def proc(tmp_path: Path, limit: str) -> Path:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "limits").write_text(LIMITS.format(limit), encoding="ascii")
    return tmp_path


def test_a_request_under_way_has_two_connections_and_one_that_waits_has_one() -> None:
    assert needed(HOUSE) == SPARE + 2 * 104 + 50


def test_too_few_for_the_settings(tmp_path: Path) -> None:
    [found] = look(HOUSE, 77, proc(tmp_path, "256"))
    assert found.ok is False
    assert found.what.startswith("The gateway may have 256 files open")
    assert "LimitNOFILE" in found.fix


def test_enough(tmp_path: Path) -> None:
    [found] = look(HOUSE, 77, proc(tmp_path, "1024"))
    assert found.ok is True


def test_without_a_gateway_it_is_this_commands_own(tmp_path: Path) -> None:
    [found] = look([BackendSettings(name="a", kind="openai", max_in_flight=10**9)], 78, tmp_path)
    assert found.what.startswith("A process started here may have")
