"""What an OpenAI request asks, in the normal form: chats, completions, embeddings."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from homeport.errors import Malformed
from homeport.vocabulary import CHAT, EMBEDDINGS, Ask
from homeport.wire.normal import Call, Image, Prompt, Schema, Texts, Tool, Turn
from homeport.wire.openai.fields import effort, json_text, picture, sort_out, uncarried


class _Called(Struct, forbid_unknown_fields=True):
    name: str
    arguments: str | dict[str, Any] | None = None


class _ToolCall(Struct, forbid_unknown_fields=True):
    id: str | None = None
    type: str | None = None
    function: _Called | None = None
    custom: Any = None
    index: Any = None  # a hint: deltas that were sent back as they came


class _Message(Struct, forbid_unknown_fields=True):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None  # of a tool; a speaker's is a hint, templates leave it out
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    function_call: _Called | None = None  # the older way to call
    audio: Any = None
    # hints: what a reply had when it was sent back as it came
    annotations: Any = None
    id: Any = None
    status: Any = None
    cache_control: Any = None
    reasoning_details: Any = None
    provider_specific_fields: Any = None  # of LiteLLM's own


class _Function(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(Struct):
    type: str
    function: _Function | None = None


class _Sampled(Struct, forbid_unknown_fields=True):
    """What chats and completions share."""

    model: str
    # carried
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None  # llama.cpp's name
    repetition_penalty: float | None = None  # vLLM's name for the same
    seed: int | None = None
    response_format: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = None  # llama.cpp's
    structured_outputs: dict[str, Any] | None = None  # vLLM's
    # carried where they ask for nothing special
    n: int | None = None
    logprobs: bool | int | None = None
    logit_bias: dict[str, Any] | None = None
    # hints, whose loss changes no answer
    stream: Any = None
    stream_options: Any = None
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    cache_prompt: Any = None
    keep_alive: Any = None


class _Chat(_Sampled, forbid_unknown_fields=True, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    think: bool | str | None = None
    thinking_budget_tokens: int | None = None  # llama.cpp's
    thinking_token_budget: int | None = None  # vLLM's
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    verbosity: Any = None  # a hint: how much OpenAI's own models say
    prediction: Any = None  # a hint: it only makes the same answer faster


class _Completion(_Sampled, forbid_unknown_fields=True, kw_only=True):
    prompt: str | list[Any] | None = None
    suffix: str | None = None
    best_of: int | None = None
    echo: bool | None = None


class _Embedding(Struct, forbid_unknown_fields=True):
    model: str
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: Any = None
    stream: Any = None  # vectors come whole


_chats = msgspec.json.Decoder(_Chat)
_completions = msgspec.json.Decoder(_Completion)
_embeddings = msgspec.json.Decoder(_Embedding)


def understand(ask: Ask) -> Prompt | Texts:
    """What a chat, a completion or an embedding asks. Raises Malformed, or Uncarried for what no other dialect can say."""
    if ask.surface is EMBEDDINGS:
        return _texts(sort_out(ask.fields, _embeddings))
    if ask.surface is CHAT:
        return _chat(sort_out(ask.fields, _chats))
    return _completion(sort_out(ask.fields, _completions))


def _chat(body: _Chat) -> Prompt:
    prompt = Prompt([_turn(message, f"messages[{number}]") for number, message in enumerate(body.messages)])
    _sample(prompt, body, body.max_completion_tokens)
    if body.logprobs and body.logprobs is not True:
        raise Malformed("`logprobs` is true or false here.", param="logprobs")
    if body.modalities not in (None, ["text"]):
        raise uncarried("modalities", "it answers in text only")
    prompt.tools = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(body.tools or ())]
    _choose(prompt, body.tool_choice)
    prompt.parallel_calls = body.parallel_tool_calls
    prompt.thinking = effort(body.reasoning_effort) if body.think is None else body.think
    for name, value in (body.chat_template_kwargs or {}).items():
        if name in ("enable_thinking", "thinking") and isinstance(value, bool):
            prompt.thinking = value
        elif name == "reasoning_effort" and isinstance(value, str):
            prompt.thinking = effort(value)
        elif value is not None:
            raise uncarried(f"chat_template_kwargs.{name}", "it is a word of one model's own chat template")
    prompt.thinking_tokens = body.thinking_token_budget if body.thinking_budget_tokens is None else body.thinking_budget_tokens
    return prompt


def _completion(body: _Completion) -> Prompt:
    text = body.prompt
    if isinstance(text, list) and len(text) == 1 and isinstance(text[0], str):
        text = text[0]
    if text is None:
        raise Malformed("`prompt` is missing. Send the text to go on with.", param="prompt")
    if not isinstance(text, str):
        raise uncarried("prompt", "it takes one text, and neither several nor token ids", "Send one string a request")
    if body.best_of not in (None, 1):
        raise uncarried("best_of", "it gives one answer a request", "Leave it out, and ask several times")
    if body.echo:
        raise uncarried("echo", "it does not repeat the prompt", "Leave it out: the prompt is yours already")
    if body.logprobs is not None and body.logprobs is not False:
        raise uncarried("logprobs", "it does not tell the odds of its tokens")
    prompt = Prompt([Turn("user", [text])], raw=True, suffix=body.suffix or "")
    _sample(prompt, body, None)
    return prompt


def _sample(prompt: Prompt, body: _Sampled, max_tokens: int | None) -> None:
    """What is asked of every token, and the form of the answer."""
    if body.n not in (None, 1):
        raise uncarried("n", "it gives one answer a request", "Leave it out, and ask several times")
    if body.logprobs or getattr(body, "top_logprobs", None):
        raise uncarried("logprobs", "it does not tell the odds of its tokens")
    if body.logit_bias:
        raise uncarried("logit_bias", "its token ids belong to one tokenizer")
    most = max_tokens if max_tokens is not None else body.max_tokens
    if most == 0:
        raise Malformed("`max_tokens` is 0, so there is nothing to answer. Send 1 or more.", param="max_tokens")
    prompt.max_tokens = most if most is None or most > 0 else None  # llama.cpp takes -1 for: no limit
    prompt.stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    prompt.temperature, prompt.top_p, prompt.top_k, prompt.min_p = body.temperature, body.top_p, body.top_k, body.min_p
    prompt.frequency_penalty, prompt.presence_penalty = body.frequency_penalty, body.presence_penalty
    prompt.repeat_penalty = body.repeat_penalty if body.repetition_penalty is None else body.repetition_penalty
    prompt.seed = body.seed
    prompt.format = _form(body)


def _form(body: _Sampled) -> Any:
    if body.structured_outputs:
        if set(body.structured_outputs) == {"json"} and isinstance(body.structured_outputs["json"], dict):
            return Schema(body.structured_outputs["json"])
        raise uncarried("structured_outputs", "beside a schema under `json` it takes none of vLLM's forms", "Send a JSON Schema in `response_format`")
    if body.json_schema is not None:
        return Schema(body.json_schema)
    form = body.response_format or {"type": "text"}
    kind = form.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        schema = form.get("schema")  # llama.cpp and others
        return Schema(schema) if isinstance(schema, dict) else "json"
    if kind != "json_schema":
        raise uncarried("response_format", "it knows the types text, json_object and json_schema")
    asked = form.get("json_schema")
    if not isinstance(asked, dict) or not isinstance(asked.get("schema"), dict):
        raise Malformed("`response_format.json_schema.schema` is missing. Send the JSON Schema as an object.", param="response_format")
    return named_schema(asked, "response_format.json_schema")


def named_schema(asked: dict[str, Any], param: str) -> Schema:
    """`{schema, name, strict}` as a Schema; a description is a hint. Raises Malformed."""
    name, strict = asked.get("name"), asked.get("strict")
    if not isinstance(name, str | None) or not isinstance(strict, bool | None):
        raise Malformed(f"`{param}` takes a string as its name, and true or false as `strict`.", param=param)
    return Schema(asked["schema"], name=name or "answer", strict=strict)


def _tool(tool: _Tool, param: str) -> Tool:
    if tool.type != "function":
        raise uncarried(param, f"tools are functions here, not {tool.type!r}", "Offer a function instead")
    if tool.function is None:
        raise Malformed(f"`{param}.function` is missing.", param=f"{param}.function")
    return Tool(tool.function.name, tool.function.description or "", tool.function.parameters, tool.function.strict)


def _choose(prompt: Prompt, choice: str | dict[str, Any] | None) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise Malformed("`tool_choice` is one of auto, none and required, or names a function.", param="tool_choice")
        prompt.tool_choice = choice
        return
    function = choice.get("function")
    if choice.get("type") != "function" or not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise uncarried("tool_choice", "it takes auto, none, required, or one function's name")
    prompt.tool_choice, prompt.tool_name = "tool", function["name"]


def _turn(message: _Message, param: str) -> Turn:
    if message.audio is not None:
        raise uncarried(f"{param}.audio", "it takes text and images only")
    role = "system" if message.role == "developer" else message.role
    parts = _parts(message.content, param)
    if role in ("tool", "function"):
        return Turn("tool", parts, answers=message.tool_call_id or "", name=message.name or "")
    if role in ("system", "user"):
        return Turn("system" if role == "system" else "user", parts)
    if role != "assistant":
        raise Malformed(f"`{param}.role` is {message.role!r}; it is one of system, developer, user, assistant and tool.", param=f"{param}.role")
    if message.refusal:
        parts = [*parts, message.refusal]
    calls = [_call(call, f"{param}.tool_calls[{number}]") for number, call in enumerate(message.tool_calls or ())]
    if message.function_call is not None:
        calls.append(Call("", message.function_call.name, _arguments(message.function_call)))
    return Turn("assistant", parts, reasoning=message.reasoning_content or message.reasoning or "", calls=calls)


def _call(call: _ToolCall, param: str) -> Call:
    if call.function is None:
        raise uncarried(param, "calls are of functions here", "Offer the tool as a function")
    return Call(call.id or "", call.function.name, _arguments(call.function))


def _arguments(called: _Called) -> str:
    return called.arguments or "{}" if not isinstance(called.arguments, dict) else json_text(called.arguments)


def _parts(content: str | list[dict[str, Any]] | None, param: str) -> list[str | Image]:
    if not content:
        return []
    if isinstance(content, str):
        return [content]
    return [_part(part, f"{param}.content[{number}]") for number, part in enumerate(content)]


def _part(part: dict[str, Any], param: str) -> str | Image:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        text = part.get(kind)
        if not isinstance(text, str):
            raise Malformed(f"`{param}.{kind}` is missing, or no string.", param=param)
        return text
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        if not isinstance(url, str):
            raise Malformed(f"`{param}.image_url.url` is missing, or no string.", param=param)
        return picture(url, param)
    raise uncarried(param, f"it takes text and images, and no part of type {str(kind)[:40]!r}", "Send its text, or an image of it")


def _texts(body: _Embedding) -> Texts:
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not all(isinstance(text, str) for text in texts):
        raise uncarried("input", "its token ids belong to one tokenizer", "Send the texts")
    if body.encoding_format not in (None, "float", "base64"):
        raise Malformed("`encoding_format` is float or base64.", param="encoding_format")
    return Texts(texts, dimensions=body.dimensions, base64=body.encoding_format == "base64")
