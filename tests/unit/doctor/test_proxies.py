"""What the arrival of a stream tells of the proxies on its way."""

from __future__ import annotations

import pytest

from homeport.doctor.diagnosis import Diagnosis
from homeport.doctor.proxies import judge
from homeport.doctor.public import Public, Stream

URL = "https://ai.example"


def seen(**fields: object) -> list[Diagnosis]:
    return list(judge(Public(url=URL, **fields), keyed=False))  # type: ignore[arg-type]


def streamed(arrivals: list[float], generated_s: float | None = 1.0, **fields: object) -> list[Diagnosis]:
    told = {"status": 200, "request_id": True, "arrivals": tuple(arrivals), "events": 50, "generated_s": generated_s, "whole": True} | fields
    return seen(status=200, is_homeport=True, model="pilot", stream=Stream(**told))  # type: ignore[arg-type]


STEADY = [number * 0.02 for number in range(51)]
AT_ONCE = [number * 0.0005 for number in range(51)]


def test_a_stream_that_comes_as_it_is_made_is_well() -> None:
    [found] = streamed(STEADY)
    assert (found.check, found.ok) == ("public.buffering", True)
    assert "made in 1.0 s, arrives over 1.0 s" in found.what


def test_one_that_comes_at_once_was_held_back() -> None:
    [found] = streamed(AT_ONCE)
    assert (found.check, found.ok) == ("public.buffering", False)
    assert "made in 1.0 s, they arrive within 0.03 s" in found.what
    assert "proxy_buffering off" in found.fix and "flush_interval" in found.fix and "Cloudflare" in found.fix


def test_one_in_a_few_large_pieces_comes_in_lumps() -> None:
    [found] = streamed([0.0, 0.0005, 0.5, 0.5005, 1.0])
    assert found.ok is False
    assert "50 pieces arrive at 3 moments" in found.what


def test_a_quick_engine_is_no_lump() -> None:
    """A thousand tokens a second, several in a read: nobody sees the pauses between."""
    assert streamed([number * 0.01 for number in range(40)], 0.4, events=400)[0].ok is True
    assert streamed([number * 0.001 for number in range(400)], 0.4, events=400)[0].ok is True


def test_lumps_in_a_long_stream_are_seen() -> None:
    assert streamed([number * 0.15 for number in range(20)], 3.0, events=384)[0].ok is False


def test_a_few_words_may_come_at_a_few_moments() -> None:
    assert streamed([0.0, 0.5, 1.0], events=3)[0].ok is True


@pytest.mark.parametrize("generated_s", [0.02, None])
def test_what_was_made_too_quickly_tells_nothing(generated_s: float | None) -> None:
    [found] = streamed(AT_ONCE, generated_s)
    assert found.ok is None
    assert "too quickly to tell" in found.what


def test_a_stream_that_is_not_done_in_time_is_judged_by_what_came() -> None:
    assert streamed(STEADY, None, whole=False)[0].ok is True
    assert streamed([], None, whole=False)[0].ok is None


def test_compression_and_a_lost_request_id_are_told() -> None:
    found = {one.check: one for one in streamed(AT_ONCE, encoding="gzip", request_id=False)}
    assert found["public.compression"].ok is found["public.request_id"].ok is False
    assert "(gzip)" in found["public.compression"].what
    assert streamed(STEADY, encoding="gzip")[1].ok is None  # which flows all the same


def test_an_answer_that_does_not_come_is_told() -> None:
    [found] = streamed([], status=503)
    assert (found.check, found.ok) == ("public.answer", False)
    [found] = streamed([], fault="connection reset by peer")
    assert "connection reset by peer" in found.what


@pytest.mark.parametrize(
    ("fields", "ok", "words"),
    [
        ({"fault": "no such host"}, False, "does not answer: no such host"),
        ({"status": 502}, False, "a gateway that it does not reach (HTTP 502)"),
        ({"status": 401}, None, "wants a key"),
        ({"status": 404}, False, "is no Homeport (HTTP 404)"),
        ({"status": 200}, False, "is no Homeport (HTTP 200)"),
        ({"status": 404, "largest_refused": 8 << 20}, False, "refuses requests of 8 MiB"),
    ],
)
def test_what_answers_instead(fields: dict[str, object], ok: bool | None, words: str) -> None:
    found = seen(**fields)
    assert found[-1].ok is ok
    assert words in found[-1].what


def test_a_key_that_is_not_taken_is_told_as_that() -> None:
    [found] = judge(Public(url=URL, status=401), keyed=True)
    assert "does not take the key in HOMEPORT_KEY" in found.what
