"""Whether a gateway lives: its `/health`, which costs nothing and needs no key, asked on a connection of its own."""

from __future__ import annotations

import enum
import http.client
import ssl
from urllib.parse import urlsplit


class Pulse(enum.Enum):
    """What a look at a gateway shows."""

    ANSWERS = "answers"
    REFUSES = "refuses"  # the port is closed, or what stands before the gateway says that it is gone
    SILENT = "silent"  # the network or the process stands still


def pulse(url: str, context: ssl.SSLContext, patience_s: float) -> Pulse:
    """Look once, and wait `patience_s` for the connection and for the answer. `context` is used where the address is https."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, parts.port, timeout=patience_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=patience_s)
    try:
        connection.request("GET", f"{parts.path}/health", headers={"connection": "close"})
        return Pulse.ANSWERS if connection.getresponse().status < 500 else Pulse.REFUSES
    except (ConnectionError, http.client.HTTPException, ssl.SSLError):
        return Pulse.REFUSES
    except OSError:
        return Pulse.SILENT
    finally:
        connection.close()
