"""Tools of the Responses API as functions of a chat, and the way back from a call to the item its caller expects.

Four kinds are carried, since whoever asked runs them: `function`; `namespace`, a group of tools whose names get its
name in front; `custom`, whose input is plain text and becomes a function with one string; `tool_search` that the caller
runs. A grammar of a custom tool is told to the model, not enforced: the tool reads its input strictly anyway.

What OpenAI runs on its own servers is refused, with two exceptions. `web_search` beside other tools is an offer that a
model may leave, and Codex makes it unasked. A `tool_search` that the server runs finds tools that were sent along, and
those are all offered at once here. Neither is in the reply's `tools`, which lists what the model was offered.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from homeport.errors import Malformed
from homeport.wire.body import value
from homeport.wire.normal import Tool
from homeport.wire.openai.fields import json_text, uncarried

_SEARCHES = ("web_search", "web_search_preview")  # dated names begin so
_LATER = (b'"tool_search_output"', b'"additional_tools"')  # items of the input that bring tools
_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], "additionalProperties": False}
_RUN_BY_OPENAI = "it is a tool that OpenAI runs, and a model you host yourself has no such thing"


class Offered(Struct, frozen=True):
    """What a function of the chat is to the caller."""

    kind: Literal["function", "custom", "tool_search"]
    name: str
    namespace: str = ""


class Offer(Struct):
    """The tools of one request."""

    tools: list[Tool] = []
    known: dict[str, Offered] = {}  # by the function's name
    shown: list[dict[str, Any]] = []  # as they were sent, less what the model is not offered

    def called(self, name: str) -> Offered:
        """What the caller knows a called function as; one that was never offered is a function of that name."""
        return self.known.get(name) or Offered("function", name)

    def add(self, tools: Any, param: str, *, show: bool = True) -> None:
        """Take in a list of tools. Raises Malformed, or Uncarried."""
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise Malformed(f"`{param}` is a list of objects.", param=param)
        for number, tool in enumerate(tools):
            if self._take(tool, f"{param}[{number}]", "", alone=len(tools) == 1) and show:
                self.shown.append(tool)

    def _take(self, tool: dict[str, Any], param: str, namespace: str, *, alone: bool) -> bool:
        kind = tool.get("type", "function" if namespace else None)
        if kind in ("function", "custom"):
            self._offer(tool, param, Offered(kind, _name(tool, param), namespace))
            return True
        if kind == "namespace" and not namespace:
            name, tools = _name(tool, param), tool.get("tools")
            if not isinstance(tools, list) or not all(isinstance(one, dict) for one in tools):
                raise Malformed(f"`{param}.tools` is a list of objects.", param=f"{param}.tools")
            for number, one in enumerate(tools):
                self._take(one, f"{param}.tools[{number}]", name, alone=False)
            return True
        if kind == "tool_search":
            if tool.get("execution") == "client":
                self._offer(tool, param, Offered("tool_search", "tool_search"))
                return True
            return False
        if isinstance(kind, str) and kind.startswith(_SEARCHES):
            if alone:
                raise uncarried(param, f"{kind[:40]} is the only tool, and {_RUN_BY_OPENAI}", "Offer a function that searches")
            return False
        if kind is None:
            raise Malformed(f"`{param}.type` is missing. A function is `{{type: function, name, description, parameters}}`.", param=f"{param}.type")
        raise uncarried(param, f"{str(kind)[:40]}: {_RUN_BY_OPENAI}", "Offer a function instead")

    def _offer(self, tool: dict[str, Any], param: str, offered: Offered) -> None:
        name = flat(offered.name, offered.namespace)
        description, parameters, strict = tool.get("description"), tool.get("parameters"), tool.get("strict")
        if not (isinstance(description, str | None) and isinstance(parameters, dict | None) and isinstance(strict, bool | None)):
            raise Malformed(f"`{param}`: description is a string, parameters an object, strict true or false.", param=param)
        if self.known.setdefault(name, offered) != offered:
            raise Malformed(f"`{param}`: two tools come to the name {name[:80]!r}. Rename one.", param=param)
        told = description or ""
        if offered.kind == "custom":
            parameters, strict, told = _INPUT, None, told + _grammar(tool, param)
        self.tools = [one for one in self.tools if one.name != name]  # sent again: the newest holds
        self.tools.append(Tool(name, told, parameters, strict))


def offer(fields: dict[str, Raw]) -> Offer:
    """All tools of a request: those of `tools`, and those that items of its input brought. Raises Malformed, or Uncarried."""
    made = Offer()
    tools = fields.get("tools")
    if tools is not None:
        made.add(value(tools) or [], "tools")
    given = bytes(fields.get("input", b""))
    if any(mark in given for mark in _LATER):
        items = value(fields["input"])
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict) and item.get("type") in ("tool_search_output", "additional_tools"):
                made.add(item.get("tools") or [], f"input[{number}].tools", show=False)
    return made


def flat(name: str, namespace: str = "") -> str:
    """The name of a function in a chat, which has no namespaces."""
    return name if not namespace else namespace + name if namespace.endswith("__") else f"{namespace}__{name}"


def wrapped(text: str) -> str:
    """The input of a custom tool as the arguments of its function."""
    return json_text({"input": text})


def unwrapped(arguments: str) -> str:
    """The input of a custom tool out of a call's arguments; arguments that were cut, or are no such object, as they are."""
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    text = given.get("input") if isinstance(given, dict) else given
    return text if isinstance(text, str) else arguments


def _name(tool: dict[str, Any], param: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise Malformed(f"`{param}.name` is missing. Here a tool's name stands beside its type, not under `function`.", param=f"{param}.name")
    return name


def _grammar(tool: dict[str, Any], param: str) -> str:
    form = tool.get("format") or {"type": "text"}
    if isinstance(form, dict) and form.get("type") == "text":
        return ""
    if not isinstance(form, dict) or form.get("type") != "grammar" or not isinstance(form.get("definition"), str):
        raise Malformed(f"`{param}.format` is text, or a grammar with its syntax and definition.", param=f"{param}.format")
    return f"\n\nThe string `input` must match this {str(form.get('syntax'))[:20]} grammar:\n{form['definition']}"
