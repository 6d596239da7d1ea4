"""Types as schemas and as judges: what each takes, what each refuses, and that a refusal names the place and not the content."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import msgspec
import pytest
from msgspec import Struct

from homeport.tasks.fault import Fault
from homeport.tasks.quote import Quote
from homeport.tasks.shapes import Shape, plain

TEXT = "hello world"


class Pair(Struct):
    name: Quote | None
    count: int | None = None


@dataclasses.dataclass
class Data:
    a: int
    b: str = "x"


class Renamed(Struct, rename="camel"):
    first_name: str


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    tricks: list[str]


class Tree(Struct):
    value: int
    children: list[Tree]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Row(Struct, array_like=True):
    a: str
    b: str = "made up"


class Couple(NamedTuple):
    a: str
    b: str


class Defaulted(NamedTuple):
    a: str
    b: str = "made up"


class Loose(TypedDict, total=False):
    a: str


class Looser(TypedDict):
    a: str
    b: NotRequired[str]


class Full(TypedDict):
    a: str
    b: str


T = TypeVar("T")


class Box(Struct, Generic[T]):
    held: T


class Boxes(Struct):
    one: Box[int]
    two: Box[dict[int, str]]


class Strict(Struct, forbid_unknown_fields=True):
    a: str
    inner: Strict | None = None


SECRET = "Nora Lind owes 5000"
GOOD: list[tuple[Any, Any]] = [
    (str, "x"),
    (int, 4),
    (float, 3),
    (float, 2.5),
    (bool, True),
    (Literal["a", "b"], "a"),
    (Colour, "red"),
    (Pair, {"name": "hello", "count": 1}),
    (Pair, {"name": None, "count": None}),
    (Data, {"a": 1, "b": "y"}),
    (Renamed, {"firstName": "Ann"}),
    (Cat | Dog, {"type": "dog", "tricks": ["sit"]}),
    (Tree, {"value": 1, "children": [{"value": 2, "children": []}]}),
    (list[Data], [{"a": 1, "b": "y"}]),
    (list[Quote], ["hello", "hello world", "o w"]),
    (Quote | None, None),
    (dict[str, int], {"a": 1}),
    (dict[str, Data], {"k": {"a": 1, "b": "y"}}),
    (dict[Word, int], {"yes": 1}),
    (dict[Literal["a", "b"], int], {"a": 1}),
    (dict[Annotated[str, msgspec.Meta(min_length=1)], int], {"a": 1}),
    (dict[str, Any], {"a": {"b": [1, {"c": None}]}}),
    (Couple, ("x", "y")),
    (tuple[str, int], ("x", 1)),
    (Full, {"a": "x", "b": "y"}),
    (list[Box[dict[str, int]]], [{"held": {"a": 1}}]),
]
REFUSED: list[tuple[Any, str]] = [
    (Row, "Row is written as an array"),
    (list[Row], "Row is written as an array"),
    (dict[str, Row | None], "Row is written as an array"),
    (Defaulted, "Defaulted is a NamedTuple with defaults"),
    (tuple[int, Defaulted], "Defaulted is a NamedTuple with defaults"),
    (Loose, "Loose is a TypedDict with fields that may be missing"),
    (Looser, "Looser is a TypedDict with fields that may be missing"),
    (dict[int, str], "keys of a dict"),
    (dict[Colour, int], "keys of a dict"),
    (dict[Literal[1, 2], int], "keys of a dict"),
    (dict[Quote, str], "keys of a dict .* a Quote would not be checked"),
    (list[dict[Quote | None, str]], "keys of a dict"),
    (Annotated[dict[int, str], msgspec.Meta(min_length=1)], "keys of a dict"),
    (Boxes, "keys of a dict"),
    (set[str], "a set drops what comes twice"),
    (list[frozenset[str]], "a set drops what comes twice"),
]
BAD: list[tuple[Any, Any, str]] = [
    (int, True, "schema"),
    (int, "4", "schema"),
    (float, "4", "schema"),
    (bool, 1, "schema"),
    (str, 4, "schema"),
    (Literal["a", "b"], "c", "schema"),
    (Colour, "green", "schema"),
    (Pair, {"name": "hello"}, "schema"),
    (Pair, {"name": "hello", "count": 1, "more": 2}, "schema"),
    (Pair, {"name": "goodbye", "count": 1}, "quote"),
    (Pair, {"name": "", "count": 1}, "quote"),
    (Pair, {"name": " ", "count": 1}, "quote"),
    (Pair, {"name": 7, "count": 1}, "quote"),
    (Data, {"a": 1}, "schema"),
    (Renamed, {"first_name": "Ann"}, "schema"),
    (Cat | Dog, {"type": "dog", "tricks": [], "lives": 9}, "schema"),
    (Cat | Dog, {"type": "cow"}, "schema"),
    (Tree, {"value": 1, "children": [{"value": 2}]}, "schema"),
    (Tree, {"value": 1, "children": [{"value": 2, "children": [], "x": 1}]}, "schema"),
    (list[Quote], ["hello", "goodbye"], "quote"),
    (dict[str, Data], {"k": {"a": 1, "b": "y", "c": 2}}, "schema"),
    (dict[Word, int], {"perhaps": 1}, "schema"),
    (Couple, ["x"], "schema"),
    (Couple, ["x", "y", "lost"], "schema"),
    (tuple[str, int], ["x", 1, 2], "schema"),
    (Full, {"a": "x"}, "schema"),
    (Full, {"a": "x", "b": "y", "c": "z"}, "schema"),
]


@pytest.mark.parametrize(("kind", "value"), GOOD, ids=str)
def test_what_is_taken_comes_out_as_it_went_in(kind: Any, value: Any) -> None:
    assert plain(Shape(kind).convert(value, [TEXT])) == value


@pytest.mark.parametrize(("kind", "value", "check"), BAD, ids=str)
def test_what_is_not_the_type_is_a_fault(kind: Any, value: Any, check: str) -> None:
    with pytest.raises(Fault) as caught:
        Shape(kind).convert(value, [TEXT])
    assert caught.value.check == check
    assert "goodbye" not in caught.value.reason


@pytest.mark.parametrize(("kind", "why"), REFUSED, ids=str)
def test_a_type_that_would_lose_or_make_up_something_is_refused_where_it_is_declared(kind: Any, why: str) -> None:
    with pytest.raises(TypeError, match=rf"cannot be the type of a task: .*{why}"):
        Shape(kind)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Strict, {"a": "x", "inner": None, SECRET: 1}, "an unknown field"),
        (Strict, {"a": "x", "inner": None, f"x` - at `$.{SECRET}": 1}, "an unknown field"),
        (Strict, {"a": "x", "inner": {"a": "x", "inner": None, SECRET: 1}}, "an unknown field"),
        (dict[str, Data], {SECRET: {"a": 1, "b": "y", "c": 2}}, "1 unknown field at `$[...]`"),
        (dict[str, Data], {SECRET: {"a": 1}}, "Object missing required field `b` - at `$[...]`"),
        (dict[str, list[Data]], {SECRET: [{"a": 1}]}, "Object missing required field `b` - at `$[...][0]`"),
        (Literal["a"], f"x - at `$ {SECRET}", "is none of the values allowed"),
        (list[Cat | Dog], [{"type": f"x - at `$ {SECRET}"}], "is none of the values allowed - at `$[0].type`"),
        (dict[Literal["a"], int], {SECRET: 1}, "is none of the values allowed - at `key` in `$`"),
    ],
    ids=str,
)
def test_a_reason_has_the_place_in_the_type_and_no_word_of_the_answer(kind: Any, value: Any, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        Shape(kind).convert(value)
    assert caught.value.reason == reason


def test_an_answer_that_is_nested_too_deeply_is_a_fault() -> None:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Fault, match="nested too deeply"):
        Shape(list[Any]).convert(value)


def test_every_field_is_required_and_no_other_allowed() -> None:
    assert Shape(Pair).schema == {
        "type": "object",
        "properties": {
            "name": {"anyOf": [{"type": "string", "format": "quote"}, {"type": "null"}]},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["name", "count"],
        "additionalProperties": False,
    }
    assert "quote" not in str(Shape(Pair).wire)
    assert Shape(Tree).schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert Shape(Tree).schema["$defs"]["Tree"]["additionalProperties"] is False


def test_the_place_of_a_fault_is_told() -> None:
    with pytest.raises(Fault, match=r"\$\.children\[0\]"):
        Shape(Tree).convert({"value": 1, "children": [{"value": 2, "children": [], "x": 1}]})
    with pytest.raises(Fault, match=r"\$\[1\]"):
        Shape(list[Quote]).convert(["hello", "goodbye"], [TEXT])


def test_a_quote_is_a_str() -> None:
    found = Shape(Quote).convert("hello", [TEXT])
    assert (type(found), found == "hello", isinstance(found, str)) == (Quote, True, True)


def test_a_class_with_checks_of_its_own_does_not_leak_what_was_written() -> None:
    class Even(Struct):
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(f"{self.number} is odd")

    assert Shape(Even).convert({"number": 2}).number == 2
    with pytest.raises(Fault) as caught:
        Shape(Even).convert({"number": 4711})
    assert "4711" not in caught.value.reason
    assert "4711 is odd" in caught.value.detail


@pytest.mark.parametrize("kind", [object, complex, Shape])
def test_a_type_that_json_cannot_hold_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(TypeError, match=kind.__name__ if kind is not object else "object"):
        Shape(kind)


def test_pydantic_models_where_pydantic_is() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", a=(int, ...), q=(Quote | None, ...))
    holder = msgspec.defstruct("Holder", [("inner", model)])
    shape = Shape(list[model])  # type: ignore[valid-type]
    assert shape.quotes
    assert shape.schema["items"]["additionalProperties"] is False
    [made] = shape.convert([{"a": 1, "q": "hello"}], [TEXT])
    assert (type(made), made.a, made.q) == (model, 1, "hello")
    assert plain(Shape(holder).convert({"inner": {"a": 1, "q": None}}, [TEXT])) == {"inner": {"a": 1, "q": None}}
    for bad in ({"a": "1", "q": None}, {"a": 1}, {"a": 1, "q": "goodbye"}, {"a": 1, "q": None, "z": 2}):
        with pytest.raises(Fault) as caught:
            shape.convert([bad], [TEXT])
        assert "goodbye" not in caught.value.reason


def test_what_is_refused_is_refused_inside_of_a_pydantic_model_too() -> None:
    pydantic = pytest.importorskip("pydantic")
    one, two = pydantic.create_model("One", a=(int, ...)), pydantic.create_model("Two", b=(int, ...))
    assert plain(Shape(pydantic.create_model("Either", e=(list[one | two], ...))).convert({"e": [{"b": 1}]})) == {"e": [{"b": 1}]}
    for inner in (dict[int, str], list[Defaulted], one | dict[Quote, str], list[one | two | set[str]]):
        with pytest.raises(TypeError, match="Holder cannot be the type of a task"):
            Shape(pydantic.create_model("Holder", inner=(inner, ...)))
