"""Silent fall-back to the processor: where it shows, and the driver's tool as it answers and as it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.graphics import Card, Graphics, judge, look, weight
from homeport.doctor.visit import Loaded, Visit
from homeport.settings import BackendSettings
from homeport.vocabulary import Card as ModelCard
from homeport.vocabulary import Weights

RTX = Card("NVIDIA GeForce RTX 4090", 24564, 20000)
EMPTY = Card("NVIDIA GeForce RTX 4090", 24564, 300)
HERE, THERE = "http://127.0.0.1:11434", "http://192.168.1.20:11434"


def seen(url: str = HERE, engine: str = "ollama", on_gpu: int | None = None, size: int = 5_000_000_000) -> Visit:
    loaded = () if on_gpu is None else (Loaded("qwen3:8b", size, on_gpu),)
    cards = {"qwen3:8b": ModelCard(engine=engine, weights=Weights(size=size))}
    backend = BackendSettings(name="home", kind="ollama", url=url)
    return Visit(backend=backend, named=True, connected=True, status=200, engine=engine, models=("qwen3:8b",), cards=cards, loaded=loaded)


def by_check(graphics: Graphics, visit: Visit, **speeds: float) -> dict[str, Diagnosis]:
    return {one.check: one for one in judge(graphics, [visit], speeds)}


def test_a_model_that_is_wholly_on_the_card_is_well() -> None:
    found = by_check(Graphics((RTX,)), seen(on_gpu=5_000_000_000))
    assert found["engine.gpu"].ok is found["gpu.driver"].ok is True
    assert found["gpu.driver"].what == "Graphics: NVIDIA GeForce RTX 4090, 19.5 of 24 GiB in use"


@pytest.mark.parametrize("url", [HERE, THERE])
def test_one_that_does_not_fit_is_told_wherever_it_is(url: str) -> None:
    found = by_check(Graphics(), seen(url, on_gpu=3_000_000_000))["engine.gpu"]
    assert found.ok is False
    assert "only to 60% on the graphics card" in found.what and "2.0 GB" in found.why


def test_one_on_the_processor_beside_a_card_is_wrong() -> None:
    found = by_check(Graphics((EMPTY,)), seen(on_gpu=0))["engine.gpu"]
    assert found.ok is False
    assert "runs on the processor, though there is a NVIDIA GeForce RTX 4090" in found.what
    assert "--gpus all" in found.fix


def test_one_on_the_processor_without_a_card_is_as_it_must_be() -> None:
    assert by_check(Graphics(), seen(on_gpu=0)) == {}


def test_one_on_the_processor_elsewhere_may_be_meant() -> None:
    assert by_check(Graphics((RTX,)), seen(THERE, on_gpu=0))["engine.gpu"].ok is None


@pytest.mark.parametrize(("engine", "fix"), [("llama.cpp", "-ngl 99"), ("vllm", "CUDA")])
def test_an_engine_that_leaves_the_card_empty(engine: str, fix: str) -> None:
    found = by_check(Graphics((EMPTY,)), seen(engine=engine))["engine.gpu"]
    assert found.ok is False and fix in found.fix
    assert "engine.gpu" not in by_check(Graphics((RTX,)), seen(engine=engine))
    assert "engine.gpu" not in by_check(Graphics((EMPTY,)), seen(THERE, engine=engine))  # that box has cards of its own


@pytest.mark.parametrize(("speed", "ok"), [(0.2, False), (6.0, None), (60.0, "well")])
def test_a_speed_that_is_a_processors(speed: float, ok: Any) -> None:
    found = by_check(Graphics((RTX,)), seen(), home=speed).get("engine.speed")
    assert (found.ok if found else "well") == ok


def test_a_speed_without_a_card_is_what_it_is() -> None:
    assert "engine.speed" not in by_check(Graphics(), seen(), home=6.0)
    assert "engine.speed" not in by_check(Graphics((RTX,)), seen(size=20_000_000), home=6.0)  # a small model tells nothing
    assert "engine.speed" not in by_check(Graphics((RTX,)), seen())


def test_how_much_a_model_weighs() -> None:
    assert weight(123, "7.6B") == 123
    assert weight(0, "8B") == 4_000_000_000
    assert weight(0, "135.5M") == 67_750_000
    assert weight(0, "") == weight(0, "many") == 0


def tool(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_tool_is_read(tmp_path: Path) -> None:
    path = tool(tmp_path, 'echo "NVIDIA H100 80GB HBM3, 81559, 1024"; echo "NVIDIA H100 80GB HBM3, 81559, [N/A]"')
    assert look(path, tmp_path).cards == (Card("NVIDIA H100 80GB HBM3", 81559, 1024), Card("NVIDIA H100 80GB HBM3", 81559, 0))


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ('echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9', "NVIDIA-SMI has failed because it couldn't"),
        ('echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18', "Failed to initialize NVML"),
        ("exit 3", "exit code 3"),
        ("sleep 60", "no answer within 0.3 s"),
    ],
)
def test_a_driver_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, fault: str) -> None:
    monkeypatch.setattr("homeport.doctor.graphics.TOOL_S", 0.3 if "sleep" in script else 10)
    found = look(tool(tmp_path, script.replace("sleep", "exec sleep")), tmp_path)
    assert found.fault.startswith(fault)
    [told] = judge(found, [], {})
    assert (told.check, told.ok) == ("gpu.driver", False)


def test_a_card_without_its_tool(tmp_path: Path) -> None:
    for name, vendor, kind in (("a", "0x10de", "0x030000"), ("b", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n", encoding="ascii")
        (tmp_path / name / "class").write_text(kind + "\n", encoding="ascii")
    missing = str(tmp_path / "no-such-tool")
    [told] = judge(look(missing, tmp_path), [], {})
    assert (told.check, told.ok) == ("gpu.driver", None)
    (tmp_path / "a" / "vendor").write_text("0x1002\n", encoding="ascii")
    assert list(judge(look(missing, tmp_path), [], {})) == []
    assert look(missing, tmp_path / "none") == Graphics()
