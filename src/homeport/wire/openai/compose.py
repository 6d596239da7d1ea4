"""A prompt of any dialect as the request of an OpenAI backend: llama.cpp, vLLM, or one like them."""

from __future__ import annotations

from typing import Any

from homeport.errors import Uncarried
from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, Surface
from homeport.wire.normal import Image, Prompt, Schema, Texts, Tool, Turn

_OLLAMA_ONLY = frozenset({"keep_alive", "num_ctx"})  # options of a route that say how Ollama holds a model
_SIGNATURES = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}  # base64 of a file's first bytes


def compose(prompt: Prompt | Texts, *, model: str, stream: bool, options: dict[str, Any]) -> tuple[Surface, dict[str, Any]]:
    """The path and the body of the request. `options` are the route's defaults: what the caller said wins.

    A raw prompt, and one with a gap to fill, goes to `/v1/completions`, texts to `/v1/embeddings`, all else to the chat.
    Where engines have two names for one thing, both are sent: what an engine does not know it ignores. Raises Uncarried.
    """
    if isinstance(prompt, Texts):  # nothing is sampled, so no option applies; a text too long is refused, never cut
        body: dict[str, Any] = {"model": model, "input": prompt.texts}
        if prompt.dimensions is not None:
            body["dimensions"] = prompt.dimensions
        return EMBEDDINGS, body
    raw = prompt.raw or bool(prompt.suffix)
    body = {"model": model}
    body |= _text(prompt) if raw else _chat(prompt, options.get("think"))
    body |= _sampling(prompt)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return COMPLETIONS if raw else CHAT, _with_defaults(body, options)


def _with_defaults(body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    if not options:
        return body
    defaults = {name: value for name, value in options.items() if name not in _OLLAMA_ONLY and name != "think"}
    if "max_tokens" in body:
        defaults.pop("max_completion_tokens", None)
    words, theirs = defaults.get("chat_template_kwargs"), body.get("chat_template_kwargs")
    if isinstance(words, dict) and theirs is not None:
        body["chat_template_kwargs"] = words | theirs
    return defaults | body


def _text(prompt: Prompt) -> dict[str, Any]:
    turn = prompt.turns[0] if len(prompt.turns) == 1 else None
    if turn is None or turn.images:
        raise Uncarried("A prompt without the chat template, or with a `suffix`, is one text here: no system prompt and no images.", param="suffix")
    if prompt.tools:
        raise Uncarried("Tools need the chat template, and this prompt goes around it. Ask in a chat.", param="tools")
    body: dict[str, Any] = {"prompt": turn.text}
    if prompt.suffix:
        raise Uncarried("`suffix` cannot be carried over: llama.cpp and vLLM ignore it. Ask a model whose backend is Ollama, or leave it out.", param="suffix")
    return body


def _chat(prompt: Prompt, think: Any) -> dict[str, Any]:
    last = prompt.turns[-1] if prompt.turns else None
    if last is not None and last.role == "assistant" and not last.calls:
        raise Uncarried(
            "The last message is the assistant's own (a prefill). Engines repeat it or begin anew, so it cannot be carried over. End with the user's.",
            param="messages",
        )
    body: dict[str, Any] = {"messages": _messages(prompt.turns)}
    if prompt.tools:  # vLLM refuses an empty list, and a choice without tools
        body["tools"] = [{"type": "function", "function": _said(_function(tool))} for tool in prompt.tools]
        if prompt.tool_choice == "tool":
            body["tool_choice"] = {"type": "function", "function": {"name": prompt.tool_name}}
        elif prompt.tool_choice is not None:
            body["tool_choice"] = prompt.tool_choice
        if prompt.parallel_calls is not None:
            body["parallel_tool_calls"] = prompt.parallel_calls
    thinking = think if prompt.thinking is None else prompt.thinking
    if isinstance(thinking, bool):
        body["chat_template_kwargs"] = {"enable_thinking": thinking}
    elif isinstance(thinking, str):
        body["reasoning_effort"] = thinking
    if prompt.thinking_tokens is not None and thinking is not False:
        body["thinking_budget_tokens"] = prompt.thinking_tokens  # llama.cpp's; vLLM's would be refused unless it was started for it
    return body


def _function(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}  # engines want one
    return {"name": tool.name, "description": tool.description or None, "parameters": parameters, "strict": tool.strict}


def _sampling(prompt: Prompt) -> dict[str, Any]:
    body = _said(
        {
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            "top_k": prompt.top_k,
            "min_p": prompt.min_p,
            "frequency_penalty": prompt.frequency_penalty,
            "presence_penalty": prompt.presence_penalty,
            "repeat_penalty": prompt.repeat_penalty,  # llama.cpp's name
            "repetition_penalty": prompt.repeat_penalty,  # vLLM's
            "seed": prompt.seed,
            "stop": prompt.stop or None,
        }
    )
    form = prompt.format
    if isinstance(form, Schema):
        body["response_format"] = {"type": "json_schema", "json_schema": _said({"name": form.name, "schema": form.schema, "strict": form.strict})}
    elif form == "json":
        body["response_format"] = {"type": "json_object"}
    return body


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _messages(turns: list[Turn]) -> list[dict[str, Any]]:
    messages = []
    open_calls: list[tuple[str, str]] = []  # ids and names of calls without a result so far
    for number, turn in enumerate(turns):
        message: dict[str, Any] = {"role": turn.role, "content": _content(turn)}
        if turn.role == "assistant":
            if turn.images:
                raise Uncarried("An assistant's message has an image in it, and a chat takes images from its user only.", param="messages")
            message["content"] = message["content"] or ("" if not turn.calls else None)
            if turn.reasoning:
                message["reasoning_content"] = turn.reasoning
            if turn.calls:
                ids = [call.id or f"call_{number}_{index}" for index, call in enumerate(turn.calls)]
                open_calls = [(id, call.name) for id, call in zip(ids, turn.calls, strict=True)]
                message["tool_calls"] = [
                    {"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                    for id, call in zip(ids, turn.calls, strict=True)
                ]
        elif turn.role == "tool":
            message["tool_call_id"] = _answered(turn, open_calls) or f"call_{number}"
            if turn.name:
                message["name"] = turn.name
        messages.append(message)
    return messages


def _answered(turn: Turn, open_calls: list[tuple[str, str]]) -> str:
    """The id of the call that a result answers; where the dialect has none: the first open call of that name, or the first."""
    if turn.answers:
        open_calls[:] = [call for call in open_calls if call[0] != turn.answers]
        return turn.answers
    call = next((call for call in open_calls if call[1] == turn.name), open_calls[0] if open_calls else None)
    if call is None:
        return ""
    open_calls.remove(call)
    return call[0]


def _content(turn: Turn) -> str | list[dict[str, Any]]:
    """Text alone is one string, as the narrowest chat template takes it; with images it is a list of parts."""
    parts = turn.parts
    if turn.failed and not turn.text.lower().startswith("error"):  # there is no other way to say it
        parts = ["Error:", *parts]
    if all(isinstance(part, str) for part in parts):
        return "\n".join(part for part in parts if isinstance(part, str))
    return [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image_url", "image_url": {"url": _url(part)}} for part in parts]


def _url(image: Image) -> str:
    if image.url:
        return image.url
    kind = image.media_type or next((kind for start, kind in _SIGNATURES.items() if image.data.startswith(start)), "image/png")
    return f"data:{kind};base64,{image.data}"
