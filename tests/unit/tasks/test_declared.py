"""`@task`: what it makes of a function, and how it is called."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any, Literal

import pytest
from msgspec import Struct

import homeport
from homeport.errors import Malformed, TaskFailed
from homeport.tasks import Outcome, Placeholder, Task, task
from tests.unit.tasks.asking import Scripted


class Item(Struct):
    name: str
    price: float | None = None


@task(model="small", seed=7, temperature=0.2, options={"top_p": 0.5})
def pick(text: str, items: list[Item], most: int = 3) -> list[str]:
    """Which of the items are meant?

    Name each once.
    """


def test_the_five_lines_of_the_contract() -> None:
    @homeport.task(model="default")
    def classify_intent(text: str) -> Literal["question", "request", "complaint", "other"]:
        """Which kind of message is this?"""

    assert isinstance(classify_intent, Task)
    assert (classify_intent.name, classify_intent.description) == ("classify_intent", "Which kind of message is this?")
    assert asyncio.run(classify_intent.run({"text": "Where?"}, Scripted('"question"'))).output == "question"


def test_name_description_and_schemas() -> None:
    assert (pick.name, pick.description, pick.__doc__ is not None) == ("pick", "Which of the items are meant?", True)
    assert pick.input["required"] == ["text", "items"]
    assert pick.input["properties"]["most"]["type"] == "integer"
    assert pick.input["additionalProperties"] is False
    assert "Item" in pick.input["$defs"]
    assert pick.output == {"type": "array", "items": {"type": "string"}}


def test_arguments_from_json_are_checked_and_defaults_filled_in() -> None:
    assert pick.read({"text": "x", "items": [{"name": "a"}]}) == {"text": "x", "items": [Item("a")], "most": 3}
    for bad in ({}, {"text": 1, "items": []}, {"text": "x", "items": [], "more": 1}, [], None):
        with pytest.raises(Malformed, match="text, items, most") as caught:
            pick.read(bad)
        assert caught.value.param == "input"


def test_seed_temperature_and_options_go_into_the_request() -> None:
    asker = Scripted('["a"]')
    asyncio.run(pick.run({"text": "x", "items": [Item("a")], "most": 1}, asker))
    asked = asker.asked[0]
    assert (asked["model"], asked["seed"], asked["temperature"], asked["top_p"]) == ("small", 7, 0.2, 0.5)
    assert asked["messages"][0]["content"].endswith('text: x\n\nitems: [{"name": "a", "price": null}]\n\nmost: 1')


def test_what_the_function_returns_is_the_answer_without_a_model() -> None:
    @task
    def shipping(country: str) -> str:
        """How long does shipping take?"""
        if country == "DE":
            return "two days"
        return None  # type: ignore[return-value]

    asker = Scripted("a week")
    known = asyncio.run(shipping.run({"country": "DE"}, asker))
    assert known == Outcome(output="two days", checks=["rule"])
    assert asker.asked == []
    assert asyncio.run(shipping.run({"country": "US"}, asker)).output == "a week"


def test_types_may_stand_beside_the_function() -> None:
    class Local(Struct):
        word: str

    @task
    def spoken(text: str) -> Local:
        """Which word?"""

    assert asyncio.run(spoken.run({"text": "x"}, Scripted('{"word": "x"}'))).output == Local("x")


def _no_docstring(text: str) -> str: ...


def _no_result(text: str):  # type: ignore[no-untyped-def]
    """Say it."""


def _no_type(text) -> str:  # type: ignore[no-untyped-def]
    """Say it."""


def _several(*texts: str) -> str:
    """Say it."""


def _strange(text: str) -> object:
    """Say it."""


class Letter(Struct):
    subject: str
    lines: list[str]


@task
def thanks(client: Placeholder, amount: Placeholder, occasion: str) -> Letter:
    """Write a letter of thanks."""


GIVEN = {"client": "Ann {amount}", "amount": "€1.250,00", "occasion": "May"}
WRITTEN = '{"subject": "Thanks, {client}", "lines": ["We got {amount} from {client}.", "{amount}!"]}'


def test_placeholders_are_written_by_the_model_and_filled_by_code() -> None:
    asker = Scripted(WRITTEN)
    found = asyncio.run(thanks.run(thanks.read(GIVEN), asker)).output
    assert found == Letter("Thanks, Ann {amount}", ["We got €1.250,00 from Ann {amount}.", "€1.250,00!"])
    said = str(asker.asked)
    assert ("{client}, {amount}" in said, "occasion: May" in said, "Ann" in said, "1.250" in said) == (True, True, False, False)


@pytest.mark.parametrize("change", [("{client}", "you"), ("{amount}!", "{total}!"), ("{amount}!", "€1.250,00")])
def test_a_letter_whose_placeholders_are_not_right_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(TaskFailed, match="placeholder") as caught:
        asyncio.run(thanks.run(thanks.read(GIVEN), Scripted(WRITTEN.replace(*change))))
    assert "1.250" not in str(caught.value)


def cold(letter: Letter) -> str | None:
    return None if "warm" in letter.subject else f"too cold: {letter.subject}"


def test_what_a_check_says_of_a_filled_result_is_not_told_to_the_model() -> None:
    """Its text quotes what code put in; the model is told which check it was."""

    @task(checks=[cold])
    def warm(client: Placeholder) -> Letter:
        """Write a letter of thanks."""

    asker = Scripted('{"subject": "Dear {client}", "lines": []}', '{"subject": "Dear {client}, warm", "lines": []}')
    found = asyncio.run(warm.run({"client": "Nora Lind"}, asker))
    assert found.output.subject == "Dear Nora Lind, warm"
    assert "(cold): does not hold" in asker.asked[1]["messages"][2]["content"]
    assert "Nora" not in str(asker.asked)


def test_what_the_type_has_against_a_filled_value_is_not_told_to_the_model() -> None:
    @task
    def marked(client: Placeholder) -> Literal["{client}"]:
        """Write the placeholder."""

    asker = Scripted('"{client}"')
    with pytest.raises(TaskFailed, match="none of the values allowed"):
        asyncio.run(marked.run({"client": "Nora Lind"}, asker))
    assert len(asker.asked) == 2
    assert "Nora" not in str(asker.asked)


def test_one_name_and_one_check_need_no_list() -> None:
    @task(model="small", escalate="large", checks=cold)
    def letter(text: str) -> Letter:
        """Write a letter."""

    asker = Scripted('{"subject": "x", "lines": []}')
    with pytest.raises(TaskFailed):
        asyncio.run(letter.run({"text": "x"}, asker))
    assert [body["model"] for body in asker.asked] == ["small", "small", "large", "large"]


def test_a_name_in_place_of_the_function_is_told() -> None:
    with pytest.raises(TypeError, match=r"takes a function, not 'small'.*@task\(model="):
        task("small")  # type: ignore[call-overload]


def test_a_task_is_pickled_by_its_name_and_copied_as_itself() -> None:
    again = pickle.loads(pickle.dumps(pick))
    assert again is pick
    assert (copy.deepcopy(pick), pick.__qualname__) == (pick, "pick")
    with homeport.Client(urls="http://127.0.0.1:9") as client:
        assert pick.over(client) is not pick


def test_a_default_is_each_calls_own() -> None:
    @task
    def tagged(text: str, tags: list[str] = ["a"]) -> list[str]:  # noqa: B006
        """Which tags?"""
        tags.append("grown")
        return tags

    first, second = tagged.read({"text": "x"}), tagged.read({"text": "x"})
    assert asyncio.run(tagged.run(first, Scripted("no"))).output == ["a", "grown"]
    assert second["tags"] == ["a"]


def _both(client: Placeholder) -> homeport.Quote:
    """Say it."""


async def _awaited(text: str) -> str:
    """Say it."""
    return text


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (_awaited, "plain one"),
        (_both, "both placeholders and quotes"),
        (_no_docstring, "docstring"),
        (_no_result, "result type"),
        (_no_type, "no type for text"),
        (_several, "named one by one"),
        (_strange, "cannot be the type"),
    ],
)
def test_what_is_no_task_is_refused_where_it_is_written(function: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what):
        task(function)


def test_where_nothing_listens_the_error_says_how_to_start_one() -> None:
    with homeport.Client(urls="http://127.0.0.1:9", retries=0) as client:
        with pytest.raises(TaskFailed, match="homeport up") as caught:
            pick.over(client)("x", [])
    assert caught.value.status == 503


def test_a_client_of_the_wrong_kind_is_told() -> None:
    with pytest.raises(TypeError, match=r"\.aio"):
        pick.over(homeport.AsyncClient(urls="http://127.0.0.1:9"))("x", [])
    with homeport.Client(urls="http://127.0.0.1:9") as client, pytest.raises(TypeError, match="AsyncClient"):
        asyncio.run(pick.over(client).aio("x", []))


def test_calls_take_arguments_as_the_function_does() -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        pick("x")  # type: ignore[call-arg]


def test_an_argument_may_be_a_pydantic_model() -> None:
    pydantic = pytest.importorskip("pydantic")
    parcel: Any = pydantic.create_model("Parcel", number=(int, ...), to=(str, "Graz"))

    def where(parcels: Any) -> str:  # type: ignore[empty-body]
        """Where are they?"""

    where.__annotations__["parcels"] = list[parcel]
    made = task(where)
    assert made.input["properties"]["parcels"]["items"]["properties"]["number"]["type"] == "integer"
    asker = Scripted("here")
    asyncio.run(made.run(made.read({"parcels": [{"number": 7}]}), asker))
    assert '[{"number": 7, "to": "Graz"}]' in asker.asked[0]["messages"][0]["content"]
    with pytest.raises(Malformed, match=r"number: .*integer"):
        made.read({"parcels": [{"number": "SECRET"}]})
    with pytest.raises(TypeError, match="Event is neither a dataclass"):
        task(_odd_argument)


def _odd_argument(text: asyncio.Event) -> str:
    """It takes what JSON cannot hold."""
    return ""
