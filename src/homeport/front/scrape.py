"""Who may have `/metrics`: this machine without a key where only it can connect, everybody else with one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.errors import Forbidden
from homeport.front.gateway import Gateway
from homeport.rules import admission


def metrics(gateway: Gateway, headers_of: Callable[[Request], dict[bytes, bytes]]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """The endpoint. It raises Unauthenticated or Forbidden as `Gateway.greet` does."""

    async def endpoint(request: Request) -> Response:
        headers = headers_of(request)
        if gateway.public or not from_here(headers):
            gateway.greet(headers)
        body, kind = await gateway.metrics(request.headers.get("accept", ""), request.query_params.getlist("name[]"))
        return Response(body, headers={"content-type": kind})

    return endpoint


def from_here(headers: dict[bytes, bytes]) -> bool:
    """Whether it was addressed to this machine, and sent by no foreign page: what needs no key while there are none."""
    try:
        admission.from_here(headers.get(b"host", b"localhost"), headers.get(b"origin"), headers.get(b"x-forwarded-for"))
    except Forbidden:
        return False
    return True
