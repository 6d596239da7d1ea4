"""Where the client looks for gateways, and with which key."""

from __future__ import annotations

import pytest

from homeport.client.addresses import base, endpoints
from homeport.errors import BadSettings


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("http://127.0.0.1:8461", "http://127.0.0.1:8461"),
        ("http://127.0.0.1:8461/", "http://127.0.0.1:8461"),
        ("http://box/v1", "http://box"),
        ("https://vps.example/llm/v1/", "https://vps.example/llm"),
        ("http://[::1]:8461", "http://[::1]:8461"),
    ],
)
def test_an_address_is_taken_as_people_write_it(given: str, found: str) -> None:
    assert base(given) == found


@pytest.mark.parametrize(
    "given", ["box:8461", "ftp://box", "http://", "http://box:0", "http://box:x", "http://a b", "http://ä", "http://me:secret@box", "http://box?x"]
)
def test_what_is_no_address_is_refused_without_being_shown(given: str) -> None:
    with pytest.raises(BadSettings, match="a gateway's address is such as") as caught:
        endpoints(given)
    assert "secret" not in str(caught.value)


def test_what_is_given_comes_before_the_environment() -> None:
    environ = {"HOMEPORT_URL": "http://a, http://b ,", "HOMEPORT_KEY": "hp_env"}
    assert [(one.url, one.key) for one in endpoints(None, None, environ)] == [("http://a", "hp_env"), ("http://b", "hp_env")]
    assert [(one.url, one.key) for one in endpoints(["http://c"], "hp_given", environ)] == [("http://c", "hp_given")]
    assert [(one.url, one.key) for one in endpoints("http://c,http://d", None, environ)] == [("http://c", "hp_env"), ("http://d", "hp_env")]


def test_without_anything_it_is_this_machine() -> None:
    assert [(one.url, one.key) for one in endpoints(None, None, {})] == [("http://127.0.0.1:8461", None)]
    assert [one.url for one in endpoints([], None, {"HOMEPORT_URL": " , "})] == ["http://127.0.0.1:8461"]


def test_each_gateway_once_and_each_with_its_key() -> None:
    found = endpoints(["http://a", "http://b", "http://a/v1"], ["hp_a", None, "hp_other"], {"HOMEPORT_KEY": "hp_env"})
    assert [(one.url, one.key) for one in found] == [("http://a", "hp_a"), ("http://b", None)]
    with pytest.raises(BadSettings, match="2 keys for 1 gateways"):
        endpoints("http://a", ["x", "y"])


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_stand_in_a_header_is_not_shown(key: str) -> None:
    with pytest.raises(BadSettings, match="one word") as caught:
        endpoints("http://a", key)
    assert key not in str(caught.value)
