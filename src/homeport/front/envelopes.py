"""In which dialect an error is told that was met before a request was read as one, or on a page: that of its path."""

from __future__ import annotations

from collections.abc import Container

from homeport.errors import HomeportError
from homeport.front.routes import MODEL_ROUTES
from homeport.wire.dialects import HEARD


def dialect(path: str, headers: Container[bytes] = ()) -> str:
    """The dialect of a path; elsewhere under `/v1` it is Anthropic's for who says `anthropic-version`, else OpenAI's."""
    path = path.partition("?")[0]
    if path in MODEL_ROUTES:
        return MODEL_ROUTES[path][0]
    if path == "/api" or path.startswith("/api/"):
        return "ollama"
    if path.startswith("/v1/messages") or (path.startswith("/v1/") and b"anthropic-version" in headers):
        return "anthropic"
    return "responses" if path.startswith("/v1/responses") else "openai"


def told(error: HomeportError, path: str, headers: Container[bytes] = ()) -> bytes:
    """An error as the body of an answer at that path. No request's id is in it: there is no receipt it could lead to."""
    return HEARD[dialect(path, headers)].error_body(error, "")


def path_of(request: bytes) -> str:
    """The path in the first line of a request, as far as it came."""
    return request[:2048].partition(b"\r\n")[0].partition(b" ")[2].partition(b" ")[0].decode("latin-1")
