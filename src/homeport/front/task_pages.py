"""The page of tasks: `GET /tasks`."""

from __future__ import annotations

import msgspec

from homeport.front.gateway import Gateway


def listed(gateway: Gateway) -> bytes:
    """Each task's name, description, input and output; the last two are JSON Schema."""
    rows = [
        {"name": task.name, "description": task.description, "input": task.input, "output": task.output}
        for task in sorted(gateway.tasks.all().values(), key=lambda task: task.name)
    ]
    return msgspec.json.encode(rows)
