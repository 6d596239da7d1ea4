"""A prompt of any dialect as the request of an Anthropic backend, and what a route's options mean there."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import Uncarried
from homeport.wire.anthropic.turns import messages_of
from homeport.wire.normal import Prompt, Schema, Tool

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
DEFAULT_MAX_TOKENS = 4096  # the API needs a limit; this one stands where neither caller nor route gave one
MIN_BUDGET = 1024  # tokens of thinking; the API refuses less
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}  # tokens of thinking by level
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def compose(prompt: Prompt, *, model: str, stream: bool, options: dict[str, Any]) -> dict[str, Any]:
    """The body of a backend's `/v1/messages`. `options` are defaults, in any dialect's words.

    Without a limit the answer gets DEFAULT_MAX_TOKENS, and what it may think comes on top, since the API counts both as
    one. How hard to think becomes a budget (BUDGETS), which engines and older models know; where the route's options
    say `thinking = { type = "adaptive" }`, it becomes an effort, which newer models want. The thinking of earlier turns
    is left out (see anthropic_turns). Raises Uncarried.
    """
    _refuse(prompt)
    out, think = defaults(options)
    system, messages = messages_of(prompt.turns)
    out |= {"model": model, "messages": messages, "stream": stream}
    said = {
        "system": system or None,
        "max_tokens": prompt.max_tokens,
        "stop_sequences": prompt.stop or None,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "top_k": prompt.top_k,
    }
    out |= {name: value for name, value in said.items() if value is not None}
    _compose_tools(out, prompt)
    if isinstance(prompt.format, Schema):
        out["output_config"] = {**_table(out, "output_config"), "format": {"type": "json_schema", "schema": prompt.format.schema}}
    thinking = True if prompt.thinking is None and prompt.thinking_tokens else prompt.thinking
    limit = out["max_tokens"] if type(out.get("max_tokens")) is int else None
    if thinking is None:
        think_by_default(out, think, limit)
    elif thinking in (False, "none") or not _answers_calls(messages):  # else the turn goes on, and thinking belonged to its beginning
        _think(out, thinking, prompt.thinking_tokens, limit)
    out.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    return out


def _refuse(prompt: Prompt) -> None:
    """Raises Uncarried for what the API has no field for."""
    no_field = {
        "prompt": prompt.raw or None,
        "suffix": prompt.suffix or None,
        "seed": prompt.seed,
        "min_p": prompt.min_p or None,
        "frequency_penalty": prompt.frequency_penalty or None,
        "presence_penalty": prompt.presence_penalty or None,
        "repeat_penalty": prompt.repeat_penalty if prompt.repeat_penalty != 1 else None,
    }
    for name, value in no_field.items():
        if value is not None:
            raise Uncarried(f"`{name}` cannot be said to the backend, which speaks Anthropic's dialect. Leave it out, or use another model.", param=name)
    if prompt.format == "json":
        raise Uncarried("JSON without a schema cannot be asked of the backend, which speaks Anthropic's dialect. Send a schema.", param="response_format")


def _compose_tools(out: dict[str, Any], prompt: Prompt) -> None:
    if not prompt.tools:
        if prompt.tool_choice in ("required", "tool"):
            raise Uncarried("`tool_choice` asks for a tool, and there are no tools. Send `tools` too.", param="tool_choice")
        return
    out["tools"] = [_tool_json(tool) for tool in prompt.tools]
    choice: dict[str, Any] = {}
    if prompt.tool_choice == "tool":
        choice = {"type": "tool", "name": prompt.tool_name}
    elif prompt.tool_choice is not None:
        choice = {"type": _CHOICES[prompt.tool_choice]}
    if prompt.parallel_calls is False and prompt.tool_choice != "none":
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    if choice:
        out["tool_choice"] = choice


def _tool_json(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", **(tool.parameters or {"properties": {}})}
    out: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description:
        out["description"] = tool.description
    if tool.strict:
        out["strict"] = True
    return out


def _think(out: dict[str, Any], thinking: bool | str, tokens: int | None, limit: int | None) -> None:
    """Say in `out` whether and how hard to think. Raises Uncarried for a level without a name, or a limit without room."""
    if thinking is False or thinking == "none":
        out["thinking"] = {"type": "disabled"}
        return
    if thinking is not True and thinking not in BUDGETS:
        raise Uncarried(f"The backend cannot be told to think {str(thinking)[:60]!r}; it knows {', '.join(BUDGETS)}.", param="reasoning_effort")
    if tokens is None and _table(out, "thinking").get("type") == "adaptive":
        if thinking is not True:
            out["output_config"] = {**_table(out, "output_config"), "effort": "low" if thinking == "minimal" else thinking}
        return
    budget = tokens or BUDGETS["medium" if thinking is True else thinking]
    if limit is None:
        out["max_tokens"] = DEFAULT_MAX_TOKENS + budget
    else:
        budget = min(budget, limit - 1)
    if budget < MIN_BUDGET:
        raise Uncarried(f"Thinking takes {MIN_BUDGET} tokens or more of the limit at this backend. Allow more, or ask for no thinking.", param="max_tokens")
    out["thinking"] = {"type": "enabled", "budget_tokens": budget}


def think_by_default(out: dict[str, Any], think: Any, limit: int | None) -> None:
    """What a route's options say of thinking, where nothing else does and it can be said: no caller is refused for it."""
    known = isinstance(think, bool) or (isinstance(think, str) and (think == "none" or think in BUDGETS))
    room = limit is None or limit > MIN_BUDGET or think in (False, "none")
    if known and room and "thinking" not in out and (think in (False, "none") or _may_think(out)):
        _think(out, think, None, limit)


