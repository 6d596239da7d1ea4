"""Is there a graphics card, and does the engine compute on it? Falling back to the processor is silent, and ten times slower."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from homeport.doctor import web
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.doctor.visit import NAMES, Visit

GPU, SPEED, DRIVER = "engine.gpu", "engine.speed", "gpu.driver"
TOOL = "nvidia-smi"
TOOL_S = 4.0
QUERY = ("--query-gpu=name,memory.total,memory.used", "--format=csv,noheader,nounits")
DEVICES = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"  # a PCI device's vendor, and the beginning of its class
IDLE_MIB = 600  # memory in use on a card that holds no model: a desktop's
PROCESSOR = 60e9  # bytes of weights read a second: beyond what a processor does, below what a card does
STANDSTILL = 2e9  # … and below this even a processor is in trouble
LARGE = 500_000_000  # bytes of weights, from where such figures mean something
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}


class Card(Struct, frozen=True):
    """One card, memory in MiB."""

    name: str
    total: int
    used: int


class Graphics(Struct, frozen=True):
    """What this machine has. `fault`: why the driver's tool says nothing, where it is there; `unused`: a card is plugged in."""

    cards: tuple[Card, ...] = ()
    fault: str = ""
    plugged_in: bool = False


def look(tool: str = TOOL, devices: Path = DEVICES) -> Graphics:
    """Ask the driver's tool, which takes at most TOOL_S, and the list of PCI devices."""
    plugged_in = any(_is_card(device) for device in devices.glob("*")) if devices.is_dir() else False
    path = shutil.which(tool)
    if path is None:
        return Graphics(fault="", plugged_in=plugged_in)
    try:
        done = subprocess.run([path, *QUERY], capture_output=True, text=True, timeout=TOOL_S, check=False)
    except subprocess.TimeoutExpired:
        return Graphics(fault=f"no answer within {TOOL_S:g} s", plugged_in=plugged_in)
    except OSError as error:
        return Graphics(fault=(error.strerror or "it cannot be run").lower(), plugged_in=plugged_in)
    rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
    cards = tuple(Card(row[0], _mib(row[1]), _mib(row[2])) for row in rows if len(row) == 3)
    if done.returncode or not cards:
        told = (done.stdout + done.stderr).strip().splitlines()
        return Graphics(fault=told[0][:200] if told else f"exit code {done.returncode}", plugged_in=plugged_in)
    return Graphics(cards, plugged_in=plugged_in)


def judge(graphics: Graphics, visits: list[Visit], speeds: Mapping[str, float]) -> Iterator[Diagnosis]:
    """What follows for this machine and each engine. `speeds`: tokens a second of each backend, where the gateway measured them."""
    why = "engines on this machine compute on the processor"
    fix = "install NVIDIA's driver, or restart the machine after an update of it; then restart the engine"
    if graphics.fault:
        yield wrong(DRIVER, f"The NVIDIA driver does not work here ({TOOL}: {graphics.fault})", why, fix)
    elif graphics.plugged_in and not graphics.cards:
        yield unsure(DRIVER, f"There is an NVIDIA card, and no {TOOL}", why, fix)
    elif graphics.cards:
        cards = ", ".join(f"{card.name}, {card.used / 1024:.1f} of {card.total / 1024:.0f} GiB in use" for card in graphics.cards)
        yield well(DRIVER, f"Graphics: {cards}")
    for visit in visits:
        if visit.good and not visit.is_homeport:
            yield from _held(graphics, visit)
            yield from _speed(graphics, visit, speeds.get(visit.backend.name))


def _held(graphics: Graphics, visit: Visit) -> Iterator[Diagnosis]:
    """Where the models lie that are in memory."""
    name, here = visit.backend.name, web.is_here(visit.url)
    for model in visit.loaded:
        share = model.on_gpu / model.size if model.size else 1.0
        if share >= 0.99:
            yield well(GPU, f"{model.name} on {name} is wholly on the graphics card")
        elif share > 0:
            yield wrong(
                GPU,
                f"{model.name} on {name} is only to {share:.0%} on the graphics card",
                f"it does not fit: {_size(model.size - model.on_gpu)} of it are computed on the processor, which sets the pace",
                "take a smaller model or quantization, a shorter context, or free the card's memory (nvidia-smi); then: ollama stop " + model.name,
            )
        elif here and graphics.cards:
            yield wrong(
                GPU,
                f"{model.name} on {name} runs on the processor, though there is a {graphics.cards[0].name}",
                "Ollama did not find the card when it started, and says so only in its log",
                "restart Ollama (systemctl restart ollama); in a container give it the card (--gpus all); else see: journalctl -u ollama",
            )
        elif not here:
            yield unsure(
                GPU,
                f"{model.name} on {name} runs on the processor",
                "slow, and not meant where that box has a graphics card",
                "there: nvidia-smi, then restart Ollama",
            )
    if here and graphics.cards and visit.models and visit.engine in ("llama.cpp", "vllm") and sum(card.used for card in graphics.cards) < IDLE_MIB:
        fix = (
            "start it with -ngl 99, from a build with CUDA" if visit.engine == "llama.cpp" else "start it where CUDA is to be had (in a container: --gpus all)"
        )
        yield wrong(GPU, f"{name} ({NAMES[visit.engine]}) does not use the {graphics.cards[0].name}", "the card's memory is empty while a model is loaded", fix)


def _speed(graphics: Graphics, visit: Visit, speed: float | None) -> Iterator[Diagnosis]:
    """Whether the measured speed is one that the model can have where it should run."""
    sizes = [size for card in visit.cards.values() if (size := weight(card.weights.size, card.weights.parameters)) >= LARGE]
    if not speed or speed <= 0 or not sizes:
        return
    read = speed * min(sizes)  # at least so many bytes a second, but for models of which each token uses a part only
    name = visit.backend.name
    told = f"{name} makes {speed:.1f} tokens a second"
    if read < STANDSTILL:
        yield wrong(
            SPEED,
            f"{told}, with a model of {_size(min(sizes))}",
            "that is slower than a processor alone: memory is short and the disk stands in for it, or something else computes there",
            "see there how much memory is free (free -h) and what is busy (top); take a smaller model",
        )
    elif graphics.cards and web.is_here(visit.url) and read < PROCESSOR:
        yield unsure(
            SPEED,
            f"{told}, with a model of {_size(min(sizes))}",
            f"that is a processor's speed, though there is a {graphics.cards[0].name}",
            "look whether the engine uses the card: nvidia-smi, while it answers",
        )


def weight(size: int, parameters: str) -> int:
    """Bytes of weights: the file's, or guessed from `7.6B` parameters at four bits each; 0 where neither is known."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB])", parameters)
    return size or (int(float(found[1]) * UNITS[found[2]] / 2) if found else 0)


def _is_card(device: Path) -> bool:
    try:
        return (device / "vendor").read_text(encoding="ascii").strip() == NVIDIA and (device / "class").read_text(encoding="ascii").startswith(DISPLAY)
    except (OSError, ValueError):
        return False


def _mib(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
