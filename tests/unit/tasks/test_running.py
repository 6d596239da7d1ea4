"""The ladder of a call: repair, the next model, offline, TaskFailed; and how its answer is asked for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest
from msgspec import Struct

from homeport.errors import Malformed, NoRouteLeft, NotReplayed, TaskFailed, TooLong, UnknownModel
from homeport.tasks import Quote, Task, gbnf, guarding, reading, task
from homeport.tasks.over_http import finished
from homeport.tasks.plan import Outcome
from homeport.tasks.shipped import classify
from homeport.vocabulary import Errand, Said
from tests.unit.tasks.asking import Scripted


class Person(Struct):
    name: Quote | None
    age: int


GOOD = '{"name": "Ann", "age": 41}'


@task
def person(text: str) -> Person:
    """Who is it, and how old?"""


@task(model="small", escalate=["large", "cloud"])
def climbing(text: str) -> Person:
    """Who is it, and how old?"""


def ran(made: Task[Any, Any], asker: Scripted, **more: Any) -> Outcome:
    return asyncio.run(made.run({"text": "Ann is 41."}, asker, **more))


def test_a_good_answer_is_the_type() -> None:
    asker = Scripted(GOOD)
    outcome = ran(person, asker)
    assert outcome.output == Person(Quote("Ann"), 41)
    assert outcome.route == {"backend": "home", "model": "m", "location": "local"}
    assert outcome.checks == ["schema", "quote"]
    assert [(row["model"], row["backend"], row["check"]) for row in outcome.attempts] == [("default", "home", None)]
    [asked] = asker.asked
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("default", 0, 1024)
    [message] = asked["messages"]
    assert message["content"].startswith("Who is it, and how old?\n\n")
    assert message["content"].endswith("text: Ann is 41.")
    schema = asked["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["additionalProperties"] is False
    assert asker.errands[0].task == "person"


def test_one_repair_turn_says_what_was_wrong() -> None:
    asker = Scripted('{"name": "Bea", "age": 41}', GOOD)
    outcome = ran(person, asker)
    assert outcome.output.name == "Ann"
    assert [row["check"] for row in outcome.attempts] == ["quote", None]
    first, second = asker.asked
    assert second["messages"][:1] == first["messages"]
    assert second["messages"][1] == {"role": "assistant", "content": '{"name": "Bea", "age": 41}'}
    assert "does not stand in the input" in second["messages"][2]["content"]
    assert asker.errands[1].checks == ("quote",)


def test_then_the_next_models_in_order() -> None:
    asker = Scripted(models={"small": ["no JSON"], "large": ['{"name": "Ann"}'], "cloud": [GOOD]})
    outcome = ran(climbing, asker)
    assert [asked["model"] for asked in asker.asked] == ["small", "small", "large", "large", "cloud"]
    assert [(row["model"], row["check"]) for row in outcome.attempts] == [
        ("small", "json"), ("small", "json"), ("large", "schema"), ("large", "schema"), ("cloud", None),
    ]  # fmt: skip
    assert len(asker.asked[4]["messages"]) == 1
    assert asker.errands[4].checks == ("json", "json", "schema", "schema")


def test_a_model_that_is_off_is_passed_over_without_a_second_try() -> None:
    asker = Scripted(models={"small": [NoRouteLeft("home is down")], "large": [TooLong("too long")], "cloud": [GOOD]})
    assert [(row["model"], row["check"]) for row in ran(climbing, asker).attempts] == [("small", "unanswered"), ("large", "unanswered"), ("cloud", None)]


def test_what_a_backend_seems_to_have_died_of_is_not_sent_to_another_model() -> None:
    asker = Scripted(models={"small": [NotReplayed("home went away")], "large": [GOOD], "cloud": [GOOD]})
    with pytest.raises(TaskFailed, match="went away"):
        ran(climbing, asker)
    assert [asked["model"] for asked in asker.asked] == ["small"]


def test_where_nothing_holds_the_error_has_each_check_and_no_answer() -> None:
    with pytest.raises(TaskFailed) as caught:
        ran(climbing, Scripted('{"name": "SECRET", "age": 1}'))
    error = caught.value
    assert (error.status, error.code) == (502, "task_failed")
    assert [row["check"] for row in error.attempts] == ["quote"] * 6
    assert "small: quote" in str(error)
    assert "SECRET" not in str(error) + str(error.attempts)


def test_where_nothing_answers_it_is_a_503_that_says_when_to_come_back() -> None:
    with pytest.raises(TaskFailed, match="home is down") as caught:
        ran(person, Scripted(NoRouteLeft("home is down")))
    assert (caught.value.status, caught.value.retry_after_s) == (503, NoRouteLeft.retry_after_s)


@pytest.mark.parametrize("error", [UnknownModel("no such model"), Malformed("bad", param="messages")])
def test_a_fault_of_the_request_is_told_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)):
        ran(person, Scripted(error))  # type: ignore[arg-type]


def test_offline_answers_in_the_end_and_is_marked() -> None:
    @task(offline=lambda text: Person(None, len(text)))
    def lenient(text: str) -> Person:
        """Who is it?"""

    outcome = ran(lenient, Scripted("no"))
    assert (outcome.output, outcome.offline, outcome.route) == (Person(None, 10), True, None)
    assert [row["check"] for row in outcome.attempts] == ["json", "json"]
    with pytest.raises(TaskFailed):
        ran(lenient, Scripted("no"), offline=False)


def test_checks_of_its_own_refuse_and_say_why_to_the_model_only() -> None:
    def grown_up(found: Person) -> bool:
        return found.age >= 18

    def no_bea(found: Person) -> str | None:
        return f"{found.name} is not wanted" if found.age == 99 else None

    @task(checks=[grown_up, no_bea])
    def adult(text: str) -> Person:
        """Who is it?"""

    outcome = ran(adult, Scripted('{"name": "Ann", "age": 4}', GOOD))
    assert [row["check"] for row in outcome.attempts] == ["grown_up", None]
    assert outcome.checks == ["schema", "quote", "grown_up", "no_bea"]
    asker = Scripted('{"name": "Ann", "age": 99}')
    with pytest.raises(TaskFailed) as caught:
        ran(adult, asker)
    assert "Ann" not in str(caught.value)
    assert "Ann is not wanted" in asker.asked[1]["messages"][2]["content"]


def test_code_of_the_author_that_fails_is_told_by_its_kind_only() -> None:
    def strange(found: Person) -> bool:
        raise ValueError(f"{found.name} is strange")

    def broken(text: str) -> Person:
        raise KeyError(text)

    @task(checks=[strange])
    def checked(text: str) -> Person:
        """Who is it?"""

    @task(offline=broken)
    def unhelped(text: str) -> Person:
        """Who is it?"""

    for made, asker, what in ((checked, Scripted(GOOD), "check strange .* ValueError"), (unhelped, Scripted("no"), "offline function .* KeyError")):
        with pytest.raises(TaskFailed, match=what) as caught:
            ran(made, asker)
        assert caught.value.status == 500
        assert "Ann" not in str(caught.value)


def test_an_engine_that_refuses_the_schema_is_asked_without() -> None:
    asker = Scripted(Malformed("response_format is not known", param="response_format"), GOOD)
    assert ran(person, asker).output.age == 41
    assert "response_format" not in asker.asked[1]


@pytest.mark.parametrize(("engine", "field"), [("llama.cpp", "grammar"), ("vllm", "structured_outputs")])
def test_an_engine_that_takes_a_grammar_gets_one_and_the_schema_where_it_refuses_it(engine: str, field: str) -> None:
    asker = Scripted(Malformed("no grammar"), GOOD, places=[(engine, "local")])
    assert ran(person, asker).output.name == "Ann"
    first, second = asker.asked
    grammar = first[field] if field == "grammar" else first[field]["grammar"]
    assert 'quote-0 ::= "Ann" quote-' in grammar
    assert "response_format" not in first
    assert (field in second, "response_format" in second) == (False, True)


@pytest.mark.parametrize("places", [[("ollama", "local")], [("llama.cpp", "local"), ("ollama", "local")], [(None, "local")], []])
def test_where_one_of_the_engines_takes_none_the_schema_is_sent(places: Any) -> None:
    asker = Scripted(GOOD, places=places)
    ran(person, asker)
    assert set(asker.asked[0]) & {"grammar", "structured_outputs", "response_format"} == {"response_format"}


@pytest.mark.parametrize("places", [[(None, "cloud")], [("anthropic", "cloud"), (None, "cloud")]])
def test_a_private_task_is_not_asked_where_only_a_cloud_may_answer(places: Any) -> None:
    @task(private=True)
    def secret(text: str) -> str:
        """Say it again."""

    asker = Scripted("x", places=places)
    with pytest.raises(TaskFailed, match="private") as caught:
        ran(secret, asker)
    assert asker.asked == []
    assert caught.value.should_retry is False
    for mixed in ([(None, "local")], [(None, "local"), (None, "cloud")]):  # the gateway keeps it to the local one
        local = Scripted("x", places=mixed)
        assert ran(secret, local).output == "x"
        assert local.errands[0].private


def test_a_text_that_met_its_limit_is_cut_and_none() -> None:
    @task
    def told(text: str) -> str:
        """Tell it."""

    with pytest.raises(TaskFailed, match="token limit"):
        ran(told, Scripted({"text": "Once upon", "finish": "length"}))
    assert ran(told, Scripted({"text": " Once. \n"})).output == "Once."


def test_partial_values_are_shown_and_the_result_is_checked_all_the_same() -> None:
    shown: list[Any] = []
    assert ran(person, Scripted(GOOD), show=shown.append).output.age == 41
    assert shown[0] == {}
    assert shown[-1] == {"name": "Ann", "age": 41}


def test_words_are_asked_for_by_name() -> None:
    @task
    def kind(text: str) -> Literal["question", "request"]:
        """Which kind of message is this?"""

    asker = Scripted("Question.")
    assert ran(kind, asker).output == "question"
    assert "question, request" in asker.asked[0]["messages"][0]["content"]


class AtOnce:
    """Answers without a gateway."""

    async def ask(self, path: str, body: Mapping[str, Any], errand: Errand, hear: object = None) -> Said:
        return Said({}, '"question"', "stop", {"x-homeport-backend": "home", "x-homeport-model": "m", "x-homeport-location": "local", "x-tokens": "4"})

    async def places(self, model: str, *, fresh: bool = False) -> Sequence[tuple[str | None, str]]:
        return ()


def test_its_own_work_is_far_less_than_what_a_task_may_cost_over_a_chat() -> None:
    text = "Where is my parcel? It was to be here on Monday, and nobody answers the phone."

    def call() -> Any:
        return finished(classify.run(classify._bound((text,), {}), AtOnce())).output

    assert call() == "question"
    best = float("inf")
    for _ in range(8):  # the least of some, for others use the processor's caches too
        began = time.process_time()
        for _ in range(100):
            call()
        best = min(best, (time.process_time() - began) / 100 * 1000)
    assert best < 0.3  # milliseconds


def test_a_check_must_say_what_it_means() -> None:
    def odd(value: Any) -> Any:
        return 0

    @task(checks=[odd])
    def told(text: str) -> str:
        """Tell it."""

    with pytest.raises(TaskFailed, match="The check odd of the task told returned a int") as caught:
        ran(told, Scripted("x"))
    assert caught.value.status == 500


def test_async_checks_are_refused_at_once() -> None:
    async def later(value: Any) -> bool:
        return False

    with pytest.raises(TypeError, match="later is an async function"):
        task(checks=[later])


class Strange(Exception):
    """No error of Python's own."""


