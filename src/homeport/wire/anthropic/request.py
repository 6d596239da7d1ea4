"""Anthropic requests: a body read once, what it asks in no dialect, and the body for a backend that speaks Anthropic's.

Source of the format: Anthropic's Messages API and the types of its SDK. Of its fields

    carried     messages system max_tokens stop_sequences temperature top_p top_k tools tool_choice thinking
                output_config (format, effort) output_format
    hints       metadata service_tier cache_control context_management diagnostics speed betas fallback_credit_token
                billing_policy user_profile_id workspace_id, and `display` of thinking: no answer changes without them
    uncarried   container mcp_servers compaction thread fallbacks inference_geo, server tools, and whatever is unknown
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import Malformed, Uncarried
from homeport.vocabulary import COUNT_TOKENS, MESSAGES, Ask, Surface
from homeport.wire.anthropic.compose import BUDGETS, DEFAULT_MAX_TOKENS, compose, defaults, think_by_default
from homeport.wire.anthropic.turns import turns_of
from homeport.wire.body import Reading, check_name, decode
from homeport.wire.body import value as body_value
from homeport.wire.normal import Prompt, Schema, Texts, Tool

__all__ = ["DEFAULT_MAX_TOKENS", "compose", "passing", "read", "understand"]

_encode = msgspec.json.Encoder().encode


class _Message(Struct, gc=False):
    role: str
    content: str | list[dict[str, Any]]


class _CountBody(Struct, gc=False, kw_only=True):
    """What Homeport looks at in `/v1/messages/count_tokens`; everything else passes through."""

    model: str
    messages: list[_Message]
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


class _Body(_CountBody, gc=False, kw_only=True):
    """The same of `/v1/messages`, which needs a limit."""

    max_tokens: int


_decoders: dict[Surface, msgspec.json.Decoder[Any]] = {
    MESSAGES: msgspec.json.Decoder(_Body),
    COUNT_TOKENS: msgspec.json.Decoder(_CountBody),
}


def read(body: bytes, surface: Surface) -> Reading:
    """Decode and check a request body. A stream of this dialect always tells its usage.

    Raises:
        UnknownModel: a name that nothing can have.
        Malformed: not JSON, nested too deep, or a field of the wrong type; `param` names the field.
    """
    fields, seen = decode(body, _decoders[surface])
    check_name(seen.model)
    if not seen.messages:
        raise Malformed("`messages` is empty. Send at least one message.", param="messages")
    chars = _chars(seen.system)
    for message in seen.messages:
        content = message.content
        chars += len(content) if type(content) is str else _chars(content)
    if surface is COUNT_TOKENS:
        return fields, seen.model, False, False, chars
    if seen.max_tokens < 0:
        raise Malformed(f"`max_tokens` is {seen.max_tokens}; it must be positive.", param="max_tokens")
    stream = bool(seen.stream)
    return fields, seen.model, stream, stream, chars


def _chars(content: Any) -> int:
    """Characters of text in blocks, those of tool results included."""
    if isinstance(content, str):
        return len(content)
    if not isinstance(content, list):
        return 0
    return sum(_chars(block.get("text")) + _chars(block.get("content")) for block in content if isinstance(block, dict))


def passing(ask: Ask, *, model: str, stream: bool, options: dict[str, Any]) -> bytes:
    """The body for a backend of the same dialect: the caller's fields, with its model's name there.

    `options` are defaults, in any dialect's words: a field the caller sent wins. Counting takes none of them.
    """
    fields = ask.fields
    if ask.surface is COUNT_TOKENS:
        return _encode({**fields, "model": model})
    out: dict[str, Any] = dict(fields)
    if options:
        given, think = defaults(options)
        out = {**given, **fields}
        think_by_default(out, think, body_value(fields["max_tokens"]))
    if _UNSIGNED.search(bytes(fields["messages"])):
        out["messages"] = _without_unsigned(body_value(fields["messages"]))
    out["model"] = model
    if stream or "stream" in out:
        out["stream"] = stream
    return _encode(out)


def _without_unsigned(messages: list[Any]) -> list[Any]:
    """The messages without thoughts that nobody signed: those of other backends, which Anthropic refuses."""
    kept = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            said = [block for block in content if not (isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature"))]
            if not said:  # nothing but a thought: a turn of nothing is refused too
                continue
            kept.append({**message, "content": said})
        else:
            kept.append(message)
    return kept


_UNSIGNED = re.compile(rb'"signature":\s*""')


_HINTS = frozenset({"metadata", "service_tier", "cache_control", "context_management", "diagnostics", "speed", "betas"})
_HINTS |= {"fallback_credit_token", "billing_policy", "user_profile_id", "workspace_id"}
_CARRIED = frozenset({"model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k"})
_CARRIED |= {"tools", "tool_choice", "thinking", "output_config", "output_format"}


def understand(ask: Ask) -> Prompt | Texts:
    """What the caller asked, in no dialect. Null counts as absent.

    A last turn of the assistant is a prefill: it stays the last turn. Raises Malformed or Uncarried; `param` names the field.
    """
    given = {}
    for name, raw in ask.fields.items():
        if name in _HINTS:
            continue
        value = body_value(raw)
        if value is None:
            continue
        if name not in _CARRIED and value not in ([], {}):
            raise Uncarried(f"`{name}` cannot be said to the backend, which does not speak Anthropic's dialect. Leave it out.", param=name)
        given[name] = value
    if given.get("max_tokens") == 0:
        raise Uncarried("`max_tokens` is 0, which only warms a cache; the backend has none of that kind. Ask for a token or more.", param="max_tokens")
    prompt = Prompt(
        turns=turns_of(given.get("system"), given["messages"]),
        tools=[_tool(tool, f"tools[{number}]") for number, tool in enumerate(given.get("tools", ()))],
        stop=given.get("stop_sequences", []),
        max_tokens=given.get("max_tokens"),
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        top_k=given.get("top_k"),
    )
    _understand_choice(prompt, given.get("tool_choice", {}))
    _understand_output(prompt, given)
    return prompt


def _tool(tool: dict[str, Any], at: str) -> Tool:
    kind = tool.get("type") or "custom"
    if kind != "custom":
        raise Uncarried(f"`{at}` is {str(kind)[:60]!r}, a tool that Anthropic's servers run; the backend has none. Leave it out.", param=f"{at}.type")
    known = ("name", "description", "input_schema", "strict", "input_examples", "type", "cache_control", "eager_input_streaming", "allowed_callers")
    for name, value in tool.items():
        if (name not in known and value) or (name == "allowed_callers" and value not in (None, [], ["direct"])):
            raise Uncarried(f"`{at}.{name}` cannot be said to the backend, which does not speak Anthropic's dialect. Leave it out.", param=f"{at}.{name}")
    if not isinstance(tool.get("name"), str) or not isinstance(tool.get("description") or "", str):
        raise Malformed(f"`{at}` needs a name, and a description that is text.", param=f"{at}.name")
    schema = tool.get("input_schema")
    if schema is not None and not isinstance(schema, dict):
        raise Malformed(f"`{at}.input_schema` is not an object.", param=f"{at}.input_schema")
    if tool.get("input_examples"):  # JSON Schema's own word for them
        schema = {**(schema or {"type": "object"}), "examples": tool["input_examples"]}
    strict = tool.get("strict")
    return Tool(tool["name"], tool.get("description") or "", schema, strict if isinstance(strict, bool) else None)


def _understand_choice(prompt: Prompt, choice: dict[str, Any]) -> None:
    kind = choice.get("type")
    if kind == "tool":
        if not isinstance(choice.get("name"), str):
            raise Malformed("`tool_choice.name` is missing. Name the tool.", param="tool_choice.name")
        prompt.tool_choice, prompt.tool_name = "tool", choice["name"]
    elif isinstance(kind, str) and kind in _CHOICES:
        prompt.tool_choice = _CHOICES[kind]
    elif choice:
        raise Malformed("`tool_choice.type` is not one of auto, any, tool and none.", param="tool_choice.type")
    if choice.get("disable_parallel_tool_use"):
        prompt.parallel_calls = False


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _understand_output(prompt: Prompt, given: dict[str, Any]) -> None:
    """`thinking`, `output_config` and the older `output_format`. Adaptive thinking leaves it to the model, as saying nothing does."""
    thinking = given.get("thinking", {})
    kind = thinking.get("type")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if budget is not None and (type(budget) is not int or budget < 0):
            raise Malformed("`thinking.budget_tokens` is not a number of tokens.", param="thinking.budget_tokens")
        prompt.thinking, prompt.thinking_tokens = True, budget
    elif kind == "disabled":
        prompt.thinking = False
    elif thinking and kind != "adaptive":
        raise Uncarried(f"`thinking.type` {str(kind)[:60]!r} cannot be said to the backend. Use enabled, adaptive or disabled.", param="thinking.type")
    config = given.get("output_config", {})
    if not isinstance(config, dict):
        raise Malformed("`output_config` is not an object.", param="output_config")
    for name, value in config.items():
        if name not in ("effort", "format") and value is not None:
            raise Uncarried(f"`output_config.{name}` cannot be said to the backend. Leave it out.", param=f"output_config.{name}")
    effort = config.get("effort")
    if effort is not None and prompt.thinking is not False:
        if not isinstance(effort, str) or effort not in BUDGETS:
            raise Malformed("`output_config.effort` is not one of low, medium, high, xhigh and max.", param="output_config.effort")
        prompt.thinking = effort
    form = config.get("format") or given.get("output_format")
    if form is not None:
        if not isinstance(form, dict) or form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
            raise Malformed("The output's format is not of type json_schema, with a schema.", param="output_config.format")
        prompt.format = Schema(form["schema"])
