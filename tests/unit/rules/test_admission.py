"""Who is of this machine, while no key exists."""

from __future__ import annotations

import pytest

from homeport.errors import Forbidden
from homeport.rules.admission import from_here


@pytest.mark.parametrize("forwarded", [None, b"", b"127.0.0.1", b"127.9.9.9, 127.0.0.1", b"::1", b"[::1]:50000", b"::ffff:127.0.0.1", b"127.0.0.1:50000"])
def test_a_proxy_of_this_machine_may_ask_for_it(forwarded: bytes | None) -> None:
    from_here(b"localhost", None, forwarded)


@pytest.mark.parametrize(
    "forwarded", [b"203.0.113.9", b"127.0.0.1, 203.0.113.9", b"203.0.113.9, 127.0.0.1", b"::ffff:203.0.113.9", b"2001:db8::1", b"::11", b"unknown"]
)
def test_a_visitor_from_elsewhere_is_none_of_it_whatever_host_he_wrote(forwarded: bytes) -> None:
    with pytest.raises(Forbidden, match="Make a key"):
        from_here(b"localhost", None, forwarded)