def _may_think(out: dict[str, Any]) -> bool:
    """Whether Anthropic takes thinking beside the rest: no sampling of one's own, no forced tool, no prefill, no open calls."""
    said = _decode(_encode({name: out[name] for name in ("tool_choice", "temperature", "top_k", "messages") if name in out}))  # some are raw JSON
    choice, messages = said.get("tool_choice") or {}, said.get("messages") or []
    forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    sampled = said.get("temperature") not in (None, 1) or said.get("top_k") is not None
    prefilled = bool(messages) and isinstance(messages[-1], dict) and messages[-1].get("role") == "assistant"
    return not (forced or sampled or prefilled or _answers_calls(messages))


def _answers_calls(messages: list[Any]) -> bool:
    """Whether a turn of the assistant goes on that called tools and shows no thought: the API wants the thought first."""
    turns = [message for message in messages if isinstance(message, dict)]
    last = next((turn.get("content") for turn in reversed(turns) if turn.get("role") == "assistant"), None)
    blocks = [block for block in last if isinstance(block, dict)] if isinstance(last, list) else []
    return any(block.get("type") == "tool_use" for block in blocks) and not any(block.get("type") == "thinking" for block in blocks)


def _table(out: dict[str, Any], name: str) -> dict[str, Any]:
    value = out.get(name)
    return value if isinstance(value, dict) else {}


_RENAMED = {"stop": "stop_sequences", "num_predict": "max_tokens", "max_completion_tokens": "max_tokens"}
_ELSEWHERE = frozenset({"think", "reasoning_effort", "seed", "keep_alive", "num_ctx", "num_keep", "min_p", "frequency_penalty", "presence_penalty"})
_ELSEWHERE |= {"repeat_penalty", "repeat_last_n", "stream_options", "response_format", "format", "n", "logprobs", "top_logprobs", "logit_bias"}


def defaults(options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """A route's options as fields of this dialect, and whether to think (`think`, `reasoning_effort`).

    What only other dialects have is left out: a model's options stand for all of its routes.
    """
    out = {name: value for name, value in options.items() if name not in _ELSEWHERE and name not in _RENAMED}
    for name, ours in _RENAMED.items():
        value = options.get(name)
        if value is None or (ours == "max_tokens" and (type(value) is not int or value <= 0)):
            continue
        out.setdefault(ours, [value] if name == "stop" and isinstance(value, str) else value)
    return out, options.get("think", options.get("reasoning_effort"))
