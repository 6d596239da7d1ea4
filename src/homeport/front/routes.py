"""The model routes: which path asks for what, in which dialect."""

from __future__ import annotations

from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, Surface

MODEL_ROUTES: dict[str, tuple[str, Surface]] = {surface.value: ("openai", surface) for surface in (CHAT, COMPLETIONS, EMBEDDINGS)}
BY_URL = {path.encode(): route for path, route in MODEL_ROUTES.items()}
READ_HEADERS = frozenset({b"authorization", b"x-api-key", b"user-agent", b"traceparent", b"host", b"origin", b"expect", b"content-length"})
