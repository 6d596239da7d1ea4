"""The model routes: which path asks for what, in which dialect."""

from __future__ import annotations

import re

from homeport.vocabulary import Surface
from homeport.wire.bridge import SURFACES

MODEL_ROUTES: dict[str, tuple[str, Surface]] = {surface.value: (dialect, surface) for dialect, surfaces in SURFACES.items() for surface in surfaces}
ALSO = {f"{path}?beta=true": path for path in ("/v1/messages", "/v1/messages/count_tokens")}  # as Claude Code writes them
BY_URL = {url.encode(): MODEL_ROUTES[path] for url, path in ({path: path for path in MODEL_ROUTES} | ALSO).items()}
POSTS = tuple(b"POST " + url + b" HTTP/1." for url in BY_URL)  # how requests to them begin
_TASK = re.compile(rb"POST (/tasks/\w{1,64}) HTTP/1\.")
READ_HEADERS = frozenset(
    b"authorization x-api-key user-agent traceparent host origin expect content-length anthropic-version anthropic-beta "
    b"homeport-task homeport-checks homeport-private homeport-via x-request-id x-forwarded-for".split()
)


def task_called(request: bytes) -> str | None:
    """The path of a task, where a request begins as a call of one whose name needs no decoding; any other is a page's."""
    found = _TASK.match(request)
    return found[1].decode("ascii") if found is not None else None
