"""How a tunnel stands, by what came through."""

from __future__ import annotations

import pytest

from homeport.rules.reach import LONGEST_SILENCE_S, Seen, Verdict, judge, patience_s


def at(now: float, seen: Seen, silent: int = 0) -> Verdict:
    return judge(seen, now, limit_s=45.0, silent=silent, asks="somebody should ask")


def test_it_is_up_while_a_proof_is_fresh_and_of_this_connection() -> None:
    seen = Seen(connected_at=100.0, arrived_at=110.0, proved_at=110.1)
    assert at(111, seen) == Verdict("up")
    assert at(155, seen) == Verdict("up")
    assert at(156, seen).state == "connecting"
    before = Seen(connected_at=120.0, arrived_at=110.0, proved_at=110.1)
    assert at(121, before) == Verdict("connecting", "connected, but nothing has come through yet: somebody should ask")


def test_what_arrives_and_is_not_answered_is_the_nodes_fault_and_no_reason_to_connect_anew() -> None:
    assert at(120, Seen(100.0, 119.0)) == Verdict("connecting", "what comes through the tunnel is not answered here by HTTP")
    assert at(101, Seen(100.0, 100.5)) == Verdict("connecting", "connected")
    assert at(120, Seen(100.0, 119.0, fault="there is no node")) == Verdict("connecting", "there is no node")
    assert not at(163, Seen(100.0, 119.0)).again
    assert at(165, Seen(100.0, 119.0)).again


def test_a_silence_ends_a_connection_and_each_in_vain_doubles_the_patience() -> None:
    assert not at(145, Seen(100.0)).again
    assert at(145.1, Seen(100.0)).again
    assert not at(190, Seen(100.0), silent=1).again
    assert at(190.1, Seen(100.0), silent=1).again
    assert "for 46 s" in at(156, Seen(100.0, 110.0, 110.0)).why
    assert at(156, Seen(100.0, 110.0, 110.0)).again


def test_an_answer_under_way_is_not_cut_and_does_not_hold_a_dead_connection_for_ever() -> None:
    waiting = Seen(100.0, 110.0, 110.0, waiting=True)
    assert at(156, waiting) == Verdict("connecting", "an answer is under way, and nothing else comes through: somebody should ask")
    assert at(300, waiting) == at(156, waiting)  # the same words: they are told once
    assert at(110 + LONGEST_SILENCE_S + 1, waiting).again
    streaming = Seen(100.0, 110.0, 500.0)  # nobody asked again, but the node went on answering
    assert at(545, streaming).state == "up"
    assert at(546, streaming).again


@pytest.mark.parametrize("silent", [10, 100, 10_000])
def test_patience_has_an_end(silent: int) -> None:
    assert patience_s(45.0, silent) == LONGEST_SILENCE_S
    assert patience_s(2000.0, silent) == 2000.0
