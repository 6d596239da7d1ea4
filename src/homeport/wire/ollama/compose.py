"""A prompt of any dialect as a request of Ollama's own API."""

from __future__ import annotations

from typing import Any

from homeport.errors import Uncarried
from homeport.vocabulary import EMBED, GENERATE, OLLAMA_CHAT, Surface
from homeport.wire.normal import Call, Prompt, Schema, Texts, Tool, Turn, object_of
from homeport.wire.ollama.options import level, split, split_for_embedding

_FIX = "Leave it out, or ask for a model whose backend can"


def compose(prompt: Prompt | Texts, *, model: str, stream: bool, options: dict[str, Any]) -> tuple[Surface, dict[str, Any]]:
    """The path and the body of the request. `options` are the route's defaults: what the caller said wins.

    A raw prompt, and one with a gap to fill, goes to `/api/generate`, texts to `/api/embed`, all else to the chat.
    A prompt that is too long is to be refused (`truncate` false), where Ollama would cut it in silence. `think` is left
    out only where nobody said anything of it: on a model that thinks, that means true.
    Hints that Ollama does not know are left out: the `strict` of a tool or a schema, and how many tokens of thinking at
    most. Raises Uncarried: a forced tool, one call at a time, an image by its address, arguments that are no JSON object.
    """
    if isinstance(prompt, Texts):
        return EMBED, _embed(prompt, model, options)
    top, inner = split(options)
    raw = prompt.raw or bool(prompt.suffix)
    body: dict[str, Any] = {"model": model}
    body |= _text(prompt) if raw else {"messages": _messages(prompt.turns)}
    tools = _tools(prompt)
    if tools:
        if raw:
            raise Uncarried("Tools need the chat template, and this prompt goes around it. Ask in a chat.", param="tools")
        body["tools"] = tools
    if isinstance(prompt.format, Schema):
        body["format"] = prompt.format.schema
    elif prompt.format is not None:
        body["format"] = prompt.format
    if prompt.thinking is not None:
        body["think"] = level(prompt.thinking)
    inner |= _sampling(prompt)
    if inner:
        body["options"] = inner
    return GENERATE if raw else OLLAMA_CHAT, {"truncate": False} | top | body | {"stream": stream}


def _embed(texts: Texts, model: str, options: dict[str, Any]) -> dict[str, Any]:
    top, inner = split_for_embedding(options)
    body: dict[str, Any] = top | {"model": model, "input": texts.texts, "truncate": texts.truncate}
    if texts.dimensions is not None:
        body["dimensions"] = texts.dimensions
    if inner:
        body["options"] = inner
    return body


def _text(prompt: Prompt) -> dict[str, Any]:
    """A prompt for `/api/generate`: one text, and a system prompt only where the template is used."""
    turns = list(prompt.turns)
    body: dict[str, Any] = {"raw": True} if prompt.raw and not prompt.suffix else {}  # a suffix needs the template
    if len(turns) == 2 and turns[0].role == "system" and not prompt.raw and not turns[0].images:
        body["system"] = turns.pop(0).text
    if len(turns) != 1:
        raise Uncarried("A prompt without the chat template, or with a `suffix`, is one text for Ollama. Send one.", param="prompt")
    body["prompt"] = turns[0].text
    if not body["prompt"]:
        raise Uncarried("The prompt is empty, and Ollama would load its model instead of answering. Send a text.", param="prompt")
    if prompt.suffix:
        body["suffix"] = prompt.suffix
    images = _images(turns[0], "prompt")
    if images:
        body["images"] = images
    return body


def _tools(prompt: Prompt) -> list[dict[str, Any]]:
    """The tools to offer. Ollama has no `tool_choice`: none of them is none offered, and one forced is more than it can do.

    `parallel_calls` goes: engines take it for a wish (llama.cpp answers with two calls all the same), and Codex always sends it.
    """
    if not prompt.tools or prompt.tool_choice == "none":
        return []
    if prompt.tool_choice not in (None, "auto"):
        raise Uncarried(f"`tool_choice`: Ollama cannot make a model call a tool. {_FIX}.", param="tool_choice")
    return [{"type": "function", "function": _function(tool)} for tool in prompt.tools]


def _function(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters or {"type": "object", "properties": {}}}


def _sampling(prompt: Prompt) -> dict[str, Any]:
    if prompt.max_tokens is not None and prompt.max_tokens < 1:
        raise Uncarried(f"`max_tokens` is {prompt.max_tokens}, which means no limit to Ollama. Send 1 or more, or leave it out.", param="max_tokens")
    said = {
        "num_predict": prompt.max_tokens,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "top_k": prompt.top_k,
        "min_p": prompt.min_p,
        "frequency_penalty": prompt.frequency_penalty,
        "presence_penalty": prompt.presence_penalty,
        "repeat_penalty": prompt.repeat_penalty,
        "seed": prompt.seed,
        "stop": prompt.stop or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _messages(turns: list[Turn]) -> list[dict[str, Any]]:
    """The turns as messages. Raises Uncarried where there are none: Ollama would load its model instead of answering."""
    if not turns:
        raise Uncarried("There are no messages, and Ollama would load its model instead of answering. Send at least one.", param="messages")
    messages = []
    names: dict[str, str] = {}  # of the tools called so far, by the id of the call
    for number, turn in enumerate(turns):
        at = f"messages[{number}]"
        message: dict[str, Any] = {"role": turn.role, "content": _content(turn)}
        images = _images(turn, at)
        if images:
            message["images"] = images
        if turn.role == "assistant":
            if turn.reasoning:
                message["thinking"] = turn.reasoning
            if turn.calls:
                message["tool_calls"] = [_call(call, place, at) for place, call in enumerate(turn.calls)]
                names |= {call.id: call.name for call in turn.calls}
        elif turn.role == "tool":
            name = turn.name or names.get(turn.answers, "")
            if name:
                message["tool_name"] = name
            if turn.answers:
                message["tool_call_id"] = turn.answers
        messages.append(message)
    return messages


def _content(turn: Turn) -> str:
    text = "\n".join(part for part in turn.parts if isinstance(part, str))
    if turn.failed and not text.lower().startswith("error"):  # there is no other way to say it
        return "Error: " + text
    return text


def _images(turn: Turn, at: str) -> list[str]:
    for image in turn.images:
        if not image.data:
            raise Uncarried("Ollama takes images as base64, and no addresses of images. Send the image itself.", param=at)
    return [image.data for image in turn.images]


def _call(call: Call, place: int, at: str) -> dict[str, Any]:
    arguments = object_of(call.arguments)
    if arguments is None:
        raise Uncarried(f"The arguments of a tool call in `{at}` are not a JSON object, which Ollama needs. Send them as one.", param=at)
    function = {"index": place, "name": call.name, "arguments": arguments}
    return {"id": call.id, "function": function} if call.id else {"function": function}
