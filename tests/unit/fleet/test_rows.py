"""What one member of a fleet counts: its share while the store is away, running totals for the store, and levels of keys."""

from __future__ import annotations

import time

import pytest

from homeport.fleet.alone import Alone
from homeport.fleet.rows import Level, Row
from homeport.fleet.view import View


class Company:
    """A store that answers when the test says so."""

    def __init__(self, *, together: bool, gateways: int = 2) -> None:
        self.together, self.gateways = together, gateways
        self.told: list[str] = []
        self.agains = 0

    def soon(self, row: Row, *, urgent: bool = True) -> None:
        self.told.append(row.name)

    def again(self) -> None:
        self.agains += 1


def made(*, together: bool = True, gateways: int = 2, prompt: bool = False) -> tuple[Company, Row, View]:
    company = Company(together=together, gateways=gateways)
    row = Row("home", company, Alone().at("home"), prompt=prompt)
    return company, row, View(row)


@pytest.mark.parametrize(("limit", "gateways", "share"), [(4, 1, 4), (4, 2, 2), (5, 2, 2), (3, 4, 1), (1, 9, 1), (4, 0, 4)])
def test_away_a_gateway_keeps_to_its_share_and_the_rest_counts_as_taken(limit: int, gateways: int, share: int) -> None:
    _, _, places = made(together=False, gateways=gateways)
    assert [places.take(limit) for _ in range(share + 1)] == [True] * share + [False]
    assert places.in_use == limit, "so that asks go where there is room"
    places.give_back()
    assert places.in_use == limit - 1 and places.take(limit)


def test_together_only_the_store_gives_places_and_tells_who_waits() -> None:
    company, row, places = made()
    assert not places.take(2)
    freed: list[bool] = []

    def free() -> None:
        freed.append(places.take(2))
        places.want(0, 0.0, 2)

    places.subscribe(free)
    places.want(1, 5.0, 2)
    assert company.told == ["home"]
    assert row.message(7.5) == ["home", 0, 1, 0, 2500, 2]
    row.answered(1, 1, 0, 1)
    assert freed == [True] and places.in_use == 1
    assert len(company.told) == 1, "it knows"
    places.give_back()
    assert row.message(8.0) == ["home", 1, 1, 1, 0, 2]


def test_a_place_for_one_who_left_goes_back() -> None:
    company, row, places = made()
    places.want(1, 5.0, 2)
    row.message(6.0)
    places.want(0, 0.0, 2)
    row.answered(1, 1, 0, 1)
    assert row.message(7.0) == ["home", 1, 1, 1, 0, 2]
    assert company.told[-1] == "home" and places.in_use == 0


def test_others_are_counted_by_the_newest_word() -> None:
    _, row, places = made()
    places.want(1, 5.0, 4)
    row.message(6.0)
    row.answered(1, 3, 2, 7)
    places.take(4)
    places.want(0, 0.0, 4)
    assert (places.in_use, places.waiting) == (3, 1), "one is free, and two wait elsewhere"
    row.heard(2, 0, 6, None)
    assert places.in_use == 3, "older than what is known"
    row.heard(2, 0, 8, None)
    assert (places.in_use, places.waiting) == (2, -2), "two are free: an ask may come and wait for the word"


def test_a_key_takes_at_once_and_tells() -> None:
    company, row, places = made(prompt=True)
    assert places.take(2) and company.told == ["home"]
    row.message(1.0)
    row.answered(1, 2, 0, 1)
    assert not places.take(2), "another gateway has one"
    row.heard(1, 0, 2, None)
    assert places.take(2)


def test_who_was_away_tells_what_it_took() -> None:
    company, row, places = made(together=False)
    assert places.take(2)
    company.together = True
    assert row.message(1.0)[1:4] == [1, 1, 0]
    row.answered(1, 3, 0, 1)
    assert places.in_use == 3, "more than there are, until they end"


def test_what_a_key_spends_goes_to_the_store_as_seconds() -> None:
    company, own, told = Company(together=True), [0.0, 0.0], []
    level = Level("ada", own, company, told.append)
    now = time.monotonic()
    level[0] = now + 10.0
    level[0] = level[0] + 5.0
    assert own[0] == pytest.approx(now + 15.0, abs=0.5) and level.unsent[0] == pytest.approx(15.0, abs=0.5)
    assert told == [level, level]
    level.unsent = [0.0, 0.0]
    level.heard((40.0, 0.0), now, anew=False)
    assert own[0] == pytest.approx(now + 40.0)
    level.heard((20.0, 0.0), now, anew=False)
    assert own[0] == pytest.approx(now + 40.0), "what is known to be spent stays spent"
    level.heard((0.0, 0.0), now, anew=True)
    assert own == [0.0, 0.0]


def test_away_each_gateway_spends_for_all() -> None:
    own = [0.0, 0.0]
    level = Level("ada", own, Company(together=False, gateways=3), lambda _: None)
    now = time.monotonic()
    level[1] = now + 2.0
    assert own[1] == pytest.approx(now + 6.0, abs=0.5)
    assert level.unsent == [0.0, 0.0]


def test_a_key_that_is_gone_begins_anew_everywhere() -> None:
    told: list[Level] = []
    level = Level("ada", [5.0, 6.0], Company(together=True), told.append)
    level[0] = level[1] = 0.0
    assert level.unsent == [-1.0, -1.0] and told
