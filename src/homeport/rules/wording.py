"""How figures are said to people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`850 ms`, `12 s`, `5 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def watched(name: str) -> str:
    """Who was down; where another Homeport runs is not for everybody."""
    return "Another Homeport" if name.startswith("Homeport at ") else name
