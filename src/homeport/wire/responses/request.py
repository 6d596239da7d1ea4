"""Requests to `/v1/responses`, read and understood; each brings its whole conversation, since none is stored.

What goes to any backend: the input, instructions, tools (see `responses.tools`), the form of the text, sampling, how
hard to think. Hints, whose loss changes no answer, go: `truncation` among them, since a prompt that is too long is
refused here, never cut. Whatever needs the store of OpenAI is refused: `previous_response_id`, `conversation`, `prompt`,
`background`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.vocabulary import Ask, Surface
from homeport.wire.body import Reading, check_name, decode
from homeport.wire.normal import Prompt, Schema
from homeport.wire.openai.fields import effort, sort_out, uncarried
from homeport.wire.openai.understand import named_schema
from homeport.wire.responses.input import turns
from homeport.wire.responses.tools import Offer, flat, offer

_STORED = "Homeport stores no responses"
_WHOLE = "Send the whole conversation in `input`"


class _Seen(Struct):
    """What is looked at before a backend is chosen."""

    model: str
    input: str | list[Any] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    user: str | None = None


class _Reasoning(Struct):
    effort: str | None = None  # `summary` is a hint: the thinking itself is given, where the model shows it


class _Text(Struct):
    format: dict[str, Any] | None = None  # `verbosity` is a hint, as OpenAI's own models take it


class _Body(Struct, forbid_unknown_fields=True):
    """Every field of the API."""

    model: str
    # carried
    input: Any = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: Any = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    # carried where they ask for nothing special
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    background: bool | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    context_management: list[Any] | None = None
    moderation: Any = None
    # hints
    stream: Any = None
    stream_options: Any = None
    store: Any = None
    truncation: Any = None
    metadata: Any = None
    client_metadata: Any = None
    user: Any = None
    safety_identifier: Any = None
    service_tier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    max_tool_calls: Any = None  # of tools that OpenAI runs
    access_programs: Any = None
    image: Any = None


_seen = msgspec.json.Decoder(_Seen)
_bodies = msgspec.json.Decoder(_Body)


def read(body: bytes, surface: Surface) -> Reading:
    """Decode and check a body. The usage is in every response, so it is always wanted.

    Raises UnknownModel: a name that nothing can have. Malformed: not JSON, or a field of the wrong type.
    """
    fields, seen = decode(body, _seen)
    check_name(seen.model)
    if not seen.input and not seen.instructions and not {"previous_response_id", "conversation", "prompt"} & fields.keys():
        raise Malformed("`input` is missing or empty. Send a text, or a list of items.", param="input")
    stream = bool(seen.stream)
    return fields, seen.model, stream, stream, len(seen.instructions or "") + _chars(seen.input)


def _chars(given: str | list[Any] | None) -> int:
    if isinstance(given, str):
        return len(given)
    chars = 0
    for item in given or ():
        for field in ("content", "output", "arguments", "input"):
            value = item.get(field) if isinstance(item, dict) else None
            for part in value if isinstance(value, list) else [value]:
                text = part.get("text") if isinstance(part, dict) else part
                chars += len(text) if isinstance(text, str) else 0
    return chars


def understand(ask: Ask) -> Prompt:
    """What a response is asked for. Raises Malformed, or Uncarried for what only OpenAI itself can do."""
    body = sort_out(ask.fields, _bodies)
    _refuse(body)
    given = body.input
    if not isinstance(given, str | list | None):
        raise Malformed("`input` is a text, or a list of items.", param="input")
    conversation = turns(given, body.instructions)
    if not conversation:
        raise Malformed("`input` holds nothing to answer. Send a text, or a list of items.", param="input")
    if body.max_output_tokens is not None and body.max_output_tokens < 1:
        raise Malformed("`max_output_tokens` is at least 1.", param="max_output_tokens")
    made = offer(ask.fields)
    prompt = Prompt(conversation, tools=made.tools)
    _choose(prompt, body.tool_choice, made)
    prompt.parallel_calls = body.parallel_tool_calls
    prompt.format = _form(body.text)
    prompt.max_tokens, prompt.temperature, prompt.top_p = body.max_output_tokens, body.temperature, body.top_p
    prompt.thinking = effort(body.reasoning.effort) if body.reasoning is not None else None
    return prompt


def _refuse(body: _Body) -> None:
    """Raises Uncarried for what needs OpenAI's store, or its servers."""
    for name in ("previous_response_id", "conversation", "prompt"):
        if getattr(body, name):
            raise uncarried(name, _STORED, _WHOLE)
    if body.background:
        raise uncarried("background", f"{_STORED}, so none can be fetched later", "Leave it out, and stream")
    if body.context_management:
        raise uncarried("context_management", "Homeport shortens no conversation", "Leave it out, and shorten `input` yourself")
    if body.moderation:
        raise uncarried("moderation", "Homeport moderates nothing")
    if body.top_logprobs or "message.output_text.logprobs" in (body.include or ()):
        raise uncarried("top_logprobs" if body.top_logprobs else "include", "Homeport does not tell the odds of tokens here")


def _form(text: _Text | None) -> Any:
    form = (text.format if text is not None else None) or {"type": "text"}
    kind = form.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return "json"
    if kind != "json_schema":
        raise uncarried("text.format", "it knows the types text, json_object and json_schema")
    if not isinstance(form.get("schema"), dict):
        raise Malformed("`text.format.schema` is missing. Send the JSON Schema as an object, beside `type` and `name`.", param="text.format.schema")
    schema: Schema = named_schema(form, "text.format")
    return schema


def _choose(prompt: Prompt, choice: str | dict[str, Any] | None, made: Offer) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise Malformed("`tool_choice` is one of auto, none and required, or names a tool.", param="tool_choice")
        prompt.tool_choice = choice
        return
    kind = choice.get("type")
    if kind in ("function", "custom"):
        prompt.tool_choice, prompt.tool_name = "tool", _flat_name(choice, made)
    elif kind == "allowed_tools":
        tools, mode = choice.get("tools"), choice.get("mode")
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools) or mode not in ("auto", "required"):
            raise Malformed("`tool_choice.allowed_tools` takes a list of tools, and auto or required as its mode.", param="tool_choice")
        names = {_flat_name(tool, made) for tool in tools if tool.get("type") in ("function", "custom")}
        prompt.tools = [tool for tool in prompt.tools if tool.name in names]
        prompt.tool_choice = mode
    else:
        raise uncarried("tool_choice", f"{str(kind)[:40]} is no tool of the caller's own", "Choose a function")


def _flat_name(choice: dict[str, Any], made: Offer) -> str:
    name, namespace = choice.get("name"), choice.get("namespace") or ""
    if not isinstance(name, str) or not isinstance(namespace, str):
        raise Malformed("`tool_choice.name` is missing, or no string.", param="tool_choice.name")
    full = flat(name, namespace)
    if full not in made.known:
        raise Malformed(f"`tool_choice` names {full[:80]!r}, which is not among `tools`.", param="tool_choice")
    return full
