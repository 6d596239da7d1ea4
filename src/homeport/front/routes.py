"""The model routes: which path asks for what, in which dialect."""

from __future__ import annotations

from homeport.vocabulary import Surface
from homeport.wire.bridge import SURFACES

MODEL_ROUTES: dict[str, tuple[str, Surface]] = {surface.value: (dialect, surface) for dialect, surfaces in SURFACES.items() for surface in surfaces}
ALSO = {f"{path}?beta=true": path for path in ("/v1/messages", "/v1/messages/count_tokens")}  # as Claude Code writes them
BY_URL = {url.encode(): MODEL_ROUTES[path] for url, path in ({path: path for path in MODEL_ROUTES} | ALSO).items()}
READ_HEADERS = frozenset(
    b"authorization x-api-key user-agent traceparent host origin expect content-length anthropic-version anthropic-beta "
    b"homeport-task homeport-checks homeport-private".split()
)
