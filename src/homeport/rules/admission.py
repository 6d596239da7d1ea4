"""Who may ask: keys once there are any; before that, only this machine and its own pages."""

from __future__ import annotations

from homeport.errors import Forbidden, Unauthenticated
from homeport.vocabulary import Caller

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")

ANYONE = Caller(None)  # while no key exists


def caller(credential: str | None, name: str | None) -> Caller:
    """The caller behind a credential; `name` is the key it was found to be, or None.

    Raises:
        Unauthenticated: a key is needed, and none or an unknown one came.
    """
    if name is not None:
        return Caller(name)
    if credential is None:
        raise Unauthenticated("This gateway needs a key. Send `Authorization: Bearer <key>` or `x-api-key: <key>`; `homeport keys add NAME` makes one.")
    raise Unauthenticated("This key is not known here, or was revoked. `homeport keys list` names the keys there are.")


def from_here(host: bytes, origin: bytes | None, forwarded: bytes | None = None) -> None:
    """Refuse what a foreign web page could send to a gateway without keys: another Host (DNS rebinding) or Origin.

    Nor does it answer whom a proxy before it passes on from elsewhere, whatever Host that visitor wrote: `forwarded` is the proxy's `X-Forwarded-For`.

    Raises:
        Forbidden: with what to do about it.
    """
    if _name(host) not in LOOPBACK:
        raise Forbidden(f"Without keys this gateway answers only to localhost, not to {_shown(host)}. Make a key with `homeport keys add NAME`.")
    if origin and _name(origin.partition(b"://")[2]) not in LOOPBACK:
        raise Forbidden(f"Without keys this gateway answers no page of {_shown(origin)}. Make a key with `homeport keys add NAME`.")
    if forwarded and not all(map(_loopback, forwarded.split(b","))):
        why = f"and a proxy passed this on for {_shown(forwarded)}"
        raise Forbidden(f"Without keys this gateway answers only to this machine, {why}. Make a key with `homeport keys add NAME`.")


def _loopback(address: bytes) -> bool:
    text = address.strip().lower().removeprefix(b"[").removeprefix(b"::ffff:")
    return text.startswith((b"127.", b"::1]")) or text in (b"::1", b"localhost")


def _name(host: bytes) -> str:
    text = host.decode("latin-1").strip().lower()
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def _shown(value: bytes) -> str:
    return value[:100].decode("ascii", "replace")
