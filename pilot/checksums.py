"""Writes `checksums` beside the bundled files: what `homeport.pilot` compares them with."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "src" / "homeport" / "pilot"


def main() -> int:
    """Sum up each GGUF and each table of weights."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in (".gguf", ".bin"))
    (FOLDER / "checksums").write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files), encoding="utf-8")
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.2f} MB together")
    return 0


if __name__ == "__main__":
    sys.exit(main())
