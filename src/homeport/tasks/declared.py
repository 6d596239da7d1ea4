"""A task: a typed Python function whose body a model is."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from homeport.errors import CallerError, Malformed, TaskFailed
from homeport.ports import Asker
from homeport.tasks import placeholders, prompting
from homeport.tasks.fault import Fault
from homeport.tasks.guarding import apart, guarded, wrong
from homeport.tasks.plan import Call, Outcome, Plan, Ready
from homeport.tasks.running import Shown, Terms, run
from homeport.tasks.shapes import Shape, argument, argument_schema, plain

if TYPE_CHECKING:
    from homeport.client import AsyncClient, Client

P = ParamSpec("P")
R = TypeVar("R")
Check = Callable[[Any], Any]
MAX_TOKENS = 1024  # of an answer, unless the options say otherwise: an engine may go on for ever


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What `@task(…)` was given."""

    model: str = "default"
    escalate: Sequence[str] = ()
    checks: Sequence[Check] = ()
    private: bool = False
    offline: Callable[..., Any] | None = None
    body: dict[str, Any] = {}


class Task(Generic[P, R]):
    """What `@task` makes of a function: call it, await `.aio(…)`, or let it ask a certain gateway with `.over(client)`.

    `name` and `description` are the function's; `input` and `output` are JSON Schema. Calls raise TaskFailed where no answer holds, and what
    the gateway says of the request itself (`homeport.errors`).
    """

    def __init__(self, function: Callable[..., Any], told: Told, *, result: Any = None, names: Mapping[str, Any] | None = None) -> None:
        """With a `result`, its type, the function plans the call: it is given the task before the arguments (see `planned`)."""
        self.name = function.__name__
        self.told = told
        self.instructions = inspect.cleandoc(function.__doc__ or "")
        self.description = self.instructions.partition("\n")[0]
        self._function = function
        self._plans = result is not None
        self._client: Client | AsyncClient | None = None
        self.__doc__, self.__name__, self.__module__, self.__wrapped__ = function.__doc__, function.__name__, function.__module__, function
        self.__qualname__ = function.__qualname__
        self._signature = self.__signature__ = inspect.signature(function)
        hints = typing.get_type_hints(function, localns=dict(names or {}), include_extras=True)
        if self._plans:
            hints["return"] = result
            self._signature = self.__signature__ = self._signature.replace(parameters=list(self._signature.parameters.values())[1:])
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"the task {self.name} is an async function; write a plain one, and await its .aio()")
        if not self.instructions:
            raise TypeError(f"the task {self.name} has no docstring, which is its prompt")
        if "return" not in hints:
            raise TypeError(f"the task {self.name} has no result type; write -> str, or what it is")
        self.shape = Shape(hints["return"])
        self._withheld = [name for name in self._signature.parameters if placeholders.withheld(hints.get(name))]
        if self._withheld and self.shape.quotes:
            raise TypeError(f"the task {self.name} has both placeholders and quotes: what code puts in does not stand in the input")
        for name in self._signature.parameters:
            if name not in self._withheld and placeholders.hidden(hints.get(name)):
                raise TypeError(f"the task {self.name} has a Placeholder inside of the type of {name}; make it an argument of its own")
        self._arguments = _arguments(self.name, self._signature, hints)
        try:
            self.input  # noqa: B018 - a type that JSON cannot hold is found out here, and not by whoever lists the tasks
        except TypeError as error:
            raise TypeError(f"the task {self.name} takes an argument whose type JSON cannot hold: {error}") from None
        self._rules = not self._plans and len(function.__code__.co_code) > len(_nothing.__code__.co_code)  # its body does something

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __reduce__(self) -> str:
        """By its name, as a function is pickled."""
        return self.__qualname__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result, by the gateway at $HOMEPORT_URL or 127.0.0.1:8461."""
        from homeport.tasks.over_http import OverHttpNow, finished

        arguments = self._bound(args, kwargs)
        return cast(R, finished(self.run(arguments, OverHttpNow(self._now()))).output)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, to be awaited."""
        from homeport.client import AsyncClient
        from homeport.tasks.clients import APP
        from homeport.tasks.over_http import OverHttp

        arguments = self._bound(args, kwargs)
        if isinstance(self._client, AsyncClient):
            return cast(R, (await self.run(arguments, OverHttp(self._client))).output)
        if self._client is not None:
            raise TypeError(f"the task {self.name} asks by a Client: call it, or give it an AsyncClient for .aio()")
        async with AsyncClient(app=APP) as client:
            return cast(R, (await self.run(arguments, OverHttp(client))).output)

    def over(self, client: Client | AsyncClient) -> Task[P, R]:
        """The same task, asking by this client: a Client for calls, an AsyncClient for `.aio`."""
        other: Task[P, R] = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._client = client
        return other

    @property
    def input(self) -> dict[str, Any]:
        """The arguments as JSON Schema."""
        found = msgspec.json.schema(self._arguments, schema_hook=argument_schema)
        name = str(found["$ref"]).removeprefix("#/$defs/")
        return {key: value for key, value in found["$defs"][name].items() if key != "title"} | (
            {"$defs": rest} if (rest := {key: value for key, value in found["$defs"].items() if key != name}) else {}
        )

    @property
    def output(self) -> dict[str, Any]:
        """The result as JSON Schema."""
        return self.shape.schema

    def read(self, given: Any) -> dict[str, Any]:
        """Arguments that came as JSON. Raises Malformed, naming what is wrong."""
        try:
            made = msgspec.convert(given, self._arguments, dec_hook=argument)
        except msgspec.ValidationError as error:
            raise Malformed(
                f"The input of the task {self.name} is not what it takes: {error}. It takes {', '.join(self._signature.parameters)}.", param="input"
            ) from None
        return {name: getattr(made, name) for name in self._signature.parameters}

    async def run(self, arguments: Mapping[str, Any], asker: Asker, *, show: Shown | None = None, offline: bool = True) -> Outcome:
        """The outcome of one call by an asker. `show` is given partial values; without `offline` its own function is not asked. Raises TaskFailed."""
        call = await apart(asker, self._call, arguments) if self._rules else self._call(arguments)
        if isinstance(call, Ready):
            return Outcome(output=call.output, checks=["rule"])
        terms = Terms(name=self.name, models=[self.told.model, *self.told.escalate], private=self.told.private)
        try:
            return await run(call, terms, asker, show)
        except TaskFailed as error:
            if isinstance(error.__cause__, CallerError) and not (self.told.escalate or self.told.offline):
                raise error.__cause__ from None  # no such model, or a limit: there was no other way
            if not offline or error.status not in (502, 503):
                raise
            return await apart(asker, self.without_model, arguments, error)

    def without_model(self, arguments: Mapping[str, Any], error: TaskFailed) -> Outcome:
        """What its offline function says after this failure, which is raised where there is none."""
        if self.told.offline is None:
            raise error
        known = self._typed("the offline function", guarded(self.name, "the offline function", self.told.offline, **arguments), arguments)
        return Outcome(output=known, attempts=[dict(attempt) for attempt in error.attempts], offline=True)

    def _call(self, arguments: Mapping[str, Any]) -> Call:
        if self._plans:
            return cast(Call, self._function(self, **arguments))
        known = guarded(self.name, "the function", self._function, **arguments)  # its body is the rule that comes before the model
        if known is not None:
            return Ready(self._typed("the function", known, arguments))
        if self._withheld:
            return self._with_placeholders(arguments)
        return self.asked(prompting.prompt(self.instructions, self.shape, arguments), sources=prompting.sources(arguments.values()))

    def _typed(self, what: str, known: Any, arguments: Mapping[str, Any]) -> Any:
        """What code returned, as the type that was promised. Raises TaskFailed (500) where it is something else."""
        try:
            return self.shape.convert(plain(known), prompting.sources(arguments.values()))
        except (Fault, TypeError, NotImplementedError):
            raise wrong(self.name, what, "returned what is not of the task's type") from None

    def _with_placeholders(self, arguments: Mapping[str, Any]) -> Plan:
        values = {name: str(arguments[name]) for name in self._withheld}
        told = {name: value for name, value in arguments.items() if name not in values}

        def take(written: Any) -> Any:
            bare = plain(written)
            placeholders.checked("\n".join(placeholders.texts(bare)), values, needed=values)
            try:
                return self.shape.convert(placeholders.throughout(bare, lambda text: placeholders.filled(text, values)))
            except Fault as fault:  # its detail quotes the values
                raise Fault(fault.check, fault.reason) from None

        return self.asked(prompting.prompt(self.instructions, self.shape, told, values), take=take, withheld=True)

    def asked(self, message: str, *, shape: Shape | None = None, **more: Any) -> Plan:
        """A Plan that says one message in a chat; `more` as in Plan."""
        body = {"messages": [{"role": "user", "content": message}], "temperature": 0, "max_tokens": MAX_TOKENS, **self.told.body}
        return Plan(body=body, shape=shape or self.shape, checks=self.told.checks, **more)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _now(self) -> Client:
        from homeport.client import Client
        from homeport.tasks.clients import standing

        if self._client is not None and not isinstance(self._client, Client):
            raise TypeError(f"the task {self.name} asks by an AsyncClient: await its .aio()")
        return self._client or standing()


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    model: str = ...,
    checks: Check | Sequence[Check] = ...,
    escalate: str | Sequence[str] = ...,
    private: bool = ...,
    offline: Callable[..., Any] | None = ...,
    seed: int | None = ...,
    temperature: float | None = ...,
    options: Mapping[str, Any] | None = ...,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    model: str = "default",
    checks: Check | Sequence[Check] = (),
    escalate: str | Sequence[str] = (),
    private: bool = False,
    offline: Callable[..., Any] | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """A typed function as a Task: its docstring is the prompt, its signature the types of input and result, a model its body.

    Args:
        model: the name that is asked.
        checks: functions of the result, or one; one that returns False, or a text saying what is wrong, refuses it.
        escalate: names asked in order where no answer of the ones before holds, or one.
        private: never leaves backends with location = "local".
        offline: a function of the same arguments, for when no model gives an answer that holds.
        seed, temperature, options: fields of the request; `options` wins.

    What the function itself returns, unless it is None, is the result without a model. Raises TypeError for types that JSON cannot hold.
    """
    said = {"seed": seed, "temperature": temperature}
    body = {**{name: value for name, value in said.items() if value is not None}, **(options or {})}
    if function is not None and not inspect.isroutine(function):
        raise TypeError(f'@task takes a function, not {function!r:.60}; what a task is asked of goes by name: @task(model="default")')
    checks = (checks,) if callable(checks) else tuple(checks)
    escalate = (escalate,) if isinstance(escalate, str) else tuple(escalate)
    told = Told(model=model, checks=checks, escalate=escalate, private=private, offline=offline, body=body)
    names = sys._getframe(1).f_locals  # types that are defined beside the function

    for code in (*checks, offline):
        if inspect.iscoroutinefunction(code):
            raise TypeError(f"{getattr(code, '__name__', 'it')} is an async function; checks and offline are plain ones (they run in a thread of their own)")

    def made(function: Callable[..., Any]) -> Task[Any, Any]:
        return Task(function, told, names=names)

    return made if function is None else made(function)


