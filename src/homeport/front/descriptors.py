"""File descriptors: one for each caller and one for each connection to a backend, so the few that a shell allows are not enough."""

from __future__ import annotations

import contextlib

ENOUGH = 65_536


def allow_more() -> None:
    """Raise this process's own limit as far as the system lets it, `ENOUGH` at most; many shells and service managers begin with 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower one that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