def test_an_authors_failure_says_nothing_of_the_answer() -> None:
    def odd(value: Any) -> bool:
        raise Strange(f"the answer was {value}")

    @task(checks=[odd])
    def told(text: str) -> str:
        """Tell it."""

    with pytest.raises(TaskFailed) as caught:
        ran(told, Scripted("SECRET"))
    assert "SECRET" not in str(caught.value)
    assert "Strange" in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_a_rule_and_offline_return_is_of_the_type() -> None:
    @task
    def kind(text: str) -> Literal["a", "b"]:
        """Which?"""
        return "purchase"  # type: ignore[return-value]

    with pytest.raises(TaskFailed, match="not of the task's type"):
        ran(kind, Scripted("x"))

    @task(offline=lambda text: "purchase")
    def other(text: str) -> Literal["a", "b"]:
        """Which?"""

    with pytest.raises(TaskFailed, match="not of the task's type"):
        ran(other, Scripted(NoRouteLeft("nobody is there")))


def test_a_model_that_is_not_served_is_no_end_where_there_is_another() -> None:
    @task(model="none", escalate=["large"])
    def told(text: str) -> str:
        """Tell it."""

    assert ran(told, Scripted("x", models={"none": [UnknownModel("no such model")], "large": ["fine"]})).output == "fine"


