"""Reads `[tunnel]`: how this home is reached from the machine that the world sees."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import cast, get_args
from urllib.parse import urlsplit

from homeport.settings.address import address, url_problem
from homeport.settings.document import Table, shown
from homeport.settings.secret import read_secret
from homeport.settings.tree import TunnelKind, TunnelSettings

KINDS: tuple[TunnelKind, ...] = get_args(TunnelKind)
KEYS = ("kind", "to", "port", "host_key", "identity", "remote", "local", "token", "probe_timeout_s")
REMOTE, LOCAL, PROBE_TIMEOUT_S = TunnelSettings().remote, TunnelSettings().local, TunnelSettings().probe_timeout_s
EXAMPLE_TO = "tunnel@vps.example"
EXAMPLE_URL = "https://home.example"
EXAMPLE_KEY = "ssh-ed25519 AAAA…"
EXAMPLE_SOCKET = "/run/homeport-tunnel/home.sock"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
ED25519_BYTES = 51
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]{0,253}[A-Za-z0-9])?|::1")


def read_tunnel(table: Table, listen: str, environ: Mapping[str, str], secrets: dict[str, str]) -> TunnelSettings:
    """The section; `listen` is where the node of the same file listens. What is wrong is collected in the table's document."""
    table.known(KEYS)
    kind = cast(TunnelKind, table.word("kind", KINDS, "ssh"))
    for key in ("port", "host_key", "identity", "remote") if kind == "cloudflared" else ("token",):
        if key in table:
            table.problem(key, f'is not for kind = "{kind}"; leave it out')
    return TunnelSettings(
        kind=kind,
        to=_checked(table, "to", destination if kind == "ssh" else public, EXAMPLE_TO if kind == "ssh" else EXAMPLE_URL),
        port=_port(table),
        host_key=_checked(table, "host_key", host_key, EXAMPLE_KEY),
        identity=table.path("identity", "id_ed25519"),
        remote=_checked(table, "remote", remote, REMOTE) or REMOTE,
        local=_checked(table, "local", local, LOCAL) or node(listen),
        token=_token(table, environ, secrets),
        probe_timeout_s=table.seconds("probe_timeout_s", PROBE_TIMEOUT_S),
    )


def node(listen: str) -> str:
    """How a node that listens there is reached from its own machine; the usual place where that is no address."""
    try:
        host, port = address(listen)
    except ValueError:
        return LOCAL
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def destination(value: str) -> str:
    """`USER@HOST`, as the ssh client may be given it. Raises ValueError with what is wrong."""
    text = value.strip()
    user, at, host = text.partition("@")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not at or not user:
        raise ValueError(f'takes USER@HOST, such as "{EXAMPLE_TO}"; the user is missing')
    if not _USER.fullmatch(user):
        raise ValueError(f'takes USER@HOST; "{shown(user)}" is no user name')
    if not _HOST.fullmatch(host) or ("." in host and ":" in host):
        hint = "; the port goes to the key port" if re.fullmatch(r"[^:]+:\d+", host) else ""
        raise ValueError(f'takes USER@HOST; "{shown(host)}" is no host{hint}')
    return f"{user}@{host}"


def public(value: str) -> str:
    """The address under which cloudflared's edge serves this home. Raises ValueError with what is wrong."""
    text = value.strip().rstrip("/")
    if problem := url_problem(text):
        raise ValueError(problem)
    if urlsplit(text).scheme != "https":
        raise ValueError(f'takes the public address of the tunnel, such as "{EXAMPLE_URL}"')
    return text


def host_key(value: str) -> str:
    """A host's public key as `ssh-keyscan` and the `.pub` files have it: type and base64; a comment is left out. Raises ValueError."""
    words = value.split()
    if words and words[0] not in KEY_TYPES and len(words) > 1 and words[1] in KEY_TYPES:
        words = words[1:]  # a line of ssh-keyscan or known_hosts begins with the host
    if len(words) < 2 or words[0] not in KEY_TYPES:
        raise ValueError(f'takes the public key of the host on one line, such as "{EXAMPLE_KEY}"; on the VPS: cat /etc/ssh/ssh_host_ed25519_key.pub')
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != words[0].encode() or (words[0] == "ssh-ed25519" and len(blob) != ED25519_BYTES):
        raise ValueError("is no whole key: its second word is cut, or of another type than its first")
    return f"{words[0]} {words[1]}"


def remote(value: str) -> str:
    """What is bound on the VPS: its loopback only, or a Unix socket. Raises ValueError with what is wrong."""
    text = value.strip()
    if text.startswith("/"):
        if not re.fullmatch(r"/[A-Za-z0-9._/-]{1,100}", text):
            raise ValueError("takes the path of a Unix socket of at most 100 letters, digits and . _ / -")
        words = text[1:].split("/")
        if len(words) < 3 or not {"", ".", ".."}.isdisjoint(words):
            raise ValueError(f"takes a socket in a folder of its own, which will be the tunnel's user's, such as \"{EXAMPLE_SOCKET}\"")
        return text
    host, port = address(text)
    if port == 0:
        raise ValueError("takes a port from 1 to 65535: the gateway on the VPS must know it")
    if host not in LOOPBACK:  # sshd takes another one, such as 127.0.0.2, and listens at 127.0.0.1 and ::1
        raise ValueError(f'takes a port of the VPS\'s loopback, such as "{REMOTE}": the gateway there is what the world sees, not this')
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local(value: str) -> str:
    """Where the tunnel leads to here. Raises ValueError with what is wrong."""
    host, port = address(value)
    if port == 0 or not host:
        raise ValueError(f'takes HOST:PORT of the node, such as "{LOCAL}"')
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _checked(table: Table, key: str, check: Callable[[str], str], example: str) -> str | None:
    value = table.text(key, example)
    return check(value) if value is not None and table.valid(key, check, value) else None


def _port(table: Table) -> int:
    port = table.whole("port", 22)
    if port > 65535:
        table.problem("port", f"takes a port from 1 to 65535, not {port}")
        return 22
    return port


def _token(table: Table, environ: Mapping[str, str], secrets: dict[str, str]) -> str | None:
    value = table.take("token", dict, '{ file = "cloudflared.token" }')
    if value is None:
        return None
    found = read_secret(table, "token", value, ("token",), "TUNNEL_TOKEN", environ)
    if found is None:
        return None
    secrets[f"{table.name}.token"] = found[1]
    return found[0]
