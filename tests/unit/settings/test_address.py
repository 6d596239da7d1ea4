"""What `listen` means."""

from __future__ import annotations

import pytest

from homeport.settings import address, is_loopback
from homeport.settings.address import socket_path, socket_url


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:8461", "127.0.0.1", 8461, True),
        ("127.9.9.9:0", "127.9.9.9", 0, True),
        ("localhost:1", "localhost", 1, True),
        ("LocalHost:1", "LocalHost", 1, True),
        ("[::1]:8461", "::1", 8461, True),
        ("[0:0:0:0:0:0:0:1]:8461", "0:0:0:0:0:0:0:1", 8461, True),
        (" 127.0.0.1:65535 ", "127.0.0.1", 65535, True),
        (":8461", "", 8461, False),
        ("0.0.0.0:8461", "0.0.0.0", 8461, False),
        ("[::]:8461", "::", 8461, False),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, False),
        ("192.168.1.2:80", "192.168.1.2", 80, False),
        ("127.0.0.1.example.com:80", "127.0.0.1.example.com", 80, False),
        ("127.1:80", "127.1", 80, False),
        ("localhost.example:80", "localhost.example", 80, False),
    ],
)
def test_a_listen_address(listen: str, host: str, port: int, loopback: bool) -> None:
    assert address(listen) == (host, port)
    assert is_loopback(listen) is loopback


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("8461", 'did you mean "127.0.0.1:8461"?'),
        ("http://127.0.0.1:8461/", 'did you mean "127.0.0.1:8461"?'),
        ("127.0.0.1", "the port is missing"),
        ("127.0.0.1:", "the port is missing"),
        ("", "the port is missing"),
        ("::1", "IPv6 address in brackets"),
        ("::1:8461", "IPv6 address in brackets"),
        ("[::g]:1", "IPv6 address in the brackets"),
        ("127.0.0.1:65536", "a port from 0 to 65535"),
        ("127.0.0.1:-1", "a port from 0 to 65535"),
        ("127.0.0.1:٣", "a port from 0 to 65535"),
        ("127.0.0.1:" + "9" * 5000, "a port from 0 to 65535"),
        ("ho st:1", "is no host name"),
        ("hö:1", "is no host name"),
        ("a/b:1", "is no host name"),
    ],
)
def test_what_is_no_listen_address_is_refused_with_what_was_meant(listen: str, told: str) -> None:
    for read in (address, is_loopback):
        with pytest.raises(ValueError, match=r".") as caught:
            read(listen)
        assert told in str(caught.value)
        assert len(str(caught.value)) < 200


def test_the_path_of_a_unix_socket() -> None:
    for url in ("http+unix:///run/my home/Home.sock", "http+unix://%2Frun%2Fmy%20home%2FHome.sock", "http+unix://%2Frun%2Fmy%20home%2FHome.sock/v1/models"):
        assert socket_path(url) == "/run/my home/Home.sock"
    assert socket_path("http://127.0.0.1:1") is None
    assert socket_path(socket_url("/a/b%2Fc.sock")) == "/a/b%2Fc.sock"
