"""Ollama streams in the normal form: read as Pieces, and Pieces written as one."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import BrokeMidStream
from homeport.vocabulary import OLLAMA_CHAT, Ask, Usage
from homeport.wire.ndjson import LineCutter
from homeport.wire.normal import Call, CallPiece, Piece, object_of
from homeport.wire.ollama.record import CUT_SHORT, Record, call_of, check_vanished, created_at, ending, finish_of, piece_of, record, usage_of

_encode = msgspec.json.Encoder().encode


class Reader:
    """Reads a stream of a chat or a generated text. `tools` says that tools were offered: see `check_vanished`."""

    __slots__ = ("_calls", "_cutter", "_tools", "done", "events")

    def __init__(self, *, tools: bool = False) -> None:
        self._tools = tools
        self._cutter = LineCutter()
        self._calls = 0
        self.events = 0  # records that carried content; about one token each
        self.done = False

    def feed(self, data: bytes) -> list[Piece]:
        """What the next bytes hold, wherever they were split. Raises BrokeMidStream where the stream says it failed."""
        pieces: list[Piece] = []
        for line in self._cutter.feed(data).split(b"\n"):
            if self.done:
                break
            if line and not line.isspace():
                piece = self._piece(record(line))
                if piece is not None:
                    pieces.append(piece)
        return pieces

    def _piece(self, read: Record) -> Piece | None:
        piece = piece_of(read, self._calls)
        says = piece.says_something
        if says:
            self.events += 1
            self._calls += len(piece.calls or ())
        if not read.done:
            return piece if says else None
        check_vanished(read, said=bool(self.events), tools=self._tools)
        piece.finish = finish_of(read.done_reason, calls=bool(self._calls))
        piece.usage = usage_of(read, self.events)
        self.done = True
        return piece


class Writer:
    """Writes Pieces as Ollama's records, a line each.

    A tool call goes out whole, its arguments as an object: its pieces are gathered until the next call begins, or the
    answer ends. `created` is seconds since the epoch.
    """

    __slots__ = ("_after", "_ask", "_before", "_chat", "_finish", "_gathered", "_head", "_sent", "_think_after", "_think_before")

    def __init__(self, ask: Ask, created: float) -> None:
        self._ask = ask
        self._chat = ask.surface is OLLAMA_CHAT
        self._head = {"model": ask.model, "created_at": created_at(created)}
        opening = _encode(self._head)[:-1]  # all but the text is the same in every line
        if self._chat:
            self._before, self._after = opening + b',"message":{"role":"assistant","content":', b'},"done":false}\n'
            self._think_before = self._before + b'"","thinking":'
        else:
            self._before, self._after = opening + b',"response":', b',"done":false}\n'
            self._think_before = self._before + b'"","thinking":'
        self._gathered: dict[int, tuple[CallPiece, list[str]]] = {}  # calls that are not out yet, by index
        self._sent: set[int] = set()
        self._finish: str | None = None

    def write(self, pieces: list[Piece]) -> bytes:
        """The pieces as lines; b"" where they show nothing yet. Raises BrokeMidStream for a call that goes on after its end."""
        out: list[bytes] = []
        for piece in pieces:
            if piece.reasoning:
                out.append(self._think_before + _encode(piece.reasoning) + self._after)
            if piece.text:
                out.append(self._before + _encode(piece.text) + self._after)
            for call in piece.calls or ():
                self._gather(call, out)
            self._finish = piece.finish or self._finish
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self, usage: Usage, figures: dict[str, Any]) -> bytes:
        """The calls still held, and the last record with Homeport's figures.

        Raises BrokeMidStream where a call is not whole, or without a finish.
        """
        if self._finish is None:
            raise BrokeMidStream("the stream ended without a finish reason")
        out: list[bytes] = []
        for index in sorted(self._gathered):
            if self._finish not in CUT_SHORT or object_of("".join(self._gathered[index][1])) is not None:  # else half a call, which nobody may run
                self._send(index, out)
        out.append(_encode(self._head | self._said("") | ending(self._finish, usage, figures) | {"homeport": figures}) + b"\n")
        return b"".join(out)

    def _gather(self, piece: CallPiece, out: list[bytes]) -> None:
        index = piece.index
        if index in self._sent:
            if piece.arguments and not piece.arguments.isspace():
                raise BrokeMidStream("a tool call of the answer went on after it was whole")
            return
        if index not in self._gathered:
            for other in sorted(self._gathered):
                arguments = "".join(self._gathered[other][1])
                if not arguments or object_of(arguments) is None:  # it may go on beside this one
                    break
                self._send(other, out)
            self._gathered[index] = (CallPiece(index), [])
        first, gathered = self._gathered[index]
        first.id, first.name = first.id or piece.id, first.name or piece.name
        gathered.append(piece.arguments)

    def _send(self, index: int, out: list[bytes]) -> None:
        first, arguments = self._gathered.pop(index)
        call = call_of(self._ask, Call(first.id, first.name, "".join(arguments)), len(self._sent))
        self._sent.add(index)
        said = self._said("")
        (said["message"] if self._chat else said)["tool_calls"] = [call]
        out.append(_encode(self._head | said | {"done": False}) + b"\n")

    def _said(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self._chat else {"response": text}
