"""An answer with everything a response can hold, and the official SDK in front of a fixed reply."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
from openai import OpenAI

from homeport.vocabulary import Ask, Usage
from homeport.wire.normal import CallPiece, Piece, gather
from tests.unit.wire.openai_samples import response

LOOK: dict[str, Any] = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}, "strict": False}
PATCH: dict[str, Any] = {"type": "custom", "name": "patch", "description": "Edit."}
GROUP: dict[str, Any] = {"type": "namespace", "name": "agents", "description": "Helpers.", "tools": [LOOK | {"name": "wait"}]}
SEARCH: dict[str, Any] = {"type": "tool_search", "execution": "client", "description": "Find.", "parameters": {"type": "object"}}
PIECES = [
    Piece(reasoning="Let me"),
    Piece(text="It is", reasoning=" see."),
    Piece(text=' "blue".\n🐴'),
    Piece(calls=[CallPiece(0, "c1", "look", "")]),
    Piece(calls=[CallPiece(0, arguments='{"a"'), CallPiece(1, "", "agents__wait", "{}")]),
    Piece(calls=[CallPiece(0, arguments=": 1}"), CallPiece(2, "c3", "patch", '{"input": "a\\nb"}'), CallPiece(3, "c4", "tool_search", '{"query": "q"}')]),
    Piece(finish="tool_calls"),
]
ANSWER = gather([*PIECES, Piece(usage=Usage(3, 4, 1, 2))])
OUTPUT = [
    {"type": "reasoning", "id": "rs_7f-1_0", "status": "completed", "summary": [], "content": [{"type": "reasoning_text", "text": "Let me see."}]},
    {
        "type": "message",
        "id": "msg_7f-1_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": 'It is "blue".\n🐴', "annotations": [], "logprobs": []}],
    },
    {"type": "function_call", "id": "fc_7f-1_2", "call_id": "c1", "status": "completed", "name": "look", "arguments": '{"a": 1}'},
    {
        "type": "function_call",
        "id": "fc_7f-1_3",
        "call_id": "call_7f-1_1",
        "status": "completed",
        "name": "wait",
        "namespace": "agents",
        "arguments": "{}",
    },
    {"type": "custom_tool_call", "id": "ctc_7f-1_4", "call_id": "c3", "status": "completed", "name": "patch", "input": "a\nb"},
    {"type": "tool_search_call", "id": "tsc_7f-1_5", "call_id": "c4", "status": "completed", "execution": "client", "arguments": {"query": "q"}},
]
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 7,
}
FIGURES = {"backend": "b", "tokens": 4}


def everything() -> Ask:
    tools = [LOOK, PATCH, GROUP, SEARCH, {"type": "web_search"}]
    return response(stream=True, tools=tools, metadata={"k": "v"}, temperature=0.5, instructions="Be brief.", store=True)


def sdk(reply: bytes, content_type: str = "text/event-stream", status: int = 200) -> OpenAI:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers={"content-type": content_type}, content=reply))
    return OpenAI(base_url="http://gateway/v1", api_key="k", http_client=httpx.Client(transport=transport), max_retries=0)
