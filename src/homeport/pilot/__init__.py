"""The model in the box: where the bundled pilot's GGUF file lies."""

from __future__ import annotations

from pathlib import Path

PATH: Path = Path(__file__).with_name("pilot.gguf")
