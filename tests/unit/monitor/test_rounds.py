"""What is found at other Homeports, and when the switch is pinged."""

from __future__ import annotations

import logging

import pytest

from homeport.monitor.rounds import Rounds, get, name
from homeport.testing.loopback import bound
from homeport.vocabulary import Finding
from tests.receiver import Receiver

OWN = "http://0.0.0.0:8461"
PING = "https://ping.example/secret"


class World:
    """Addresses and what they answer: a status, or an error."""

    def __init__(self, **answers: int | OSError) -> None:
        self.answers: dict[str, int | OSError] = {"http://127.0.0.1:8461/ready": 200, PING: 200}
        self.asked: list[str] = []
        self.found: list[tuple[str, Finding]] = []

    def fetch(self, url: str) -> int:
        self.asked.append(url)
        answer = self.answers[url]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def rounds(self, *peers: str, ping: str | None = PING) -> Rounds:
        return Rounds(peers, ping, lambda: OWN, lambda peer, finding: self.found.append((peer, finding)), period_s=1.0, fetch=self.fetch)


def test_it_pings_after_it_served_itself() -> None:
    world = World()
    world.rounds().round()
    assert world.asked == ["http://127.0.0.1:8461/ready", PING]


@pytest.mark.parametrize("answer", [503, TimeoutError(), ConnectionRefusedError(111, "Connection refused")], ids=str)
def test_it_does_not_ping_while_it_is_not_well(answer: int | OSError) -> None:
    world = World()
    world.answers["http://127.0.0.1:8461/ready"] = answer
    world.rounds().round()
    assert PING not in world.asked


def test_a_ping_that_fails_is_told_once_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    rounds = world.rounds()
    with caplog.at_level(logging.WARNING, "homeport"):
        for answer in (404, TimeoutError(), 200, OSError(113, "No route to host")):
            world.answers[PING] = answer
            rounds.round()
    assert [record.getMessage() for record in caplog.records] == [
        "dead_man_url could not be pinged: HTTP 404",
        "dead_man_url could not be pinged: no route to host",
    ]


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (200, Finding(True)),
        (502, Finding(False, "no Homeport answers there: HTTP 502")),
        (TimeoutError(), Finding(False, "no answer in time")),
        (ConnectionRefusedError(111, "Connection refused"), Finding(False, "connection refused")),
    ],
    ids=str,
)
def test_a_peer(answer: int | OSError, finding: Finding) -> None:
    world = World()
    world.answers["https://vps.example/health"] = answer
    world.rounds("https://vps.example", ping=None).round()
    assert world.found == [("Homeport at vps.example", finding)]
    assert name("http://10.0.0.1:8461") == "Homeport at 10.0.0.1:8461"


def test_real_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Receiver() as receiver, bound() as holder:
        assert get(f"{receiver.http}/a") == 200
        receiver.status = 503
        assert get(f"{receiver.http}/a") == 503
        with pytest.raises(ConnectionRefusedError):
            get(f"http://127.0.0.1:{holder.getsockname()[1]}/")
    with pytest.raises(OSError, match=r"."):
        get("http://no-such-host.invalid/")


def test_other_things_are_looked_at_first_by_their_names() -> None:
    world = World()
    looks = {"The tunnel": lambda: Finding(False, "it does not run")}
    Rounds((), None, lambda: OWN, lambda what, finding: world.found.append((what, finding)), period_s=1.0, fetch=world.fetch, looks=looks).round()
    assert world.found == [("The tunnel", Finding(False, "it does not run"))]
    assert world.asked == []
