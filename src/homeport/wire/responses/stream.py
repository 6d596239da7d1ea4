"""The stream of a response: named events in their order, each with its number, and no `[DONE]`."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import Ask, Usage
from homeport.wire.normal import CallPiece, Piece
from homeport.wire.openai.writer import call_id
from homeport.wire.responses import output
from homeport.wire.responses.tools import Offered, offer

_encode = msgspec.json.Encoder().encode
_TEXT, _THOUGHT = "response.output_text", "response.reasoning_text"


class _Item:
    """An item of the output while it grows."""

    __slots__ = ("call_id", "called", "delta", "id", "index", "kind", "open", "said")

    def __init__(self, index: int, kind: str, id: str) -> None:
        self.index = index
        self.kind = kind  # "message" "reasoning", or the kind of tool that is called
        self.id = id
        self.open = True
        self.said: list[str] = []
        self.call_id = ""
        self.called: Offered | None = None
        self.delta = b""  # its next delta up to the text: all but text and number is the same in each

    @property
    def text(self) -> str:
        return "".join(self.said)

    def shown(self, status: str, *, empty: bool = False) -> output.Item:
        """As it stands in events and in the response; `empty` before anything was said."""
        if self.called is not None:
            return output.call(self.id, self.call_id, self.called, "" if empty else self.text, status)
        make = output.message if self.kind == "message" else output.reasoning
        return make(self.id, None if empty else self.text, status)


class Writer:
    """Writes Pieces as the events of `/v1/responses`.

    An item of thinking or text ends where another kind begins. Calls stay open to the end, since an engine may write
    several side by side; their order is that of their beginnings.
    """

    __slots__ = ("_ask", "_calls", "_finish", "_head", "_items", "_offer", "_telling", "number")

    def __init__(self, ask: Ask, created: int) -> None:
        self._ask = ask
        self._offer = offer(ask.fields)
        self._head = output.response(ask, self._offer, created)
        self._items: list[_Item] = []
        self._telling: _Item | None = None  # the message, or the thinking, that grows
        self._calls: dict[int, _Item] = {}
        self._finish: str | None = None
        self.number = 0  # `sequence_number` of the next event

    def write(self, pieces: list[Piece]) -> bytes:
        """The pieces as events; b"" where they show nothing yet."""
        out: list[bytes] = []
        for piece in pieces:
            if not piece.says_something:
                self._finish = piece.finish or self._finish
                continue
            if not self.number:
                self._begin(out)
            if piece.reasoning:
                self._tell("reasoning", piece.reasoning, out)
            if piece.text:
                self._tell("message", piece.text, out)
            for call in piece.calls or ():
                self._call(call, out)
            self._finish = piece.finish or self._finish
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self, usage: Usage, figures: dict[str, Any]) -> bytes:
        """The ends of all items, and the response with its usage and Homeport's figures. Raises BrokeMidStream without a finish."""
        finish = self._finish
        if finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        out: list[bytes] = []
        if not self.number:
            self._begin(out)
        short = output.cut_short(finish)
        for item in self._items:
            if item.open:
                self._close(item, "incomplete" if short and item is self._items[-1] else "completed", out)
        last = [item.shown("incomplete" if short and item is self._items[-1] else "completed") for item in self._items]
        response = output.ended(self._head, last, finish, usage) | {"homeport": figures}
        out.append(self._event("response.incomplete" if short else "response.completed", response=response))
        return b"".join(out)

    def _begin(self, out: list[bytes]) -> None:
        out.append(self._event("response.created", response=self._head))
        out.append(self._event("response.in_progress", response=self._head))

    def _tell(self, kind: str, text: str, out: list[bytes]) -> None:
        item = self._telling
        if item is None or item.kind != kind:
            if item is not None:
                self._close(item, "completed", out)
            item = self._telling = self._open(kind, out)
            said = kind == "message"
            part = output.text_part("") if said else output.thought_part("")
            out.append(self._event("response.content_part.added", item_id=item.id, output_index=item.index, content_index=0, part=part))
            name = f"{_TEXT if said else _THOUGHT}.delta"
            rest = {"type": name, "item_id": item.id, "output_index": item.index, "content_index": 0} | ({"logprobs": []} if said else {})
            item.delta = f"event: {name}\ndata: ".encode() + _encode(rest)[:-1] + b',"delta":'
        item.said.append(text)
        out.append(item.delta + _encode(text) + b',"sequence_number":%d}\n\n' % self.number)
        self.number += 1

    def _call(self, call: CallPiece, out: list[bytes]) -> None:
        item = self._calls.get(call.index)
        if item is None:
            if self._telling is not None:
                self._close(self._telling, "completed", out)
                self._telling = None
            called = self._offer.called(call.name)
            item = self._calls[call.index] = self._open(called.kind, out, call.id or call_id(self._ask, call.index), called)
        if call.arguments:
            item.said.append(call.arguments)
            if item.kind == "function":
                out.append(self._event("response.function_call_arguments.delta", item_id=item.id, output_index=item.index, delta=call.arguments))

    def _open(self, kind: str, out: list[bytes], call_id: str = "", called: Offered | None = None) -> _Item:
        item = _Item(len(self._items), kind, output.item_id(self._ask, kind, len(self._items)))
        item.call_id, item.called = call_id, called
        self._items.append(item)
        out.append(self._event("response.output_item.added", output_index=item.index, item=item.shown("in_progress", empty=True)))
        return item

    def _close(self, item: _Item, status: str, out: list[bytes]) -> None:
        item.open = False
        shown, place = item.shown(status), {"item_id": item.id, "output_index": item.index}
        if item.kind == "message":
            out.append(self._event(f"{_TEXT}.done", **place, content_index=0, text=item.text, logprobs=[]))
        elif item.kind == "reasoning":
            out.append(self._event(f"{_THOUGHT}.done", **place, content_index=0, text=item.text))
        elif item.kind == "function":
            out.append(self._event("response.function_call_arguments.done", **place, name=shown["name"], arguments=item.text))
        elif item.kind == "custom":  # its text stands inside a JSON string, so it is told when that is whole
            out.append(self._event("response.custom_tool_call_input.delta", **place, delta=shown["input"]))
            out.append(self._event("response.custom_tool_call_input.done", **place, input=shown["input"]))
        if item.called is None:
            out.append(self._event("response.content_part.done", **place, content_index=0, part=shown["content"][0]))
        out.append(self._event("response.output_item.done", output_index=item.index, item=shown))

    def _event(self, name: str, /, **fields: Any) -> bytes:
        event = {"type": name, **fields, "sequence_number": self.number}
        self.number += 1
        return b"event: " + name.encode() + b"\ndata: " + _encode(event) + b"\n\n"
