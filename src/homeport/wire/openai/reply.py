"""Whole OpenAI replies: what Homeport reads in them, and errors in OpenAI's envelope."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import BackendError, BrokeMidStream, CallerError, HomeportError, Refused, TaskFailed, TooLong
from homeport.vocabulary import NOTHING, Usage
from homeport.wire import usage as usage_wire
from homeport.wire.openai.stream import error_kind

_encode = msgspec.json.Encoder().encode


class _Message(Struct, gc=False):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(Struct, gc=False):
    finish_reason: Any = None
    message: _Message | None = None
    text: str | None = None


class _Whole(Struct, gc=False):
    model: Any = None
    choices: list[_Choice] | None = None
    usage: usage_wire.OpenAIUsage | None = None
    error: Any = None
    object: Any = None


_decoder = msgspec.json.Decoder(_Whole)


def read(body: bytes, asked: str) -> tuple[bytes, Usage, str | None, bool]:
    """A whole reply: its bytes under the asked name, its usage, its finish reason, and whether it is empty.

    Raises:
        BrokeMidStream: it is not a reply at all, or an error under status 200.
    """
    try:
        whole = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokeMidStream("the reply is not what the OpenAI surface answers") from None
    if whole.error or whole.object == "error":
        raise BrokeMidStream(f"the backend reported an error ({error_kind(whole.error)})")
    if isinstance(whole.model, str) and whole.model != asked:
        body = renamed(body, whole.model, asked)
    choices = whole.choices
    usage = usage_wire.counted(whole.usage) if whole.usage is not None else NOTHING
    if not choices:
        return body, usage, None, choices is not None
    first = choices[0]
    empty = not _says_something(first) and not any(map(_says_something, choices[1:]))
    return body, usage, first.finish_reason, empty


def renamed(body: bytes, theirs: str, asked: str) -> bytes:
    """The body with the backend's name for its model replaced; as JSON structure it stands with or without a blank."""
    for needle, ours in _names(theirs, asked):
        if needle in body:
            return body.replace(needle, ours, 1)
    return body


@functools.lru_cache(maxsize=256)
def _names(theirs: str, asked: str) -> tuple[tuple[bytes, bytes], ...]:
    theirs_json, ours_json = _encode(theirs), _encode(asked)
    return tuple((gap + theirs_json, gap + ours_json) for gap in (b'"model":', b'"model": '))


def _says_something(choice: _Choice) -> bool:
    message = choice.message
    if message is None:
        return bool(choice.text)
    if message.content:
        return True
    return bool(
        message.content or message.tool_calls or message.reasoning or message.reasoning_content or message.refusal or message.function_call or message.audio
    )


def model_names(body: bytes) -> list[str]:
    """The ids in a `/v1/models` list; none where it is not one."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    data = decoded.get("data") if isinstance(decoded, dict) else None
    if not isinstance(data, list):
        return []
    return [entry["id"] for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]]


def refusal(status: int, body: bytes) -> HomeportError:
    """What a backend's answer other than 200 means: the caller's fault (CallerError), or a reason to go on (Refused).

    A Refused carries no word of the engine's message: engines quote the prompt in it, and its reason goes into receipts.
    """
    error = _error_object(body)
    if status in (400, 413, 415, 422):
        message = str(error.get("message") or "The backend refused the request.")[:2000]
        param = error.get("param")
        if error.get("type") == "exceed_context_size_error" or "maximum context length" in message or param == "input_tokens":
            return TooLong(message, param="messages")
        rejected = CallerError(message, param=param if isinstance(param, str) else None, code=error["code"] if isinstance(error.get("code"), str) else None)
        rejected.status = status
        return rejected
    if status == 500 and "is too large to process" in str(error.get("message")):  # llama.cpp, of a text to embed; it names both numbers
        return TooLong(str(error["message"])[:2000], param="input")
    if status in (401, 403):
        return Refused(f"HTTP {status}: it does not accept the key Homeport has for it")
    if status == 404:
        return Refused("HTTP 404: it has no such model or path")
    kind = error_kind(error) if error else "no reason given"
    return Refused(f"HTTP {status} ({kind})")


def _error_object(body: bytes) -> dict[str, Any]:
    """The error in any of the shapes engines use: an object, a string, `detail`, or nothing readable."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    error = decoded.get("error", decoded.get("detail", decoded))
    return error if isinstance(error, dict) else {"message": str(error)}


def error_body(error: HomeportError) -> bytes:
    """An error as OpenAI's envelope: {"error": {message, type, param, code}}."""
    return _encode({"error": _error(error)})


def error_event(error: HomeportError) -> bytes:
    """The same as an event of a stream that is about to be aborted."""
    return b"data: " + _encode({"error": _error(error)}) + b"\n\n"


def _error(error: HomeportError) -> dict[str, Any]:
    code = "cut" if isinstance(error, BackendError) and error.code is None else error.code
    said = {"message": str(error), "type": error.kind, "param": error.param, "code": code}
    return {**said, "attempts": error.attempts} if isinstance(error, TaskFailed) else said


def unfold(body: bytes, *, wants_usage: bool, figures: dict[str, Any]) -> bytes:
    """A whole chat or completion as the stream its caller asked for, where a backend answers only wholes.

    Raises BrokeMidStream where its parts are not what a reply is made of.
    """
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # `read` looks at no more of it than it needs
        raise BrokeMidStream("the reply is not what the OpenAI surface answers") from None
    chat = whole.get("object") != "text_completion"
    known = {name: value for name, value in whole.items() if name not in ("choices", "usage", "object")}
    known["object"] = "chat.completion.chunk" if chat else "text_completion"
    events = []
    if not whole.get("choices"):
        raise BrokeMidStream("the reply has no choices")
    for choice in whole["choices"]:
        finish = choice.pop("finish_reason", None)
        if not finish:
            raise BrokeMidStream("the reply has no finish reason")
        if chat:
            delta = choice.pop("message", None) or {}
            calls = delta.get("tool_calls") or []
            if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
                raise BrokeMidStream("the reply is not what the OpenAI surface answers")
            for index, call in enumerate(calls):
                call.setdefault("index", index)
            events.append(known | {"choices": [choice | {"delta": delta, "finish_reason": None}]})
            events.append(known | {"choices": [{"index": choice.get("index", 0), "delta": {}, "finish_reason": finish}]})
        else:
            events.append(known | {"choices": [choice | {"finish_reason": finish}]})
    if wants_usage:
        events.append(known | {"choices": [], "usage": whole.get("usage"), "homeport": figures})
    return b"".join(b"data: " + _encode(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
