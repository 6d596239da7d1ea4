"""What an Ollama request asks, in the normal form: chats, prompts, embeddings.

What cannot be carried: another template, the `context` of an earlier answer, log probabilities, roles of one model's
own, and the samplers that other engines do not have. `truncate` and `shift` are hints here: no other backend cuts a
prompt in silence, so at worst it is refused.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.vocabulary import EMBED, OLD_EMBED, OLLAMA_CHAT, Ask
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.ollama.options import NEUTRAL, KnownOptions, Number
from homeport.wire.openai.fields import json_text, sort_out, uncarried

_PICTURES = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}  # how their base64 begins


class _Called(Struct, forbid_unknown_fields=True):
    name: str = ""
    arguments: dict[str, Any] | None = None
    index: int | None = None


class _ToolCall(Struct, forbid_unknown_fields=True):
    function: _Called
    id: str | None = None
    type: str | None = None


class _Message(Struct, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None  # the older name of `tool_name`


class _Function(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(Struct, forbid_unknown_fields=True):
    function: _Function
    type: str = "function"
    items: Any = None  # a field of Ollama's own type, which means nothing


class _Asked(Struct, forbid_unknown_fields=True):
    """What chat and generate share."""

    model: str
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    options: KnownOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    # hints, whose loss changes no answer
    stream: Any = None
    keep_alive: Any = None
    truncate: Any = None
    shift: Any = None


class _Chat(_Asked, forbid_unknown_fields=True, kw_only=True):
    messages: list[_Message] | None = None
    tools: list[_Tool] | None = None


class _Generate(_Asked, forbid_unknown_fields=True, kw_only=True):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    images: list[str] | None = None
    template: str | None = None
    context: list[int] | None = None


class _Embed(Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[str] | None = None
    dimensions: int | None = None
    truncate: bool | None = None
    # hints: nothing is sampled
    options: Any = None
    keep_alive: Any = None


class _OldEmbed(Struct, forbid_unknown_fields=True):
    model: str
    prompt: str | None = None
    options: Any = None
    keep_alive: Any = None


_chats = msgspec.json.Decoder(_Chat)
_prompts = msgspec.json.Decoder(_Generate)
_embeds = msgspec.json.Decoder(_Embed)
_old_embeds = msgspec.json.Decoder(_OldEmbed)


def understand(ask: Ask) -> Prompt | Texts:
    """What a request asks. `/api/embed` cuts a text that is too long unless it is told not to, `/api/embeddings` never.

    Raises Malformed, or Uncarried for what no other dialect can say; `param` names the field.
    """
    if ask.surface is EMBED:
        body = sort_out(ask.fields, _embeds)
        texts = [body.input] if isinstance(body.input, str) else body.input or []
        return Texts(texts, dimensions=body.dimensions, truncate=body.truncate is not False)
    if ask.surface is OLD_EMBED:
        return Texts([sort_out(ask.fields, _old_embeds).prompt or ""])
    return _chat(sort_out(ask.fields, _chats)) if ask.surface is OLLAMA_CHAT else _generate(sort_out(ask.fields, _prompts))


def _chat(body: _Chat) -> Prompt:
    prompt = Prompt([_turn(message, f"messages[{number}]") for number, message in enumerate(body.messages or ())])
    for number, tool in enumerate(body.tools or ()):
        if tool.type != "function":
            raise uncarried(f"tools[{number}].type", f"tools are functions here, not {tool.type[:40]!r}", "Offer a function instead")
        told = tool.function
        prompt.tools.append(Tool(told.name, told.description or "", told.parameters, told.strict))
    return _shape(prompt, body)


def _generate(body: _Generate) -> Prompt:
    if body.template:
        raise uncarried("template", "its engine has one template a model, and the request cannot change it")
    if body.context:
        raise uncarried("context", "these tokens are of one model in one engine", "Send the conversation to /api/chat as messages")
    turns = [Turn("system", [body.system])] if body.system else []
    turns.append(Turn("user", [*([body.prompt] if body.prompt else []), *map(_picture, body.images or ())]))
    return _shape(Prompt(turns, raw=bool(body.raw), suffix=body.suffix or ""), body)


def _turn(message: _Message, param: str) -> Turn:
    role = "system" if message.role == "developer" else message.role or ""
    parts: list[str | Image] = [message.content] if message.content else []
    parts += map(_picture, message.images or ())
    if role in ("system", "user"):
        return Turn("system" if role == "system" else "user", parts)
    if role == "tool":
        return Turn("tool", parts, answers=message.tool_call_id or "", name=message.tool_name or message.name or "")
    if role != "assistant":
        raise uncarried(f"{param}.role", f"{role[:40]!r} is a role of one model's own template", "Use one of system, user, assistant and tool")
    calls = [Call(call.id or "", call.function.name, json_text(call.function.arguments or {})) for call in message.tool_calls or ()]
    return Turn("assistant", parts, reasoning=message.thinking or "", calls=calls)


def _picture(data: str) -> Image:
    """An image as Ollama takes it: base64 without a media type, which is told from the first bytes."""
    return Image(data=data, media_type=next((kind for begin, kind in _PICTURES.items() if data.startswith(begin)), ""))


def _shape(prompt: Prompt, body: _Asked) -> Prompt:
    """The form of the answer, and what is asked of every token."""
    if body.logprobs or body.top_logprobs:
        raise uncarried("logprobs" if body.logprobs else "top_logprobs", "it does not tell the odds of its tokens")
    if isinstance(body.format, dict):
        prompt.format = Schema(body.format)
    elif body.format:
        prompt.format = "json"  # `read` let no other word pass
    prompt.thinking = None if body.think == "" else body.think
    options = body.options
    if options is None:
        return prompt
    for name, neutral in NEUTRAL.items():
        if getattr(options, name) not in (None, neutral):
            raise uncarried(f"options.{name}", "its engine samples without it")
    most, seed = _whole(options.num_predict, "num_predict"), _whole(options.seed, "seed")
    prompt.max_tokens = most if most is not None and most > 0 else None  # 0, -1 and -2: no limit of its own
    prompt.seed = seed if seed is not None and seed >= 0 else None  # -1: another one each time
    prompt.top_k = _whole(options.top_k, "top_k")
    prompt.stop = [options.stop] if isinstance(options.stop, str) else options.stop or []
    prompt.temperature, prompt.top_p, prompt.min_p = options.temperature, options.top_p, options.min_p
    prompt.frequency_penalty, prompt.presence_penalty = options.frequency_penalty, options.presence_penalty
    prompt.repeat_penalty = options.repeat_penalty
    return prompt


def _whole(number: Number, name: str) -> int | None:
    """Ollama drops what is behind the point, so the caller means it so."""
    if number is None or isinstance(number, int):
        return number
    if not math.isfinite(number):
        raise Malformed(f"`options.{name}` is no number that can be used.", param=f"options.{name}")
    return int(number)
