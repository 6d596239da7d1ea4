"""Errors met before a request is one, or on a page, wear the dialect of their path."""

from __future__ import annotations

import json

import pytest

from homeport.errors import Forbidden, Malformed, TooLarge
from homeport.front.envelopes import dialect, path_of, told
from homeport.front.routes import MODEL_ROUTES


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((path, owner) for path, (owner, _) in MODEL_ROUTES.items()),
        ("/v1/messages?beta=true", "anthropic"),
        ("/v1/messages/batches", "anthropic"),
        ("/v1/responses/resp_1", "responses"),
        ("/v1/models", "openai"),
        ("/api/pull", "ollama"),
        ("/api", "ollama"),
        ("/apish", "openai"),
        ("/status", "openai"),
        ("", "openai"),
    ],
)
def test_the_dialect_of_a_path(path: str, expected: str) -> None:
    assert dialect(path) == expected


def test_who_says_anthropic_version_is_answered_so() -> None:
    versioned = {b"anthropic-version": b"2023-06-01"}
    assert dialect("/v1/models", versioned) == "anthropic"
    assert dialect("/v1/models/nobody", versioned) == "anthropic"
    assert dialect("/v1/chat/completions", versioned) == "openai"
    assert dialect("/status", versioned) == "openai"


def test_the_envelopes() -> None:
    assert json.loads(told(Malformed("No."), "/api/chat")) == {"error": "No."}
    assert json.loads(told(TooLarge("No."), "/v1/messages")) == {"type": "error", "error": {"type": "request_too_large", "message": "No."}, "request_id": ""}
    refused = json.loads(told(Forbidden("No."), "/v1/chat/completions"))
    assert refused == {"error": {"message": "No.", "type": "permission_error", "param": None, "code": "forbidden"}}


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (b"POST /api/chat HTTP/1.1\r\nhost: x\r\n", "/api/chat"),
        (b"POST /v1/mess", "/v1/mess"),
        (b"POST", ""),
        (b"", ""),
        (b"\x16\x03\x01\x02\x00", ""),
        (b"GET /\xff HTTP/1.1\r\n", "/\xff"),
    ],
)
def test_the_path_of_a_request_as_far_as_it_came(request_: bytes, path: str) -> None:
    assert path_of(request_) == path
