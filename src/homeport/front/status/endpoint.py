"""`/status`: the page of the whole gateway, whichever of its workers is asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.front.gateway import Gateway
from homeport.front.status.page import StatusPage
from homeport.front.together import Together

OWN = ("none", "same-origin")  # of `sec-fetch-site` (W3C Fetch Metadata), which only browsers send


def status(gateway: Gateway, headers_of: Callable[[Request], dict[bytes, bytes]]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """The endpoint `/status`. It raises as `Gateway.greet` does while there is no key, and with `?wanted`, by which boxes are woken."""
    together = Together(gateway)
    page = StatusPage(together)

    async def endpoint(request: Request) -> Response:
        wanted = "wanted" in request.query_params and request.headers.get("sec-fetch-site", "none") in OWN  # no page of another site wakes a box
        if gateway.keyless or wanted:
            gateway.greet(headers_of(request))
        if wanted:
            gateway.wanted()
        await together.look()
        return page.answer(request.headers.get("accept", ""), brief="brief" in request.query_params)

    return endpoint
