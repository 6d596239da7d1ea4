"""Days and their probes."""

from __future__ import annotations

import pytest

from homeport.rules import heartbeat
from homeport.rules.heartbeat import Beats

MIDNIGHT = 1_795_219_200.0  # 2026-11-21 00:00 UTC


def test_a_day_begins_at_midnight_utc() -> None:
    assert [heartbeat.date(heartbeat.day(at)) for at in (MIDNIGHT - 0.001, MIDNIGHT, MIDNIGHT + 86399.9)] == ["2026-11-20", "2026-11-21", "2026-11-21"]


def test_the_calendar_has_every_day_with_today_last() -> None:
    today = heartbeat.day(MIDNIGHT)
    days = heartbeat.calendar({today: Beats(1), today - 89: Beats(2), today - 90: Beats(3), today + 1: Beats(4)}, today)
    assert len(days) == 90
    assert [days[0], days[1], days[-1]] == [(today - 89, Beats(2)), (today - 88, Beats()), (today, Beats(1))]
    assert Beats() == heartbeat.NONE, "what stands for no probes is never counted into"


def test_only_what_says_something_is_shared() -> None:
    beats = Beats()
    for good in (True, None, False, True, None, True):
        beats.add(good)
    assert (beats, beats.share, Beats(neither=3).share) == (Beats(3, 1, 2), 0.75, None)
    assert heartbeat.total({1: beats, 2: Beats(1, 1, 1)}) == Beats(4, 2, 3)


@pytest.mark.parametrize(("share", "said"), [(1.0, "100 %"), (0.0, "0 %"), (0.999999, "99.99 %"), (0.0000001, "0.01 %"), (0.985, "98.5 %"), (2 / 3, "66.67 %")])
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert heartbeat.percent(share) == said
