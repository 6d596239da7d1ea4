"""The surfaces a stream can be asked on: what is sent there, where its text stands, and how it says that it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CHAT, MESSAGES, RESPONSES, OLLAMA = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"


@dataclass(frozen=True)
class Surface:
    """One surface. `ending` is what load.c looks for, 31 bytes at most; "" stands for `[DONE]` as the last line."""

    text: Callable[[dict[str, Any]], str]  # of one event
    ending: str = ""
    prompt: str = "messages"  # the field of the prompt
    extra: dict[str, Any] = field(default_factory=dict)

    def asked(self, text: str) -> dict[str, Any]:
        """The fields of a request with this prompt, besides its model."""
        return {self.prompt: [{"role": "user", "content": text}] if self.prompt == "messages" else text, **self.extra}

    def heard(self, data: bytes) -> tuple[str, bool]:
        """The text of a stream, and whether it is whole."""
        text, ended = "", False
        for line in data.decode().splitlines():
            ended = ended or (self.ending in line if self.ending else line == "data: [DONE]")
            said = line.removeprefix("data:").lstrip()
            if said.startswith("{"):
                text += self.text(json.loads(said))
        return text, ended


def _chunk(event: dict[str, Any]) -> str:
    return "".join((choice.get("delta") or {}).get("content") or "" for choice in event.get("choices") or ())


def _delta(event: dict[str, Any]) -> str:
    return str(event["delta"].get("text", "")) if event["type"] == "content_block_delta" else ""


def _response(event: dict[str, Any]) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def _record(event: dict[str, Any]) -> str:
    return str(event["message"]["content"])


SURFACES = {
    CHAT: Surface(_chunk),
    MESSAGES: Surface(_delta, "event: message_stop", extra={"max_tokens": 999}),
    RESPONSES: Surface(_response, "event: response.completed", prompt="input"),
    OLLAMA: Surface(_record, '"done":true'),
}
