"""A backend's settings: its address, and whether that is local."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from tests.unit.settings.test_reading import HOME, folder, read

__all__ = ["folder"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.20.0.1", "100.101.102.103", "nas", "nas.local", "box.lan", "a.b.ts.net", "[::1]", "[fd00::1]", "localhost"],
)
def test_a_private_address_needs_no_location(folder: Path, host: str) -> None:
    assert read(HOME.replace("127.0.0.1", host), folder).notices == ()


@pytest.mark.parametrize("host", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "api.example.com", "[2001:db8::1]"])
def test_a_public_address_without_location_is_noticed(folder: Path, host: str) -> None:
    assert len(read(HOME.replace("127.0.0.1", host), folder).notices) == 1


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://h/v1", "http://h"),
        ("http://h/v1/", "http://h"),
        ("https://h:1/a/v1", "https://h:1/a"),
        ("http://h/", "http://h"),
        ("HTTP://H/v10", "HTTP://H/v10"),
        ("http+unix:///run/my home/Home.sock", "http+unix://%2Frun%2Fmy%20home%2FHome.sock"),
        ("http+unix://%2Frun%2Fhome.sock/v1", "http+unix://%2Frun%2Fhome.sock"),
    ],
)
def test_a_url_is_kept_without_v1(folder: Path, url: str, kept: str) -> None:
    assert read(f'[backends.a]\nkind = "openai"\nurl = "{url}"\nlocation = "local"\n', folder).backends["a"].url == kept


@pytest.mark.parametrize("path", ["", "run/home.sock", f"/{'x' * 103}", "%2Frun%2Fhome%00.sock"])
def test_a_socket_that_cannot_be(folder: Path, path: str) -> None:
    with pytest.raises(BadSettings, match="takes the whole path of a socket"):
        read(f'[backends.a]\nkind = "openai"\nurl = "http+unix://{path}"\n', folder)


def test_a_socket_is_local_and_does_not_sleep(folder: Path) -> None:
    told = '[backends.a]\nkind = "openai"\nurl = "http+unix:///run/home.example.sock"\n'
    assert read(told, folder).notices == ()
    with pytest.raises(BadSettings, match="the url leads to this machine"):
        read(f'{told}wake = "aa:bb:cc:dd:ee:ff"\n', folder)