def planned(result: type[R], *, offline: Callable[..., Any] | None = None) -> Callable[[Callable[Concatenate[Task[Any, Any], P], Call]], Task[P, R]]:
    """A task whose calls are planned in code: the function takes the task and the arguments, and gives the Call; `result` is the type it comes to."""

    def made(function: Callable[Concatenate[Task[Any, Any], P], Call]) -> Task[P, R]:
        return Task(function, Told(offline=offline), result=result)

    return made


def _arguments(name: str, signature: inspect.Signature, hints: Mapping[str, Any]) -> type[msgspec.Struct]:
    """The arguments as a Struct. Raises TypeError."""
    fields: list[Any] = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"the task {name} takes {parameter}; its arguments are named one by one")
        if parameter.name not in hints:
            raise TypeError(f"the task {name} has no type for {parameter.name}; write {parameter.name}: str, or what it is")
        kind = hints[parameter.name]
        if parameter.default is parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind, msgspec.field(default_factory=_each_its_own(parameter.default))))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _each_its_own(value: Any) -> Callable[[], Any]:
    """Gives a default that no other call has in hand."""
    if value is None or isinstance(value, str | int | float):
        return lambda: value
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return value.copy
    return functools.partial(copy.deepcopy, value)


def _nothing() -> None:
    """The body of a task without a rule."""
