"""The models in the box: where the bundled files lie, and whether they are as they were made."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
PATH: Path = FOLDER / "pilot.gguf"
PATHS: dict[str, Path] = {"pilot": PATH, "pilot-mini": FOLDER / "pilot-mini.gguf"}
INTENT: Path = FOLDER / "intent.bin"
SPANS: Path = FOLDER / "spans.bin"
CHECKSUMS: Path = FOLDER / "checksums"  # a line a file: SHA-256 in hexadecimal, two blanks, the name, as sha256sum writes it
ABOUT: dict[str, str] = {
    "pilot": "the bundled model: small, for trying out",
    "pilot-mini": "the smaller bundled model, for trying out",
}
FIX = "Install Homeport anew: pip install --force-reinstall homeport."


class Spoilt(Exception):
    """A bundled file is not as it was made; the message says which, and what to do."""


def checksums() -> dict[str, str]:
    """SHA-256 in hexadecimal by file name. Raises OSError."""
    rows = (line.split() for line in CHECKSUMS.read_text(encoding="utf-8").splitlines())
    return {row[1]: row[0] for row in rows if len(row) == 2}


def digest(path: Path) -> str | None:
    """The SHA-256 that a file should have, in hexadecimal; None where it is none of the bundled ones, or that is not known."""
    if path.parent != FOLDER:
        return None
    try:
        return checksums().get(path.name)
    except OSError:
        return None


def read(path: Path) -> bytes:
    """A small bundled file, checked. Raises Spoilt."""
    import hashlib

    try:
        data = path.read_bytes()
    except OSError as error:
        raise Spoilt(f"{path.name} cannot be read ({error.strerror}). {FIX}") from None
    wanted = digest(path)
    if wanted is not None and hashlib.sha256(data).hexdigest() != wanted:
        raise Spoilt(f"{path.name} is not as it was made. {FIX}")
    return data


def problem(path: Path) -> str | None:
    """What is wrong with a bundled file, in words; None where it is as it was made. Reads all of it: some milliseconds."""
    import hashlib

    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    try:
        wanted = checksums().get(path.name)
    except OSError as error:
        return f"{CHECKSUMS.name} cannot be read: {error.strerror}"
    if wanted is None:
        return f"{path.name} has no line in {CHECKSUMS.name}"
    return None if digest == wanted else f"{path.name} is not as it was made: its SHA-256 begins {digest[:12]}, and should begin {wanted[:12]}"
