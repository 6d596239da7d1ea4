"""Which gateway is asked first, and when one that failed is tried again."""

from __future__ import annotations

from itertools import pairwise

from homeport.client.roster import LONGEST_S, Endpoint, Roster

A, B, C = "http://a", "http://b", "http://c"


def roster() -> Roster:
    return Roster([Endpoint(A), Endpoint(B), Endpoint(C)], uniform=lambda low, high: high)


def urls(roster: Roster) -> list[str]:
    return [endpoint.url for endpoint in roster.order()]


def test_one_that_failed_is_asked_last_but_never_left_out() -> None:
    gateways = roster()
    a, b, c = gateways.endpoints
    assert urls(gateways) == [A, B, C]
    gateways.failed(a, 0.0)
    assert urls(gateways) == [B, C, A]
    gateways.failed(b, 0.5)
    gateways.failed(c, 0.2)
    assert urls(gateways) == [A, C, B]
    gateways.good(b)
    assert urls(gateways) == [B, A, C]


def test_it_stays_with_the_one_that_answers_until_the_preferred_is_seen_alive() -> None:
    gateways = roster()
    a, b, c = gateways.endpoints
    gateways.failed(a, 0.0)
    gateways.good(b)
    assert gateways.due(0.9) == []
    assert urls(gateways)[0] == B
    assert gateways.due(1.0) == [a]
    assert gateways.due(1.0) == []  # somebody looks already
    gateways.looked(a, False, 1.0)
    assert gateways.due(2.9) == []  # the second failure counts double
    assert gateways.due(3.0) == [a]
    gateways.looked(a, True, 3.0)
    assert urls(gateways) == [A, B, C]
    gateways.failed(c, 3.0)
    assert gateways.due(99.0) == []  # nobody is better than what is used


def test_with_none_left_the_requests_themselves_find_out() -> None:
    gateways = roster()
    for endpoint in gateways.endpoints:
        gateways.failed(endpoint, 0.0)
    assert gateways.due(50.0) == []
    gateways.good(gateways.endpoints[2])
    assert gateways.due(50.0) == list(gateways.endpoints[:2])


def test_pauses_grow_to_a_limit_and_begin_anew_after_an_answer() -> None:
    gateways = roster()
    a = gateways.endpoints[0]
    pauses = []
    now = 0.0
    for _ in range(8):
        gateways.failed(a, now)
        pauses.append(a.aside_until - now)
        now = a.aside_until
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert all(before <= after for before, after in pairwise(pauses))
    assert pauses[-1] == LONGEST_S
    gateways.good(a)
    gateways.failed(a, now)
    assert a.aside_until - now == 1.0


def test_what_fails_together_is_one_failure() -> None:
    gateways = roster()
    a = gateways.endpoints[0]
    for _ in range(8):
        gateways.failed(a, 0.0)
    assert (a.failures, a.aside_until) == (1, 1.0)


def test_a_busy_gateway_says_itself_how_long_within_bounds() -> None:
    gateways = roster()
    a, b, _ = gateways.endpoints
    gateways.failed(a, 0.0, 7.0)
    gateways.failed(b, 0.0, 1e6)
    assert (a.aside_until, b.aside_until) == (7.0, LONGEST_S)


def test_a_gateway_that_lives_but_refuses_waits_longer_each_time() -> None:
    gateways = roster()
    a = gateways.endpoints[0]
    gateways.failed(a, 0.0)
    assert gateways.due(1.0) == [a]
    gateways.looked(a, True, 1.0)
    gateways.failed(a, 1.0)
    assert a.aside_until == 3.0


def test_equal_jitter() -> None:
    gateways = Roster([Endpoint(A)])
    a = gateways.endpoints[0]
    seen = set()
    for _ in range(50):
        gateways.good(a)
        gateways.failed(a, 0.0)
        seen.add(a.aside_until)
    assert min(seen) >= 0.5 and max(seen) <= 1.0 and len(seen) > 10
