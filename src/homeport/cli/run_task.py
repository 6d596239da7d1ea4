"""`homeport run TASK`: a task's answer on the screen."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed
from homeport.cli.gateway import Gateway

if TYPE_CHECKING:
    from homeport.client import Client


def run_task(gateway: Gateway, name: str, text: str, *, json: bool) -> bool:
    """Ask the task of that name and print what it gives; False where there is none. Raises Failed where it gives nothing."""
    from homeport.client import Client
    from homeport.errors import HomeportError

    with Client(urls=gateway.urls, key=gateway.key, app="homeport-cli", retries=0) as client:
        try:
            known = {task["name"]: task for task in client.get("/tasks").get("data") or []}
        except HomeportError:  # an older gateway, or none: what the model's name met is the better answer
            return False
        if name not in known:
            return False
        show(ask(client, name, given(text, known[name])), json=json)
    return True


def ask(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The body that `POST /tasks/{name}` answers. Raises Failed."""
    from homeport.errors import HomeportError

    try:
        return client.post(f"/tasks/{name}", {"input": arguments})
    except HomeportError as error:
        raise Failed(str(error)) from None


def given(text: str, task: dict[str, Any]) -> dict[str, Any]:
    """The text as the task's first argument, or all of them where it is a JSON object of their names."""
    fields: dict[str, Any] = task["input"]["properties"]
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and value.keys() <= fields.keys():
        return value
    if not fields:
        raise Failed("This task takes no text: it has no arguments. Give it {} in place of one.")
    first, schema = next(iter(fields.items()))
    return {first: [text] if schema.get("type") == "array" else text}


def show(answer: dict[str, Any], *, json: bool) -> None:
    """The output on stdout; on a terminal how it came about on standard error."""
    output, homeport = answer["output"], answer.get("homeport") or {}
    if json:
        screen.print_json({"output": output, "homeport": homeport})
        return
    say(screen.plain(output) if isinstance(output, str) else _written(output))
    if screen.is_terminal():
        aside(screen.paint(_figures(homeport), "dim", sys.stderr))


def _written(output: Any) -> str:
    return screen.plain(json.dumps(output, indent=2, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf")))


def _figures(homeport: dict[str, Any]) -> str:
    route = homeport.get("route") or {}
    parts = list(dict.fromkeys(screen.clean(route[name]) for name in ("backend", "model") if route.get(name)))
    if homeport.get("offline"):
        parts.append("without a model")
    if homeport.get("checks"):
        parts.append("held: " + ", ".join(map(screen.clean, homeport["checks"])))
    failed = [str(attempt["check"]) for attempt in homeport.get("attempts") or [] if attempt.get("check")]
    if failed:
        parts.append("before that: " + ", ".join(map(screen.clean, failed)))
    return " · ".join(parts)
