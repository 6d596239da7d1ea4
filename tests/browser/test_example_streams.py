"""The events that the examples' pages read: the same however a stream is cut, and a task is whole only where its result came."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from homeport.testing.backend import ScriptedBackend
from tests.browser.chromium import Chromium
from tests.browser.showing import Example, opened, told

pytestmark = pytest.mark.slow
FIRST = ': a comment\r\n\r\nevent: partial\r\ndata: {"output": {"a": "ü"}}\r\n\r\n'
STREAM = FIRST + 'data: {"n":\ndata: 1}\n\ndata: [DONE]\n\nevent: result\ndata: {"output": "日本"}\n\n'
EVENTS = [
    {"event": "partial", "data": {"output": {"a": "ü"}}},
    {"event": "message", "data": {"n": 1}},
    {"event": "message", "data": "[DONE]"},
    {"event": "result", "data": {"output": "日本"}},
]
READ = """import('/static/stream.js').then(async m => {
  const bytes = new TextEncoder().encode(%s);
  const read = async pieces => {
    const found = [];
    const body = new ReadableStream({ start(c) { for (const piece of pieces) if (piece.length) c.enqueue(piece); c.close(); } });
    for await (const one of m.events(new Response(body))) found.push(one);
    return JSON.stringify(found);
  };
  const all = new Set([await read([...bytes].map(byte => new Uint8Array([byte])))]);
  for (let at = 0; at <= bytes.length; at++) all.add(await read([bytes.slice(0, at), bytes.slice(at)]));
  return [...all].map(one => JSON.parse(one));
})"""
TASK = """import('/static/stream.js').then(async m => {
  const theirs = fetch;
  window.fetch = async () => new Response(%s, { status: %d });
  try { return { whole: await m.task('/x', {}) }; } catch (error) { return { message: error.message, cut: error.cut, status: error.status }; }
  finally { window.fetch = theirs; }
})"""
PARTIAL = 'event: partial\ndata: {"output": 1}\n\n'
RESULT = 'event: result\ndata: {"output": 1}\n\n'
ERROR = 'event: error\ndata: {"error": {"message": "gone"}}\n\n'


@pytest.fixture(scope="module")
def page(browser: Chromium) -> Iterator[Chromium]:
    with ScriptedBackend() as backend, Example("ai-transform", backend.url) as example:
        yield opened(browser, example.url)


def test_however_a_stream_is_cut(page: Chromium) -> None:
    assert told(page, READ % json.dumps(STREAM)) == [EVENTS]


@pytest.mark.parametrize(
    ("said", "came"),
    [
        (PARTIAL + RESULT, {"whole": {"output": 1}}),
        (PARTIAL + RESULT[:-1], {"message": "The answer ended before it was whole.", "cut": True, "status": 0}),
        (PARTIAL, {"message": "The answer ended before it was whole.", "cut": True, "status": 0}),
        ("", {"message": "The answer ended before it was whole.", "cut": False, "status": 0}),
        (PARTIAL + ERROR, {"message": "gone", "cut": True, "status": 0}),
        (ERROR, {"message": "gone", "cut": False, "status": 0}),
        (RESULT[:-3] + "\n\n" + ERROR, {"message": "gone", "cut": False, "status": 0}),
    ],
)
def test_a_task_is_whole_only_with_its_result(page: Chromium, said: str, came: object) -> None:
    assert told(page, TASK % (json.dumps(said), 200)) == came


def test_a_refusal_says_why(page: Chromium) -> None:
    assert told(page, TASK % (json.dumps('{"error": {"message": "no"}}'), 429)) == {"message": "no", "cut": False, "status": 429}
    assert told(page, TASK % (json.dumps("<html>"), 500)) == {"message": "The server answered with 500.", "cut": False, "status": 500}


def test_why_no_model_answered(page: Chromium) -> None:
    unanswered = {"check": "unanswered", "reason": "secret"}
    for attempts, begun, said in (
        ([unanswered], False, "No model answered."),
        ([unanswered], True, "The model broke off in the middle of its answer."),
        ([{"check": "json", "reason": "no JSON"}, unanswered], True, "No answer of the model held (no JSON)."),
    ):
        assert told(page, f"import('/static/stream.js').then(m => m.unheld({json.dumps({'attempts': attempts})}, {json.dumps(begun)}))") == said
