"""Cloudflare's client as a tunnel: `cloudflared tunnel run` with the token of a tunnel that was made in its dashboard.

Its edge buffers newline-delimited JSON and passes only `text/event-stream` on as it comes, so across it the surfaces of OpenAI and Anthropic stream,
and Ollama's come in one piece. Where the tunnel leads is set in the dashboard: this home's `local`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

from homeport.errors import HomeportError
from homeport.ports import Heard

STANDS = re.compile(r"\bRegistered tunnel connection\b|\bConnection \S+ registered\b")
BAD_TOKEN = re.compile(r"Provided Tunnel token is not valid|Unauthorized: (?:Invalid tunnel secret|Tunnel not found|Failed to get tunnel)", re.IGNORECASE)
NO_WAY = re.compile(r"ERR .*?(?:Unable to establish connection|Failed to dial|lookup \S+.*: no such host|failed to connect to .*edge)", re.IGNORECASE)


class Cloudflared:
    """A way in by way of Cloudflare's edge; `url` is the address that its dashboard gives this home. Fulfils ports.Tunnel."""

    kind = "cloudflared"

    def __init__(self, *, url: str, token: str) -> None:
        self.url = url
        self._token = token

    @property
    def environment(self) -> Mapping[str, str]:
        """The token: on the command line every user of the machine could read it."""
        return {"TUNNEL_TOKEN": self._token, "NO_AUTOUPDATE": "true"}

    @property
    def asks(self) -> str:
        """What should come through, for people."""
        return f"{self.url}/health, asked from here, should lead back to this node (its service in the dashboard)"

    def command(self, relay: str) -> list[str]:
        """The command line; nothing is relayed. Raises HomeportError."""
        del relay
        program = shutil.which("cloudflared")
        if program is None:
            raise HomeportError("there is no cloudflared; it comes from Cloudflare's downloads, or from your distribution's packages")
        return [program, "tunnel", "--no-autoupdate", "run"]

    def hear(self, line: str) -> Heard | None:
        """What a line of its log says, or None where that is nothing of note."""
        if STANDS.search(line):
            return Heard("connected", "")
        if BAD_TOKEN.search(line):
            return Heard("refused", "Cloudflare does not take the token; copy it anew from the dashboard into [tunnel] token")
        if NO_WAY.search(line):
            return Heard("unreachable", "Cloudflare's edge cannot be reached")
        return None
