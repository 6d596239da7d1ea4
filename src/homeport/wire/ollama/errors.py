"""Errors in Ollama's dialect: what a refusal of Ollama's means, and Homeport's own as it would say them.

Ollama says `{"error": "text"}`. Where its runner refused, the text is llama-server's own error, JSON inside the string.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from homeport.errors import CallerError, HomeportError, Refused, TooLong, Uncarried
from homeport.wire.openai.stream import error_kind

_encode = msgspec.json.Encoder().encode
_NUMBERS = re.compile(r"\((\d+) tokens\) exceeds the available context size \((\d+) tokens\)")
_TOO_LONG = ("the prompt is longer than the context length", "the input length exceeds the context length")
_CANNOT = re.compile(r"does not support (thinking|tools|insert|chat|generate|embeddings|multimodal)")
_LACKS = {  # what Ollama calls it: what the caller does, and in which field
    "thinking": ("thinking", "think"),
    "tools": ("tools", "tools"),
    "insert": ("filling a gap before a suffix", "suffix"),
    "multimodal": ("images", "images"),
}
_CALLERS = ("invalid format: ", 'option "', "template: ")  # faults of the request that Ollama answers with status 500
_REASONS = (  # words of Ollama's own, which hold nothing of a prompt, and what a receipt may say of them
    ("server busy", "it is busy: too many requests wait"),
    ("invalid tool call arguments", "the model's tool call was cut or garbled"),
    ("process has terminated", "its runner died while it loaded the model"),
    ("error was encountered while running the model", "its runner died"),
    ("exceeds file size", "it cannot load the model: the file is cut short"),
)


def too_long(status: int, body: bytes) -> TooLong | None:
    """The refusal of a prompt that does not fit the context, with both numbers where Ollama tells them; None for any other.

    It tells them where `truncate` was false. The sentence of `shift` false and that of embeddings (400, or 500 from
    `/api/embeddings`) have none.
    """
    if status not in (400, 413, 500):
        return None
    text, error = _error(body)
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    if not (isinstance(prompt, int) and isinstance(context, int)):
        found = _NUMBERS.search(text)
        prompt, context = (int(found[1]), int(found[2])) if found is not None else (None, None)
    if prompt is not None:
        message = f"The prompt has {prompt} tokens, and the maximum context length of this model is {context} tokens, as it is loaded now."
        return TooLong(f"{message} Shorten the prompt, or raise `num_ctx`.", param="messages")
    if error.get("type") == "exceed_context_size_error" or any(known in text for known in _TOO_LONG):
        message = "The prompt exceeds the maximum context length of this model as it is loaded now; the backend does not say by how much."
        return TooLong(f"{message} Shorten the prompt, or raise `num_ctx`.", param="messages")
    return None


def refusal(status: int, body: bytes) -> HomeportError:
    """What an Ollama backend's answer other than 200 means: the caller's fault (CallerError), or a reason to go on (Refused).

    What this model cannot do is Uncarried: another route's may. A Refused carries no word of Ollama's message, which
    can quote the request.
    """
    long = too_long(status, body)
    if long is not None:
        return long
    text, error = _error(body)
    cannot = _CANNOT.search(text)
    if cannot is not None:
        what, param = _LACKS.get(cannot[1], (cannot[1], "model"))
        return Uncarried(f"The model does not support {what}. Leave that out, or ask for another model.", param=param)
    if status in (400, 413, 415, 422) or (status == 500 and text.startswith(_CALLERS)):
        rejected = CallerError((text or "The backend refused the request.")[:2000])
        rejected.status = 400 if status == 500 else status
        return rejected
    if status in (401, 403):
        return Refused(f"HTTP {status}: it does not accept the key Homeport has for it, or not this host")
    if status == 404:
        return Refused("HTTP 404: it has no such model or path")
    reason = next((reason for known, reason in _REASONS if known in text), None)
    return Refused(f"HTTP {status}: {reason}" if reason is not None else f"HTTP {status} ({error_kind(error) if error else 'no reason given'})")


def _error(body: bytes) -> tuple[str, dict[str, Any]]:
    """The message of an error, and the runner's error object where there is one."""
    inner = _object(body).get("error")
    if isinstance(inner, str):
        nested = _object(inner.encode("utf-8", "replace")).get("error") if inner.startswith("{") else None
        if not isinstance(nested, dict):
            return inner, {}
        inner = nested
    if not isinstance(inner, dict):
        return "", {}
    return str(inner.get("message") or ""), inner


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def error_body(error: HomeportError, id: str) -> bytes:
    """An error as Ollama says it: {"error": "text"}. It has no place for the request's id, which is in the headers."""
    return _encode({"error": str(error)})


def error_event(error: HomeportError, id: str) -> bytes:
    """The same as a line of a stream that is about to be aborted."""
    return error_body(error, id) + b"\n"
