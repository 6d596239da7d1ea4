"""Answers of backends that speak another dialect, as Anthropic's streams and whole messages."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import NOTHING, Ask, Usage
from homeport.wire.anthropic.events import counts_of, stop_reason_of, wire
from homeport.wire.normal import Answer, CallPiece, Piece, object_of

_encode = msgspec.json.Encoder().encode
_CUT_SHORT = ("length", "content_filter")  # finishes under which a call may lack its end
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_NO_OBJECT = "a tool call's arguments are not a JSON object, which Anthropic's dialect needs"
_NO_NAME = "a tool call has no name"


class _OpenCall:
    """A call whose block was begun."""

    __slots__ = ("_arguments", "block", "closed")

    def __init__(self, block: int) -> None:
        self.block = block
        self._arguments: list[str] = []
        self.closed = False

    def add(self, arguments: str) -> None:
        self._arguments.append(arguments)

    @property
    def whole(self) -> bool:
        return object_of("".join(self._arguments)) is not None


class Writer:
    """Writes one stream (port Writer of `normal`).

    Thinking, text and each call get a block of their own, one after another. Calls told in turns stay open beside each
    other until their JSON is whole, since a block that was stopped cannot go on.
    """

    __slots__ = ("_ask", "_blocks", "_calls", "_finish", "_open", "_prefix", "_started", "_stopped_by", "_usage")

    def __init__(self, ask: Ask, created: int) -> None:
        """`created` has no place in this dialect."""
        self._ask = ask
        self._blocks = 0
        self._open = ""  # the field that the open block tells: "text" "thinking", or "" where none is open
        self._prefix = b""  # of its deltas
        self._calls: dict[int, _OpenCall] = {}
        self._started = False
        self._finish: str | None = None
        self._stopped_by: str | None = None
        self._usage = NOTHING

    def write(self, pieces: list[Piece]) -> bytes:
        """The pieces as events; b"" where they show nothing. Raises BrokeMidStream for a call that cannot be said."""
        out: list[bytes] = []
        for piece in pieces:
            self._usage = piece.usage or self._usage
            self._finish = piece.finish or self._finish
            self._stopped_by = piece.stopped_by or self._stopped_by
            if piece.reasoning:
                self._tell(out, "thinking", piece.reasoning)
            if piece.text:
                self._tell(out, "text", piece.text)
            for call in piece.calls or ():
                self._call(out, call)
        return b"".join(out)

    def end(self, usage: Usage, figures: dict[str, Any]) -> bytes:
        """What is still open, `message_delta` with Homeport's figures, `message_stop`.

        Raises BrokeMidStream where there is no finish, the call it tells of is missing, or a call is no JSON object.
        """
        reason = stop_reason_of(self._finish, self._stopped_by, calls=bool(self._calls))
        out: list[bytes] = []
        self._start(out)
        self._close(out)
        for call in self._calls.values():
            if not call.closed:
                if not call.whole and self._finish not in _CUT_SHORT:
                    raise BrokeMidStream(_NO_OBJECT)
                out.append(_STOP % call.block)
        delta = {"stop_reason": reason, "stop_sequence": self._stopped_by if reason == "stop_sequence" else None}
        out.append(wire({"type": "message_delta", "delta": delta, "usage": counts_of(usage), "homeport": figures}))
        out.append(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        return b"".join(out)

    def _start(self, out: list[bytes]) -> None:
        """What the prompt took is often not known yet; SDKs take the count of `message_delta` over that of the start."""
        if not self._started:
            self._started = True
            out.append(wire({"type": "message_start", "message": _message(self._ask, [], None, None, counts_of(self._usage))}))

    def _tell(self, out: list[bytes], field: str, text: str) -> None:
        if self._open != field:
            self._close(out)
            empty = {"type": "text", "text": ""} if field == "text" else {"type": "thinking", "thinking": "", "signature": ""}
            block = self._begin(out, empty)
            self._open = field
            self._prefix = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b_delta","%b":' % (
                block,
                field.encode(),
                field.encode(),
            )
        out.append(b"%b%b}}\n\n" % (self._prefix, _encode(text)))

    def _begin(self, out: list[bytes], block: dict[str, Any]) -> int:
        self._start(out)
        number = self._blocks
        self._blocks += 1
        out.append(wire({"type": "content_block_start", "index": number, "content_block": block}))
        return number

    def _close(self, out: list[bytes]) -> None:
        """Stop the open text or thinking, and the calls that are whole."""
        if self._open:
            number = self._blocks - 1
            if self._open == "thinking":  # which nobody signed
                out.append(wire({"type": "content_block_delta", "index": number, "delta": {"type": "signature_delta", "signature": ""}}))
            out.append(_STOP % number)
            self._open = ""
        for call in self._calls.values():
            if not call.closed and call.whole:
                call.closed = True
                out.append(_STOP % call.block)

    def _call(self, out: list[bytes], piece: CallPiece) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            if not piece.name:
                raise BrokeMidStream(_NO_NAME)
            self._close(out)
            id = piece.id or _call_id(self._ask, piece.index)
            call = self._calls[piece.index] = _OpenCall(self._begin(out, {"type": "tool_use", "id": id, "name": piece.name, "input": {}}))
        if piece.arguments:
            if call.closed:
                if piece.arguments.isspace():
                    return
                raise BrokeMidStream(_NO_OBJECT)
            call.add(piece.arguments)
            delta = {"type": "input_json_delta", "partial_json": piece.arguments}
            out.append(wire({"type": "content_block_delta", "index": call.block, "delta": delta}))


def whole(ask: Ask, answer: Answer) -> bytes:
    """An answer as a whole message.

    A call that was cut short with the answer is left out: nobody should run half of it, and the stop reason tells.
    Raises BrokeMidStream where there is no finish, the call it tells of is missing, or a call is no JSON object.
    """
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": answer.reasoning, "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    for number, call in enumerate(answer.calls):
        given = object_of(call.arguments)
        if given is None and answer.finish in _CUT_SHORT:
            continue
        if given is None or not call.name:
            raise BrokeMidStream(_NO_OBJECT if given is None else _NO_NAME)
        content.append({"type": "tool_use", "id": call.id or _call_id(ask, number), "name": call.name, "input": given})
    reason = stop_reason_of(answer.finish, answer.stopped_by, calls=bool(answer.calls))
    stopped_by = answer.stopped_by if reason == "stop_sequence" else None
    return _encode(_message(ask, content, reason, stopped_by, counts_of(answer.usage or NOTHING)))


def _message(ask: Ask, content: list[Any], reason: str | None, stopped_by: str | None, counts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{ask.id.removeprefix('req-')}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stopped_by,
        "usage": counts,
    }


def _call_id(ask: Ask, number: int) -> str:
    return f"toolu_{ask.id.removeprefix('req-')}_{number}"
