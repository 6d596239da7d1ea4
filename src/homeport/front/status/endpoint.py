"""`/status`: the page of the whole gateway, whichever of its workers is asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.front.gateway import Gateway
from homeport.front.status.page import StatusPage
from homeport.front.together import Together


def status(gateway: Gateway, headers_of: Callable[[Request], dict[bytes, bytes]]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """The endpoint `/status`. It raises Forbidden as `Gateway.greet` does, while there is no key."""
    together = Together(gateway)
    page = StatusPage(together)

    async def endpoint(request: Request) -> Response:
        if gateway.keyless:
            gateway.greet(headers_of(request))
        await together.look()
        return page.answer(request.headers.get("accept", ""))

    return endpoint
