"""Which Homeports a request came through, and whether it goes in a circle."""

from __future__ import annotations

import re

from homeport.errors import Looped

MOST = 8  # Homeports in a row: more are a circle whose gateways were restarted meanwhile, or a mistake
_IDS = re.compile(rb"[0-9a-f]{1,32}(?:, ?[0-9a-f]{1,32}){0,31}")
_ID = re.compile(rb"req-[0-9a-f]{8,32}")


def through(via: bytes, own: bytes) -> bytes:
    """The way that a header tells, with commas between; b"" where it is none. `own` is the id of this run. Raises Looped."""
    if not _IDS.fullmatch(via):
        return b""
    ids = via.replace(b" ", b"").split(b",")
    if own in ids or len(ids) >= MOST:
        why = "came back to a gateway that it had come through" if own in ids else f"came through {len(ids)} gateways"
        raise Looped(f"Homeports send this request in a circle: it {why}. Take the route that leads back out of one of their homeport.toml files, and reload.")
    return b", ".join(ids)


def request_id(theirs: bytes | None, own: str) -> str:
    """The id of a request that another Homeport sent: that one's, with our own behind it. So it is unique here, and found by the first part everywhere."""
    found = _ID.match(theirs or b"")
    return f"{found[0].decode()}.{own.removeprefix('req-')}" if found is not None else own
