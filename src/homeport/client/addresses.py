"""Which gateways are asked, and with which key: what was given, else the environment, else the usual address on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from homeport.client.roster import Endpoint
from homeport.errors import BadSettings

USUAL = "http://127.0.0.1:8461"

Urls = str | Sequence[str] | None
Key = str | Sequence[str | None] | None


def endpoints(urls: Urls = None, key: Key = None, environ: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """The gateways in the order of preference, each once.

    `urls` is one address, several separated by commas, or a sequence; without any, $HOMEPORT_URL, else 127.0.0.1:8461. `key` is one for
    all, or a sequence with one for each address; without any, $HOMEPORT_KEY, else none. Raises BadSettings.
    """
    if not urls:
        urls = environ.get("HOMEPORT_URL", "")
    given = [url.strip() for url in (urls.split(",") if isinstance(urls, str) else urls)]
    found = [base(url) for url in given if url] or [USUAL]
    if key is None:
        key = environ.get("HOMEPORT_KEY", "").strip() or None
    if isinstance(key, str) or key is None:
        keys: Sequence[str | None] = [key] * len(found)
    else:
        keys = key
        if len(keys) != len(found):
            raise BadSettings(f"{len(keys)} keys for {len(found)} gateways: give one key for all, or one for each address in the same order")
    gateways: dict[str, Endpoint] = {}
    for url, one in zip(found, keys, strict=True):
        gateways.setdefault(url, Endpoint(url, _checked(one)))
    return list(gateways.values())


def base(url: str) -> str:
    """The address without a trailing slash or `/v1`. Raises BadSettings where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
        good = good and not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good:
        raise BadSettings('a gateway\'s address is such as "http://127.0.0.1:8461"; several are a list, or separated by commas in $HOMEPORT_URL')
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _checked(key: str | None) -> str | None:
    """The key as it can stand in a header. Raises BadSettings, without showing it."""
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise BadSettings("a key is one word of plain characters, as `homeport keys add NAME` shows it; what was given (or stands in $HOMEPORT_KEY) is not")
    return key or None
