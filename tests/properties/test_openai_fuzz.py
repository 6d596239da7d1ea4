"""Whatever stands in the fields of an OpenAI request or reply, it is understood or refused; nothing else is ever raised."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import BrokeMidStream, CallerError
from homeport.vocabulary import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, Surface
from homeport.wire.normal import Answer, Prompt, Texts, gather
from homeport.wire.openai import compose as openai_compose
from homeport.wire.openai import pieces as openai_pieces
from homeport.wire.openai import understand as openai_understand
from homeport.wire.openai import writer as openai_writer
from homeport.wire.responses import reply as responses_reply
from homeport.wire.responses import request as responses_request
from homeport.wire.responses.stream import Writer
from tests.unit.wire.openai_samples import ask, heard


def one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


names = one_of("look text input patch auto none function user assistant tool system message custom namespace") | st.text(max_size=5)
leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | names
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6)


def mostly(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[value] * 15, anything)


def objects(needed: dict[str, st.SearchStrategy[Any]] | None = None, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these fields, now and then of another type, and now and then one that is unknown."""
    some = st.fixed_dictionaries(needed or {}, optional={name: mostly(value) for name, value in fields.items()})
    return st.builds(dict.__or__, some, mostly(st.just({})).map(lambda extra: extra if isinstance(extra, dict) else {}))


kinds = one_of(
    "text image_url refusal input_text output_text input_image input_file reasoning_text summary_text message function_call function_call_output "
    "custom_tool_call custom_tool_call_output tool_search_call tool_search_output reasoning item_reference web_search_call additional_tools function "
    "custom namespace tool_search web_search json_schema json_object"
)
urls = st.sampled_from(["data:image/png;base64,AAAA", "data:,x", "https://example.com/a", "nonsense"])
parts = objects({"type": kinds}, text=st.text(max_size=5), refusal=names, image_url=urls | objects(url=urls))
content = st.text(max_size=8) | st.lists(parts, max_size=3)
called = objects(
    {"name": names}, arguments=st.sampled_from(["{}", '{"a": 1}', "{", ""]), description=names, parameters=objects(type=names), strict=st.booleans()
)
chat_calls = objects({"function": called}, id=names, type=st.just("function"))
roles = st.sampled_from(["user", "assistant", "system", "developer", "tool"])
messages = objects(
    {"role": roles}, content=content, tool_calls=st.lists(chat_calls, max_size=2), tool_call_id=names, reasoning_content=names, function_call=called
)
schema = objects(type=names)
form_kinds = st.sampled_from(["text", "json_object", "json_schema"])
forms = objects({"type": form_kinds, "schema": schema}, json_schema=objects({"schema": schema}, name=names, strict=st.booleans()), name=names)
chat_tools = objects({"type": st.just("function"), "function": called})
tool_kinds = one_of("function custom tool_search web_search mcp")
tools = objects({"type": tool_kinds, "name": names}, description=names, parameters=objects(type=names), execution=st.just("client"), format=forms)
groups = tools | objects({"type": st.just("namespace"), "name": names}, tools=st.lists(tools, max_size=2))
items = objects(
    {"type": kinds, "role": roles, "call_id": names, "name": names},
    content=content,
    namespace=names,
    arguments=names,
    input=names,
    output=content,
    tools=st.lists(groups, max_size=2),
    execution=st.just("client"),
)
sampling = {"n": st.just(1), "max_tokens": st.integers(-1, 5), "stop": names, "response_format": forms, "temperature": st.floats(0, 2), "seed": st.integers()}
bodies: dict[Surface, st.SearchStrategy[dict[str, Any]]] = {
    CHAT: objects(
        {"messages": st.lists(messages, min_size=1, max_size=3)},
        tools=st.lists(chat_tools, max_size=2),
        tool_choice=st.sampled_from(["auto", "none", "required"]) | tools,
        reasoning_effort=names,
        chat_template_kwargs=objects(enable_thinking=st.booleans()),
        **sampling,
    ),
    COMPLETIONS: objects({"prompt": names | st.lists(names, max_size=2)}, suffix=names, echo=st.booleans(), **sampling),
    EMBEDDINGS: objects({"input": names | st.lists(names, max_size=2)}, dimensions=st.integers(1, 3), encoding_format=st.sampled_from(["float", "base64"])),
    RESPONSES: objects(
        {"input": names | st.lists(items, min_size=1, max_size=4)},
        instructions=names,
        tools=st.lists(groups, max_size=3),
        tool_choice=st.sampled_from(["auto", "none", "required"]) | tools,
        text=objects(format=forms),
        reasoning=objects(effort=names),
        include=st.lists(names, max_size=1),
        metadata=st.dictionaries(names, names, max_size=1),
    ),
}
answers = st.builds(
    Answer,
    text=names,
    reasoning=names,
    calls=st.just([]),
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(bodies)).flatmap(lambda surface: st.tuples(st.just(surface), bodies[surface])), answers)
def test_any_request_is_understood_or_refused(given_: tuple[Surface, dict[str, Any]], answer: Answer) -> None:
    surface, body = given_
    try:
        asked = ask(surface, body)
        prompt: Prompt | Texts = (responses_request if surface is RESPONSES else openai_understand).understand(asked)
        path, made = openai_compose.compose(prompt, model="theirs", stream=True, options={"think": False, "temperature": 1})
    except CallerError as refused:
        assert refused.status in (400, 404) and str(refused)
        return
    json.dumps(made)
    assert path in (CHAT, COMPLETIONS, EMBEDDINGS)
    if surface is RESPONSES:
        json.loads(responses_reply.whole(asked, answer))
        writer = Writer(asked, 1)
        assert writer.write([openai_pieces.pieces(openai_writer.whole(ask(CHAT, {"messages": [{"role": "user"}]}), answer))[0]]) is not None


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    objects(
        choices=st.lists(objects(index=st.just(0), message=messages, delta=messages, text=names, finish_reason=names, stop_reason=names), max_size=2),
        usage=objects(prompt_tokens=st.integers(0, 5), completion_tokens=st.integers(0, 5)),
    )
)
def test_any_reply_is_read_or_broken(reply: dict[str, Any]) -> None:
    data = json.dumps(reply).encode()
    for read in (lambda: gather(openai_pieces.pieces(data)), lambda: openai_pieces.vectors(data), lambda: heard(b"data: " + data + b"\n\n")):
        with contextlib.suppress(BrokeMidStream):
            read()
