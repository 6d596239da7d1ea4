"""Both ways into a gateway for raw bytes, and what a refusal must look like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.caller import Caller, Heard
from tests.gateway import Running

TEXT = "all is well"
CHAT = "/v1/chat/completions"


def over(gateway: Running, front: str, data: bytes, *, seconds: float = 5.0) -> Heard:
    """Raw bytes over one connection, and the first response to them."""

    async def go() -> Heard:
        async with Caller(gateway.url) as caller:
            if front == "asgi":
                await caller.ask(method="GET", path="/ready")
            await caller.send(data)
            return await asyncio.wait_for(caller.hear(), seconds)

    return asyncio.run(go())


def shown(ask: Callable[[], Heard], times: int = 5) -> Heard:
    """An answer that breaks after its first content. Where content and fault came in one read nothing was shown, and another backend answered: ask again."""
    heard = ask()
    for _ in range(times):
        if heard.end != "complete":
            break
        heard = ask()
    return heard


def refused(heard: Heard, status: int, *, param: str | None = None) -> None:
    """An error in OpenAI's envelope."""
    assert (heard.status, heard.end) == (status, "complete"), f"{heard.status} {heard.end}: {heard.body[:200]!r}"
    assert heard.headers["content-type"].startswith("application/json")
    assert heard.json.keys() == {"error"}
    assert {"message", "type", "param", "code"} <= heard.error.keys()
    assert heard.error["type"] in ("invalid_request_error", "authentication_error", "permission_error")
    assert heard.error["param"] == param
    assert "Traceback" not in heard.error["message"]
