"""How such a chain is often begun: a route that asks the box at home with a new client each time, waits for the whole, and appends a line to a log.

Run by uvicorn with FastAPI, in a room of its own; `$BOX` is where the engine is reached, `$LOG` the file.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import httpx
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Any:
    """Ask the engine, write down what it said, and say it."""
    body = await request.json()
    body["stream"] = False
    began = time.time()
    async with httpx.AsyncClient(timeout=30.0) as client:
        reply = await client.post(os.environ["BOX"] + "/v1/chat/completions", json=body)
        reply.raise_for_status()
    answer = reply.json()
    with open(os.environ["LOG"], "a", encoding="utf-8") as log:  # noqa: ASYNC230  # as it is often done
        log.write(json.dumps({"at": began, "took_s": time.time() - began, "model": body["model"], "usage": answer["usage"]}) + "\n")
    return answer
