"""What `listen` means (a host and a port, and whether only this machine can reach them), and what is wrong with a URL."""

from __future__ import annotations

import socket
from urllib.parse import quote, unquote, urlsplit

from homeport.settings.document import shown

UNIX = "http+unix://"  # then the path of a Unix socket
EXAMPLE = '"127.0.0.1:8461"'


def address(listen: str) -> tuple[str, int]:
    """The host and port of `HOST:PORT`, `[IPV6]:PORT` or `:PORT`; the host is "" for all interfaces.

    Raises ValueError, with what is wrong and what was probably meant.
    """
    text = listen.strip()
    if "://" in text:
        raise ValueError(f'takes no scheme; did you mean "{text.split("://", 1)[1].rstrip("/")}"?')
    if text.isdigit():
        raise ValueError(f'takes HOST:PORT; did you mean "127.0.0.1:{text}"?')
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(socket.AF_INET6, host):
            raise ValueError(f"takes an IPv6 address in the brackets, such as [::1]:8461, not [{host}]")
    elif ":" in host or _is_ip(socket.AF_INET6, text):
        raise ValueError('takes an IPv6 address in brackets, such as "[::1]:8461"')
    if not colon or not port:
        raise ValueError(f"takes HOST:PORT, such as {EXAMPLE}; the port is missing")
    if not (port.isascii() and port.isdigit()) or len(port) > 6 or int(port) > 65535:
        raise ValueError(f"takes a port from 0 to 65535, not {port[:40]!r}")
    if not (host.isascii() and host.isprintable()) or any(c in " /@?#\"'[]" for c in host):
        raise ValueError(f"takes HOST:PORT, such as {EXAMPLE}; {host[:80]!r} is no host name")
    return host, int(port)


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach `listen`: 127.0.0.0/8, ::1 or localhost. Raises ValueError as `address`."""
    host, _ = address(listen)
    if _is_ip(socket.AF_INET, host):
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    if _is_ip(socket.AF_INET6, host):
        return socket.inet_pton(socket.AF_INET6, host) == socket.inet_pton(socket.AF_INET6, "::1")
    return host.lower() == "localhost"


def from_here(url: str) -> str:
    """The address under which this machine reaches a gateway that listens at all of its interfaces."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def url_problem(value: str) -> str | None:
    """What is wrong with an address, or None. Never shows it where it may hold a password."""
    if not value.isascii() or " " in value or "\\" in value:
        return "takes an address in ASCII without blanks"
    if "@" in value:
        return "may not hold a user name or password; use api_key"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or port == 0 or host.startswith("."):
        return f'is no address, or its port is not from 1 to 65535: "{shown(value)}"'
    if "://" not in value:
        return f'takes http:// or https:// at its start; did you mean "http://{shown(value)}"?'
    if parts.scheme not in ("http", "https"):
        return f'takes http:// or https:// at its start, not "{shown(parts.scheme)}://"'
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        return "takes no ? or # part"
    return None


def socket_path(url: str) -> str | None:
    """The path of the Unix socket that an address names, `http+unix:///run/home.sock`; None where it is another address.

    As a value of the settings its slashes are `%2F`, so that what follows is the path of a page.
    """
    if not url.startswith(UNIX):
        return None
    rest = url.removeprefix(UNIX)
    return rest if rest.startswith("/") else unquote(rest.partition("/")[0])


def socket_url(path: str) -> str:
    """The address of a Unix socket, in the form that the settings have."""
    return UNIX + quote(path, safe="")


def _is_ip(family: int, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return False
    return True
