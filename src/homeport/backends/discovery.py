"""Engines on loopback, found by the ports they are known for."""

from __future__ import annotations

from pathlib import Path

from homeport import pilot
from homeport.settings import BackendSettings

KNOWN = {"ollama": 11434, "llama.cpp": 8080, "vllm": 8000, "lm-studio": 1234}  # name → default port


def candidates() -> list[BackendSettings]:
    """A backend for each engine that may be there; whether it is shows when its models are listed."""
    return [
        BackendSettings(name=name, kind="ollama" if name == "ollama" else "openai", url=f"http://127.0.0.1:{port}", connect_timeout_s=1.0)
        for name, port in KNOWN.items()
    ]


def bundled() -> BackendSettings:
    """The pilot, always there."""
    return BackendSettings(name="pilot", kind="pilot")


def weights(settings: BackendSettings) -> Path:
    """The GGUF file of a backend of kind engine or pilot."""
    if settings.kind == "pilot" and settings.model is None:
        return pilot.PATH
    assert settings.model is not None
    return settings.model


def digest(settings: BackendSettings) -> str | None:
    """The SHA-256 that the file of a bundled model has to have, in hexadecimal; None for other files."""
    return pilot.digest(weights(settings)) if settings.kind == "pilot" else None