class Awaited(Scripted):
    """One that lives on a loop."""

    blocking = False


@pytest.mark.parametrize("what", ["grammar", "mending"])
def test_the_loop_goes_on_while_much_is_read_or_made(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is done in a thread; it is told by a function that waits for the loop, which would never come."""
    gone_on = threading.Event()

    def waiting(real: Callable[..., Any]) -> Callable[..., Any]:
        def waited(*args: Any, **kwargs: Any) -> Any:
            assert gone_on.wait(20), "the loop stands still"
            return real(*args, **kwargs)

        return waited

    monkeypatch.setattr(gbnf, "grammar", waiting(gbnf.grammar)) if what == "grammar" else monkeypatch.setattr(reading, "read", waiting(reading.read))
    text, answer = ("word " * 2000, GOOD.replace('"Ann"', "null")) if what == "grammar" else ("Ann", GOOD + " " * 5000)

    async def both() -> Outcome:
        asyncio.get_running_loop().call_later(0.01, gone_on.set)
        return await person.run({"text": text}, Awaited(answer, places=[("llama.cpp", "local")]))

    assert asyncio.run(both()).output.age == 41


def test_a_grammar_is_made_once_for_all_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = gbnf.grammar
    monkeypatch.setattr(gbnf, "grammar", lambda schema, sources: made.append("x") or real(schema, sources))
    asker = Scripted("no", places=[("llama.cpp", "local")])
    with pytest.raises(TaskFailed):
        ran(climbing, asker)
    assert [("grammar" in body) for body in asker.asked] == [True] * 6
    assert made == ["x"]


def test_long_answers_are_read_also_while_there_is_no_thread_left_and_checks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "ROOM", threading.BoundedSemaphore(1))
    assert guarding.ROOM.acquire(blocking=False)
    long = Awaited(GOOD.replace('"Ann"', "null") + " " * 5000)
    assert asyncio.run(person.run({"text": "Ann"}, long)).output.age == 41

    @task(checks=lambda _: True)
    def checked(text: str) -> Person:
        """Who is it?"""

    with pytest.raises(TaskFailed, match="under way with code of their authors") as caught:
        asyncio.run(checked.run({"text": "Ann"}, long))
    assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
