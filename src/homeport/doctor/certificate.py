"""Is the way from the world to the gateway encrypted, and until when?"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from homeport.doctor import web
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.errors import BackendError

EXPIRY, PLAIN, REDIRECT = "public.certificate", "public.plain", "public.redirect"
SOON_DAYS, RENEWAL_DAYS = 7, 21  # a renewal that works does it 30 days before
REDIRECTS = (301, 302, 303, 307, 308)
DOOR = 80  # where the unencrypted web is


class Encryption(Struct, frozen=True):
    """What was seen of the way to a public address."""

    url: str
    ends_at: float | None = None  # of its certificate, seconds since the epoch
    plain: int | None = None  # what the same host answers unencrypted: a status, or None where nothing does


def look(url: str, door: int = DOOR) -> Encryption:
    """The certificate, and what the same host says without encryption. What cannot be had is told by `public`."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return Encryption(url)
    ends_at: float | None = None
    plain: int | None = None
    try:
        connection = web.connect(url)
        try:
            sock = connection.sock
            told = (sock.getpeercert() or {}).get("notAfter") if isinstance(sock, ssl.SSLSocket) else None
            ends_at = float(ssl.cert_time_to_seconds(told)) if isinstance(told, str) else None
        finally:
            connection.close()
    except BackendError:
        return Encryption(url)
    if parts.port in (None, 443) or door != DOOR:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        try:
            plain = web.fetch(f"http://{host}:{door}{parts.path}/health", within_s=2.0).status
        except BackendError:
            plain = None
    return Encryption(url, ends_at, plain)


def judge(seen: Encryption, now: float | None = None) -> Iterator[Diagnosis]:
    """What follows at a moment, seconds since the epoch."""
    if urlsplit(seen.url).scheme != "https":
        yield from _unencrypted(seen.url)
        return
    if seen.ends_at is not None:
        days = int((seen.ends_at - (time.time() if now is None else now)) // 86400)
        told = f"The certificate of {seen.url} ends in {days} day{'' if days == 1 else 's'}"
        renew = "see why it is not renewed: certbot renew --dry-run, or the proxy's log"
        if days < SOON_DAYS:
            yield wrong(EXPIRY, told, "then every client refuses the gateway", renew)
        elif days < RENEWAL_DAYS:
            yield unsure(EXPIRY, told, "a renewal should have come by now", renew)
        else:
            yield well(EXPIRY, told)
    if seen.plain is not None and seen.plain < 300:
        fix = "nginx: return 308 https://$host$request_uri; in the server block of port 80"
        yield wrong(
            REDIRECT, f"The same host answers without encryption too (HTTP {seen.plain})", "a client with http:// in its address sends its key in the open", fix
        )


def _unencrypted(url: str) -> Iterator[Diagnosis]:
    if web.is_here(url):
        return
    why, fix = "keys, prompts and answers travel in the open", "put Caddy or nginx with a certificate before it, and use https://"
    try:
        private = ipaddress.ip_address(urlsplit(url).hostname or "").is_private
    except ValueError:
        private = False
    yield unsure(PLAIN, f"{url} is not encrypted", why + ", on this network", fix) if private else wrong(PLAIN, f"{url} is not encrypted", why, fix)
