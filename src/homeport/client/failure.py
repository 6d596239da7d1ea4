"""What a call can raise: three errors of the client's own, and those of `homeport.errors` that a gateway told.

HomeportError
    ├── NoGateway     none of the gateways answers: what each met, and how to start one
    ├── TimedOut      a gateway lives, but the answer was not there in time
    ├── Cut           an answer ended before its end: what came so far is not whole
    └── …             what a gateway said: Unauthenticated, UnknownModel, TooLong, NoRouteLeft … of `homeport.errors`
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from homeport import errors
from homeport.errors import CallerError, HomeportError

STRANGER = "is no Homeport gateway. Set HOMEPORT_URL to the right address, or start one: homeport up"
HOW_TO = "Start one: homeport up; or set HOMEPORT_URL to where one runs"


class NoGateway(HomeportError):
    """None of the gateways answers; the message names each and what it met."""

    status = 503


class TimedOut(HomeportError):
    """The answer was not there in time, although the gateway lives."""

    status = 504


class Cut(HomeportError):
    """An answer that ended before its end, or with an error. What came of it must not be taken for the whole."""

    status = 502
    code = "cut"


def told(status: int, body: bytes, headers: Mapping[str, str], url: str) -> HomeportError:
    """The error a gateway's answer stands for: of the class of `homeport.errors` with its code, else its status."""
    message, details = _read(body)
    if status == 401:
        message = f"{message or 'A key is needed.'} Give it as key=…, or set HOMEPORT_KEY."
    if message is None:
        return HomeportError(f"what answers at {url} (status {status}) {STRANGER}")
    code = details.get("code")
    code = code if isinstance(code, str) else None
    error = _class(status, code)(message)
    error.status, error.code = status, code
    for name, field in (("kind", "type"), ("param", "param")):
        if isinstance(details.get(field), str):
            setattr(error, name, details[field])
    wait_s = retry_after(headers)
    error.retry_after_s = None if wait_s is None else round(wait_s)
    error.should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    if request := headers.get("x-request-id"):
        error.add_note(f"{url}, x-request-id {request}")
    return error


def broken_off(event: Mapping[str, Any]) -> Cut:
    """The error event that ends a stream, as an exception."""
    message, details = _told(event)
    error = Cut(message or "the answer broke off")
    error.code = details["code"] if isinstance(details.get("code"), str) else error.code
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After asks to wait (a number or a date); None where it says nothing that can be read."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _class(status: int, code: str | None) -> type[HomeportError]:
    tree = list(_tree(HomeportError))
    for error in tree:
        if code is not None and vars(error).get("code") == code and error.__module__ == errors.__name__:
            return error
    by_status: dict[int, type[HomeportError]] = {400: errors.Malformed, 401: errors.Unauthenticated, 403: errors.Forbidden, 413: errors.TooLarge}
    by_status |= {429: errors.OverBudget, 503: errors.NoRouteLeft}
    return by_status.get(status, CallerError if 400 <= status < 500 else HomeportError)


def _tree(root: type[HomeportError]) -> Iterator[type[HomeportError]]:
    for child in root.__subclasses__():
        yield child
        yield from _tree(child)


def _read(body: bytes) -> tuple[str | None, Mapping[str, Any]]:
    try:
        value = json.loads(body)
    except ValueError:
        return None, {}
    return _told(value) if isinstance(value, dict) else (None, {})


def _told(value: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """Message and details of an error in any dialect's shape: an object or a text under `error`, or the fields of an error event itself."""
    error = value.get("error", value if value.get("type") == "error" else None)
    if isinstance(error, dict):
        message = error.get("message")
        return (message if isinstance(message, str) and message else None), error
    return (error if isinstance(error, str) and error else None), {}
