"""The exception tree: whose fault it is, and whether another backend could help.

    HomeportError
    ├── CallerError            the request's fault: another backend would refuse it too
    │   ├── Malformed          400  the body or a field of it is not what the surface takes
    │   ├── Uncarried          400  what the request asks cannot be said in the dialect of the backend
    │   ├── TooLong            400  the prompt does not fit the model's context
    │   ├── TooLarge           413  the body exceeds server.max_body_mb
    │   ├── Unauthenticated    401  no key, or one that is not ours
    │   ├── Forbidden          403  a key that may not do this
    │   ├── UnknownModel       404  no model of that name is served
    │   ├── UnknownTask        404  no task of that name is served
    │   └── OverBudget         429  the key's limit is reached
    ├── BackendError           the backend's fault: the next route may do better
    │   ├── Unreachable             no connection: refused, timed out, no such host, still starting
    │   ├── Refused                 an answer that is a refusal: 5xx, 429, a wrong upstream key
    │   ├── Stalled                 silent beyond one of its clocks
    │   └── BrokeMidStream          the answer ended before its end, or ended with an error
    ├── NoRouteLeft            503  every allowed route failed, or their queues are full
    ├── Looped                 508  a request came back to a gateway that it had come through
    ├── NotReplayed            503  a backend died of it, as it seems: it is not tried at another
    ├── TaskFailed             502  no model gave an answer that holds; 503 where none answered at all
    ├── Stopping               503  this gateway is going down, and the answer was not done in time
    ├── ClientLeft                  the caller hung up; never held against a backend
    └── BadSettings            exit 2  a configuration that cannot be used

Every message says what happened, why, and what to do about it; none holds a prompt, an answer or a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class HomeportError(Exception):
    """The root of all errors Homeport raises on purpose."""

    status = 500  # HTTP status shown to the caller
    kind = "server_error"  # OpenAI `error.type`
    code: str | None = None  # OpenAI `error.code`
    param: str | None = None  # OpenAI `error.param`: the field at fault
    retry_after_s: int | None = None  # seconds, sent as Retry-After
    should_retry: bool | None = None  # False: sent as x-should-retry, where a retry cannot help


class CallerError(HomeportError):
    """The request itself is at fault; no backend is tried, or no other one would do better."""

    status = 400
    kind = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param or self.param
        self.code = code or self.code


class Malformed(CallerError):
    """A body that is not JSON, or a field of the wrong type; `param` names it."""


class Uncarried(CallerError):
    """What the request asks cannot be said in the dialect of the backend; another route may speak the caller's."""

    code = "not_carried"


class TooLong(CallerError):
    """A prompt that does not fit the context of the model."""

    code = "context_length_exceeded"


class TooLarge(CallerError):
    """A body larger than `server.max_body_mb`."""

    status = 413
    code = "body_too_large"


class Unauthenticated(CallerError):
    """No key where one is needed, or a key that is not ours."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"


class Forbidden(CallerError):
    """A key that may not do this."""

    status = 403
    kind = "permission_error"
    code = "forbidden"


class UnknownModel(CallerError):
    """No model of that name is served here; the message offers the nearest."""

    status = 404
    code = "model_not_found"
    param = "model"


class UnknownTask(CallerError):
    """No task of that name is served here; the message offers the nearest."""

    status = 404
    code = "task_not_found"


class OverBudget(CallerError):
    """The key's rate or budget is used up."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"
    retry_after_s = 1


class BackendError(HomeportError):
    """One backend failed one attempt; the journey may go on to the next route."""

    status = 503
    outcome = "failed"  # Attempt.outcome in the receipt
    gone = False  # the backend went away with it: the next connection was refused
    frozen = False  # nothing else came from that backend meanwhile either
    one_name = False  # it says nothing of what else that backend serves
    retry_in_s: float | None = None  # when it may be asked again, where that is known


class Unreachable(BackendError):
    """No connection to the backend."""

    outcome = "unreachable"


class Refused(BackendError):
    """The backend answered with a refusal that another backend may not share."""

    outcome = "refused"


class Stalled(BackendError):
    """The backend was silent longer than one of its clocks allows."""

    outcome = "stalled"
    overdue = False  # it was not silent: its time in all was up


class BrokeMidStream(BackendError):
    """The answer stopped before its end, or ended with an error."""

    outcome = "broke"


class NoRouteLeft(HomeportError):
    """Every allowed route failed, or none had room within the queue's time."""

    status = 503
    kind = "server_error"
    code = "no_route"
    retry_after_s = 5


class Looped(HomeportError):
    """Homeports send a request to one another in a circle."""

    status = 508
    code = "loop"
    should_retry = False


class NotReplayed(HomeportError):
    """The backend went away with a request of a kind that engines have died of; it is not tried at another."""

    status = 503
    code = "not_replayed"
    should_retry = False


class TaskFailed(HomeportError):
    """No model gave an answer that holds; `attempts` has what each met, in order."""

    status = 502
    code = "task_failed"

    def __init__(self, message: str, attempts: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.attempts = list(attempts)


class Stopping(HomeportError):
    """This gateway is going down, and the answer was not done within the drain's time."""

    status = 503
    code = "stopping"
    retry_after_s = 5


class ClientLeft(HomeportError):
    """The caller hung up; whatever was being done for it stops now."""

    status = 499


class BadSettings(HomeportError):
    """A configuration that cannot be used: where, what is wrong, and what was probably meant."""
