"""The gateway as the world reaches it: does what stands before it pass a stream on as it comes? Asks for one short answer."""

from __future__ import annotations

import http.client
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from homeport.doctor import web
from homeport.doctor.case import Case
from homeport.doctor.visit import skew
from homeport.errors import BackendError, Stalled

STREAM_S = 4.0  # for each of two answers at most
LONG_ENOUGH_S = 0.25  # of generation: with less the network's own jitter hides what a proxy does
TOKENS = (48, 384)  # asked for at first; and where that was made too quickly to tell
OF_PILOT = (48, 1024)  # which makes a thousand a second, and must be kept from ending early
MOMENT_S = 0.004  # pieces nearer together than this came at once
PILOT = "pilot"
PROMPT = "Count from one to five hundred in words: one, two, three,"
BODY_S = 1.0  # for an answer to the announcement of a large body


class Stream(Struct, frozen=True):
    """How one streamed answer arrived. Times are seconds since the first piece."""

    status: int = 0
    fault: str = ""
    kind: str = ""  # its content type
    encoding: str = ""  # its content encoding
    request_id: bool = False  # x-request-id came through
    arrivals: tuple[float, ...] = ()  # when each piece came
    events: int = 0
    generated_s: float | None = None  # from the first token to the last, as the gateway says
    whole: bool = False  # it ended within the time

    @property
    def spread_s(self) -> float:
        """From the first piece to the last."""
        return self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0

    @property
    def moments(self) -> int:
        """At how many different moments something came."""
        return 1 + sum(later - earlier > MOMENT_S for earlier, later in zip(self.arrivals, self.arrivals[1:], strict=False)) if self.arrivals else 0


class Public(Struct, frozen=True, kw_only=True):
    """What a look at the public address showed."""

    url: str
    fault: str = ""
    status: int = 0  # of the model list
    is_homeport: bool = False
    model: str = ""  # the one that was asked
    stream: Stream | None = None
    largest_refused: int = 0  # bytes of a body that something before the gateway refused
    skew_s: float | None = None


def look(case: Case, url: str) -> Public:
    """Ask for the models and one short answer, and see how it comes."""
    headers = {"authorization": f"Bearer {case.key}"} if case.key else {}
    try:
        listing = web.fetch(f"{url}/v1/models", headers)
    except BackendError as error:
        return Public(url=url, fault=str(error))
    rows = listing.fields.get("data")
    models = [row for row in rows if isinstance(row, dict) and row.get("owned_by") == "homeport"] if isinstance(rows, list) else []
    names = [str(row.get("id")) for row in models]
    if listing.status != 200 or not names:
        return Public(url=url, status=listing.status)
    model = next((name for name in (PILOT, "default") if name in names), names[0])
    stream = Stream()
    for tokens in OF_PILOT if model == PILOT else TOKENS:
        stream = ask(url, headers, model, tokens)
        if stream.fault or stream.status != 200 or not stream.whole or (stream.generated_s or 0) >= LONG_ENOUGH_S:
            break
    size = min(case.settings.server.max_body_mb, 8) * 1024 * 1024
    refused = size if _refuses(url, headers, size) else 0
    return Public(url=url, status=200, is_homeport=True, model=model, stream=stream, largest_refused=refused, skew_s=skew(listing))


def ask(url: str, headers: dict[str, str], model: str, tokens: int, within_s: float = STREAM_S) -> Stream:
    """Stream one answer of at most so many tokens, and note when each piece of it came."""
    asked = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}}
    if model == PILOT and tokens > OF_PILOT[0]:
        asked["ignore_eos"] = True  # llama.cpp's own field: go on to the limit
    more = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "gzip", "user-agent": "homeport-doctor"}
    ends = time.monotonic() + within_s
    try:
        connection = web.connect(url, within_s)
    except BackendError as error:
        return Stream(fault=str(error))
    try:
        sock = connection.sock
        connection.request("POST", web.path_of(f"{url}/v1/chat/completions"), json.dumps(asked).encode(), headers | more | {"connection": "close"})
        response = connection.getresponse()
        said = {name.lower(): value for name, value in response.getheaders()}
        arrivals: list[float] = []
        body, whole = bytearray(), False
        while len(body) < web.MOST and not whole:
            sock.settimeout(max(ends - time.monotonic(), 0.001))
            try:
                piece = response.read1(65536)
            except TimeoutError:
                break
            arrivals.append(time.monotonic())
            body += piece
            whole = not piece
        arrivals = arrivals[:-1] if whole else arrivals
        return _stream(response.status, said, bytes(body), [at - arrivals[0] for at in arrivals], whole)
    except http.client.HTTPException:
        return Stream(fault="the answer broke off")
    except OSError as error:
        return Stream(fault=web.reason(error, within_s))
    finally:
        connection.close()


def _stream(status: int, said: dict[str, str], body: bytes, arrivals: list[float], whole: bool) -> Stream:
    encoding = said.get("content-encoding", "")
    if encoding in ("gzip", "deflate"):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body)
        except zlib.error:
            body = b""
    events = list(_events(body))
    figures: Any = next((event["homeport"] for event in reversed(events) if isinstance(event.get("homeport"), dict)), {})
    spent = figures.get("gen_time")
    return Stream(
        status=status,
        kind=said.get("content-type", ""),
        encoding=encoding,
        request_id="x-request-id" in said,
        arrivals=tuple(arrivals),
        events=len(events),
        generated_s=float(spent) if isinstance(spent, int | float) else None,
        whole=whole,
    )


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.split(b"\n"):
        if line.startswith(b"data:") and (event := web.fields(line[5:].strip())):
            yield event


def _refuses(url: str, headers: dict[str, str], size: int) -> bool:
    """Whether a body of so many bytes is refused by its announcement alone; nothing of it is sent."""
    try:
        connection = web.connect(url, BODY_S)
    except BackendError:
        return False
    try:
        connection.sock.settimeout(BODY_S)
        connection.putrequest("POST", web.path_of(f"{url}/v1/chat/completions"), skip_accept_encoding=True)
        for name, value in (headers | {"content-type": "application/json", "content-length": str(size), "expect": "100-continue"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status == 413
    except (OSError, http.client.HTTPException, Stalled):  # it waits for the body: that is leave to send it
        return False
    finally:
        connection.close()
