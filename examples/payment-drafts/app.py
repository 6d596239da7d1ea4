"""Payment drafts: pick a client and the days overdue, and get a follow-up to accept, edit or have written anew."""

from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.page import passed, read, serve, site

HERE = Path(__file__).parent


class Client(Struct):
    """Who owes how much."""

    id: str
    name: str
    amount: str


class Wanted(Struct, forbid_unknown_fields=True):
    """Which draft the page wants."""

    client: str
    days_overdue: Annotated[int, Meta(ge=0, le=3650)]


class Decision(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a person did with a draft. `before` is the draft that was edited or thrown away."""

    kind: Literal["accepted", "edited", "regenerated"]
    draft: str  # which draft, by a name that the page gave it
    client: str
    tone: Literal["friendly", "firm", "urgent"]
    offline: bool  # the template wrote it, not a model
    subject: str
    body: str
    before: dict[str, str] | None = None
    at: float = 0.0  # seconds since the epoch, put in here


CLIENTS = {client.id: client for client in msgspec.json.decode((HERE / "clients.json").read_bytes(), type=list[Client])}
decisions: deque[Decision] = deque(maxlen=1000)  # in memory: they are gone with the example


async def draft(request: Request) -> Response:
    """The task `draft` of the gateway, streamed. The model sees none of these values: it writes placeholders, and the gateway puts the values in."""
    wanted = await read(request, Wanted)
    client = CLIENTS.get(wanted.client)
    if client is None:
        raise HTTPException(404, "There is no such client.")
    due = datetime.now().astimezone().date() - timedelta(days=wanted.days_overdue)
    values = {"client": client.name, "amount": client.amount, "due": f"{due.day} {due:%B} {due.year}", "days_overdue": wanted.days_overdue}
    return passed("/tasks/draft", {"input": values, "stream": True})


async def decide(request: Request) -> Response:
    """Keep what was decided."""
    decision = await read(request, Decision)
    decision.at = datetime.now().astimezone().timestamp()
    decisions.append(decision)
    return Response(msgspec.json.encode(decision), 201, media_type="application/json")


async def decided(_: Request) -> Response:
    """All that was decided, oldest first, as JSON lines."""
    return Response(msgspec.json.Encoder().encode_lines(decisions), media_type="application/x-ndjson")


ROUTES = [Route("/draft", draft, methods=["POST"]), Route("/events", decide, methods=["POST"]), Route("/events", decided)]
app = site(HERE, ROUTES)

if __name__ == "__main__":
    serve(app)
