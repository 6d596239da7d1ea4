"""`[fleet]`: what is taken, and what is refused with the way out; a password is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import FleetSettings, Settings, fleet, load
from homeport.settings.fleet import shown_url, url_problem


def read(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "homeport.toml"
    path.write_text(f"[fleet]\n{text}\n", encoding="utf-8")
    return load(config=path, environ={"HOMEPORT_DATA": str(folder), **environ})


def refused(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(BadSettings) as caught:
        read(folder, text, **environ)
    return str(caught.value).replace(f"{folder}/", "")


def test_nothing_said_nothing_shared(tmp_path: Path) -> None:
    assert load(environ={"HOMEPORT_DATA": str(tmp_path), "HOME": str(tmp_path)}).fleet == FleetSettings(url=None, lease_ttl_s=10.0)


def test_the_contracts_example(tmp_path: Path) -> None:
    found = read(tmp_path, 'url = "redis://127.0.0.1:6379/0"\nlease_ttl_s = 5')
    assert found.fleet == FleetSettings(url="redis://127.0.0.1:6379/0", lease_ttl_s=5.0)
    assert found.notices == ()


def test_a_url_with_a_password_comes_from_outside_and_is_not_shown(tmp_path: Path) -> None:
    found = read(tmp_path, 'url = { env = "STORE" }', STORE="rediss://me:s3cret@redis.example:6380/1")
    assert found.fleet.url == "rediss://me:s3cret@redis.example:6380/1"
    assert found.secrets == {"fleet.url": "env STORE"}
    assert "s3cret" not in repr(found)
    assert shown_url(found.fleet.url) == "rediss://redis.example:6380"
    (tmp_path / "store").write_text("redis://:pw@h/0\n", encoding="utf-8")
    assert read(tmp_path, 'url = { file = "store" }').fleet.url == "redis://:pw@h/0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "redis://:s3cret@h/0"', 'fleet.url holds a password; keep the whole address out of the file: url = { env = "FLEET_URL" }'),
        ('url = "http://h"', 'fleet.url takes redis://, rediss:// or unix:// at its start, not "http://"'),
        ('url = "127.0.0.1:6379"', 'such as "redis://127.0.0.1:6379/0"'),
        ('url = "redis://h:99999/0"', "its port is not from 1 to 65535"),
        ('url = "redis://h/main"', "takes the number of a database after the last /"),
        ('url = "redis://h/0?x=1"', "takes no ? or # part"),
        ('url = "unix://"', "names no socket"),
        ('url = "unix:///run/s?db=1&password=s3cret"', "takes nothing after ? but the number of a database"),
        ("url = 5", "fleet.url takes a text, not"),
        ('url = { env = "STORE" }', "STORE, which is not set"),
        ('uri = "redis://h/0"', '[fleet] has no key "uri"; did you mean "url"?'),
        ("lease_ttl_s = 4", 'fleet has no url; write url = "redis://127.0.0.1:6379/0"'),
        ('url = "redis://h/0"\nlease_ttl_s = 0.5', "fleet.lease_ttl_s takes 1 to 3600 seconds, not 0.5"),
        ('url = "redis://h/0"\nlease_ttl_s = "9"', "without the quotes"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    message = refused(tmp_path, text)
    assert said in message and "homeport.toml:" in message
    assert "s3cret" not in message


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "find_spec", lambda _: None)
    assert "pip install 'homeport[fleet]'" in refused(tmp_path, 'url = "redis://h/0"')
    assert load(environ={"HOMEPORT_DATA": str(tmp_path), "HOME": str(tmp_path)}).fleet.url is None


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/0", "redis://redis.example", "rediss://u:p@h:1/15", "unix:///run/redis.sock?db=2", "redis://[::1]:6379/0"]
)
def test_addresses_that_are_taken(url: str) -> None:
    assert url_problem(url) is None
