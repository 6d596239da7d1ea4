"""The model routes: which path asks for what, in which dialect."""

from __future__ import annotations

from homeport.vocabulary import Surface
from homeport.wire.bridge import SURFACES

MODEL_ROUTES: dict[str, tuple[str, Surface]] = {surface.value: (dialect, surface) for dialect, surfaces in SURFACES.items() for surface in surfaces}
BY_URL = {path.encode(): route for path, route in MODEL_ROUTES.items()}
READ_HEADERS = frozenset(
    name.encode()
    for name in ["authorization", "x-api-key", "user-agent", "traceparent", "host", "origin", "expect", "content-length", "anthropic-version", "anthropic-beta"]
)
