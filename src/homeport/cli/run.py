"""`homeport run`: ask a model or a task, and see the answer as it comes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from homeport.cli import screen
from homeport.cli.console import aside
from homeport.cli.failure import Failed, NoGateway, Usage
from homeport.cli.gateway import Gateway
from homeport.cli.run_task import run_task


def run(model: str, /, *text: str, json: bool = False, max_tokens: int | None = None, config: Path | None = None) -> int:
    """Ask a model or a task, and see the answer as it comes.

    Args:
        model: one of `homeport models` ("default" is the best of them), or a task, such as classify.
        text: what to ask; read from standard input where it is left out. A task takes it as its first argument, or all of them as JSON.
        json: print one JSON object at the end instead.
        max_tokens: end the answer after so many tokens.
        config: the homeport.toml whose address is asked.
    """
    question = " ".join(text)
    if not question and not sys.stdin.isatty():
        question = sys.stdin.read()
    if not question.strip():
        raise Usage(f'what should it answer? homeport run {model} "Where is my parcel?"')
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}], "stream": True, "stream_options": {"include_usage": True}}
    if max_tokens is not None:
        if max_tokens < 1:
            raise Usage("--max-tokens takes 1 or more")
        body["max_tokens"] = max_tokens
    answer = Answer(live=not json)
    gateway = Gateway.configured(config)
    try:
        for event in gateway.stream("/v1/chat/completions", body):
            answer.take(event)
    except NoGateway:
        raise
    except Failed:
        if answer.text or answer.thoughts or not run_task(gateway, model, question, json=json):
            raise
        return 0
    finally:
        answer.end_line()
    if json:
        screen.print_json(answer.summary())
    elif screen.is_terminal():
        aside(screen.paint(answer.figures(), "dim", sys.stderr))
    return 0


class Answer:
    """What has come so far; where `live`, it is shown as it comes."""

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.text: list[str] = []
        self.thoughts: list[str] = []
        self.finish: str | None = None
        self.model: str | None = None
        self.usage: dict[str, Any] | None = None
        self.homeport: dict[str, Any] = {}
        self.shown = ""

    def take(self, event: dict[str, Any]) -> None:
        """Note one event of the stream."""
        self.model = event.get("model") or self.model
        self.usage = event.get("usage") or self.usage
        self.homeport = event.get("homeport") or self.homeport
        for choice in event.get("choices") or []:
            delta = choice.get("delta") or {}
            self.finish = choice.get("finish_reason") or self.finish
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if thought:
                self.thoughts.append(thought)
                if self.live and screen.is_terminal():
                    self.show(screen.paint(screen.plain(thought), "dim"))
            if delta.get("content"):
                if self.thoughts and not self.text and self.live and screen.is_terminal():
                    self.show("\n\n")
                self.text.append(delta["content"])
                if self.live:
                    self.show(screen.plain(delta["content"]) if screen.is_terminal() else delta["content"])

    def show(self, text: str) -> None:
        """Write at once, without a line end."""
        self.shown = text or self.shown
        sys.stdout.write(text)
        sys.stdout.flush()

    def end_line(self) -> None:
        """End the line that is open, if one is."""
        if self.shown and not self.shown.endswith("\n"):
            self.show("\n")

    def summary(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "model": self.model,
            "text": "".join(self.text),
            "reasoning": "".join(self.thoughts) or None,
            "finish_reason": self.finish,
            "usage": self.usage,
            "homeport": self.homeport,
        }

    def figures(self) -> str:
        """`home · qwen3.5:latest · 42 tokens, 31 tok/s, first after 120 ms`, as far as known."""
        known = self.homeport
        parts = list(dict.fromkeys(screen.clean(known[name]) for name in ("backend", "model") if known.get(name)))
        counts = [screen.counted(int(known["tokens"]), "token")] if isinstance(known.get("tokens"), int) else []
        if isinstance(known.get("tok_per_s"), int | float):
            counts.append(f"{known['tok_per_s']:.0f} tok/s")
        if isinstance(known.get("first_token_ms"), int | float):
            counts.append(f"first after {screen.duration(known['first_token_ms'] / 1000)}")
        if isinstance(known.get("attempts"), int) and known["attempts"] > 1:
            counts.append(f"{known['attempts']} attempts")
        if self.finish == "length":
            counts.append("ended by the token limit")
        return " · ".join([*parts, ", ".join(counts)]).strip(" ·")
