"""`homeport.Client` and `AsyncClient` over two gateways of which one is killed, frozen, restarted or off, at any moment of a call."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.client import Cut, NoGateway, TimedOut, Timeouts
from homeport.errors import NoRouteLeft
from homeport.testing.script import Answer, Refuse
from tests.clients.pair import QUICK, TEXT, Ask, Pair, ask, ask_async, beside, gateways
from tests.gateway import Spawned, config, soon

SLOW = Answer(text=TEXT, delay_s=0.1)
both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with gateways(tmp_path) as found:
        yield found


@both
@streamed
def test_a_gateway_that_is_gone_before_the_call(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.first.end(signal.SIGKILL)
    assert ask(pair.urls, stream=stream) == TEXT
    assert pair.backend.generations == 1
    assert pair.answered(pair.second) == 1


@both
@streamed
def test_one_that_is_killed_while_it_computes(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.backend.script.append(Answer(text="wrong words", prefill_s=30))
    with beside(partial(ask, pair.urls, stream=stream)) as call:
        assert pair.backend.until(lambda: pair.backend.generations == 1)
        pair.first.end(signal.SIGKILL)
        assert call.result(10) == TEXT
    assert pair.backend.generations == 2  # computed twice, shown once


@both
def test_one_that_is_killed_in_the_middle_of_a_stream(pair: Pair, ask: Ask) -> None:
    pair.backend.default = SLOW
    seen: list[str] = []
    with beside(partial(ask, pair.urls, stream=True, seen=seen)) as call:
        assert soon(lambda: len(seen) == 3)
        pair.first.end(signal.SIGKILL)
        with pytest.raises(Cut, match="broke off"):
            call.result(10)
    assert TEXT.startswith("".join(seen))
    assert "".join(seen) != TEXT
    assert pair.backend.generations == 1  # nothing is spliced from a second answer


def test_one_that_is_killed_between_two_calls(pair: Pair) -> None:
    with homeport.Client(pair.urls, timeouts=QUICK) as client:
        assert client.chat("hi", "assistant").text == TEXT
        pair.first.end(signal.SIGKILL)
        for _ in range(3):
            assert client.chat("hi", "assistant").text == TEXT
        assert client.urls == [pair.urls[1], pair.urls[0]]
        assert "".join(client.chat("hi", "assistant", stream=True).texts()) == TEXT
    assert pair.backend.generations == 5


def test_one_that_comes_back_is_used_again(tmp_path: Path, free_port: int) -> None:
    with gateways(tmp_path) as pair, contextlib.ExitStack() as stack:
        folder = tmp_path / "third"
        folder.mkdir()
        path = config(folder, {"only": pair.backend.url}, listen=f"127.0.0.1:{free_port}")
        home = Spawned(path)
        with homeport.Client([f"http://127.0.0.1:{free_port}", pair.urls[0]], timeouts=QUICK) as client:
            assert client.chat("hi", "assistant").text == TEXT  # it is off
            assert client.urls[0] == pair.urls[0]
            stack.enter_context(home)

            def back() -> bool:
                assert client.chat("hi", "assistant").text == TEXT
                return client.urls[0] == home.url

            assert soon(back, 10)
            before = len(home.journal.receipts)
            assert client.chat("hi", "assistant").text == TEXT
            assert soon(lambda: len(home.journal.receipts) == before + 1)


@both
@streamed
def test_a_frozen_gateway_takes_the_connection_and_is_passed_over(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.stop(pair.first)
    began = time.monotonic()
    assert ask(pair.urls, stream=stream) == TEXT
    assert 0.5 < time.monotonic() - began < 3


@both
@streamed
def test_one_that_freezes_while_it_computes(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.backend.script.append(Answer(text="wrong words", prefill_s=30))
    with beside(partial(ask, pair.urls, stream=stream)) as call:
        assert pair.backend.until(lambda: pair.backend.generations == 1)
        pair.stop(pair.first)
        assert call.result(10) == TEXT


@both
def test_one_that_freezes_in_the_middle_of_a_stream(pair: Pair, ask: Ask) -> None:
    pair.backend.default = SLOW
    seen: list[str] = []
    with beside(partial(ask, pair.urls, stream=True, seen=seen)) as call:
        assert soon(lambda: len(seen) == 3)
        pair.stop(pair.first)
        with pytest.raises(Cut, match="stands still"):
            call.result(10)
    assert TEXT.startswith("".join(seen))
    assert pair.backend.generations == 1


@both
def test_one_that_drains_finishes_its_answers(pair: Pair, ask: Ask) -> None:
    pair.backend.script.append(Answer(text=TEXT, prefill_s=1.2))
    with beside(partial(ask, pair.urls)) as call:
        assert pair.backend.until(lambda: pair.backend.generations == 1)
        assert pair.first.end(signal.SIGTERM) == 0  # it takes no connections any more, and answers no question after its health
        assert call.result(10) == TEXT
    assert pair.backend.generations == 1


@both
@streamed
def test_a_model_that_is_slow_is_waited_for(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.backend.default = Answer(text=TEXT, prefill_s=1.2, delay_s=0.02)
    assert ask(pair.urls, stream=stream) == TEXT
    assert pair.backend.generations == 1


@both
def test_with_both_off_the_error_says_how_to_start_one(pair: Pair, ask: Ask) -> None:
    for gateway in (pair.first, pair.second):
        gateway.end(signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(NoGateway, match=r"^no gateway answers at http://127.*, nor at http://127.*\. Start one: homeport up; or set HOMEPORT_URL") as caught:
        ask(pair.urls)
    assert all(url in str(caught.value) for url in pair.urls)
    assert time.monotonic() - began < 1


@both
def test_one_whose_backends_are_off(pair: Pair, ask: Ask) -> None:
    pair.backend.script.append(Refuse(status=500))
    assert ask(pair.urls) == TEXT
    receipts = [receipt["outcome"] for gateway in (pair.first, pair.second) for receipt in gateway.journal.settled(1)]
    assert receipts == ["failed", "ok"]


@both
@streamed
def test_when_no_backend_answers_the_gateways_own_words_are_raised(pair: Pair, ask: Ask, stream: bool) -> None:
    pair.backend.default = Refuse(status=500)
    with pytest.raises(NoRouteLeft, match="No backend could answer `assistant`") as caught:
        ask(pair.urls, stream=stream, retries=0)
    assert (caught.value.status, caught.value.code) == (503, "no_route")
    assert pair.backend.generations == 2


@both
def test_a_model_that_is_late_is_given_up_at_the_deadline_and_stopped(pair: Pair, ask: Ask) -> None:
    pair.backend.default = Answer(text=TEXT, prefill_s=30)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"no answer within 0\.8 s"):
        ask(pair.urls, timeouts=Timeouts(silence_s=0.3, health_s=0.4, total_s=0.8))
    assert time.monotonic() - began < 2
    assert pair.backend.generations == 1
    assert pair.backend.until(lambda: pair.backend.in_flight == 0, 1.0)


@both
def test_the_deadline_ends_where_a_stream_begins(pair: Pair, ask: Ask) -> None:
    pair.backend.default = SLOW
    assert ask(pair.urls, stream=True, timeouts=Timeouts(total_s=0.5)) == TEXT


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_eight_threads_at_once(pair: Pair, how: str) -> None:
    pair.backend.default = lambda seen: Answer(text=f"answer to {seen.fields['messages'][0]['content']}", delay_s=0.01)
    with homeport.Client(pair.urls, timeouts=QUICK) as client, ThreadPoolExecutor(8) as threads:

        def one(number: int) -> Any:
            if number % 2:
                return client.chat(f"number {number}", "assistant").text
            return "".join(client.chat(f"number {number}", "assistant", stream=True).texts())

        calls = [threads.submit(one, number) for number in range(80)]
        assert pair.backend.until(lambda: pair.backend.generations >= 30)
        if how == "kill":
            pair.first.end(signal.SIGKILL)
        else:
            pair.stop(pair.first)
        cut = 0
        for number, call in enumerate(calls):
            try:
                assert call.result(30) == f"answer to number {number}"
            except Cut:
                assert number % 2 == 0  # a stream that had begun
                cut += 1
        assert cut <= 8
        assert client.urls[0] == pair.urls[1]
