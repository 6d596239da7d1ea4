"""AI Transform: a raw prompt becomes six bands that fill as they stream; without a model, a template makes them in the browser."""

from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.page import passed, read, serve, site


class Raw(Struct, forbid_unknown_fields=True):
    """What the page sends."""

    prompt: str


async def transform(request: Request) -> Response:
    """The task `scatter` of the gateway, streamed: the bands so far, again and again, then the whole."""
    raw = await read(request, Raw)
    return passed("/tasks/scatter", {"input": {"prompt": raw.prompt}, "stream": True})


app = site(Path(__file__).parent, [Route("/transform", transform, methods=["POST"])])

if __name__ == "__main__":
    serve(app)
