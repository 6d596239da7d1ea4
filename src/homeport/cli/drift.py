"""`homeport drift`: are the models and their answers those that were recorded?"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.cli import screen
from homeport.cli.console import say
from homeport.cli.failure import Failed, Usage
from homeport.cli.gateway import Gateway
from homeport.cli.run_task import ask, given
from homeport.errors import HomeportError, TaskFailed, UnknownTask
from homeport.monitor.notify import targets
from homeport.monitor.outbox import Outbox
from homeport.settings import Settings, load
from homeport.tasks import drifting
from homeport.tasks.drifting import Case, Drift, Record
from homeport.vocabulary import Event

if TYPE_CHECKING:
    from homeport.client import Client

NOTHING: Any = object()


def drift(*text: str, add: str | None = None, accept: bool = False, json: bool = False, config: Path | None = None) -> int:
    """Compare recorded cases and the digests of models with now; the first time, record the digests.

    Args:
        text: with --add, what the task is given.
        add: a task; what it answers now becomes a recorded case.
        accept: what is now becomes the record.
        json: print JSON.
        config: the homeport.toml whose gateway and data folder are meant.
    """
    if bool(text) != (add is not None):
        raise Usage('a case is a task and its text: homeport drift --add classify "Where is my parcel?"')
    settings = load(config=config)
    gateway = Gateway.configured(config)
    record = drifting.load(settings.server.data)
    from homeport.client import Client

    with Client(urls=gateway.urls, key=gateway.key, app="homeport-cli", retries=0) as client:
        digests = served(client)
        if add is not None:
            record = record or Record(digests)
            record.cases.append(case(client, add, " ".join(text)))
        if record is None or add is not None:
            record = record or Record(digests)
            drifting.save(settings.server.data, record)
            return _told(record, [], json=json, first=True)
        found = drifting.digests(record.digests, digests)
        outputs = [answered(client, one) for one in record.cases]
    found += [changed for one, output in zip(record.cases, outputs, strict=True) if (changed := difference(one, output)) is not None]
    if accept:
        kept = [(one, output) for one, output in zip(record.cases, outputs, strict=True) if output is not NOTHING]
        record = Record(digests, [Case(one.task, one.input, output, time.time()) for one, output in kept])
    else:
        record.digests = drifting.learned(record.digests, digests)
        notify(settings, record, found)
    drifting.save(settings.server.data, record)
    return _told(record, [] if accept else found, json=json, first=accept)


def served(client: Client) -> drifting.Behind:
    """What stands behind each name, and its digest where the backend was looked at. Raises Failed."""
    try:
        models = client.get("/v1/models")["data"]
    except HomeportError as error:
        raise Failed(str(error)) from None
    routes = {str(model["id"]): model["homeport"]["routes"] for model in models}
    return {name: {f"{route['backend']}/{route['model']}": _digest(route["card"]) for route in behind} for name, behind in routes.items()}


def _digest(card: dict[str, Any] | None) -> str:
    return str((card or {}).get("digest") or "")


def case(client: Client, name: str, text: str) -> Case:
    """A call of a task and what it gives now. Raises Failed where there is no such task, or no answer that holds."""
    known = {task["name"]: task for task in client.get("/tasks").get("data") or []}
    if name not in known:
        raise Failed(f'there is no task "{screen.clean(name)}"; there are {", ".join(sorted(known))}')
    arguments = given(text, known[name])
    return Case(name, arguments, by_a_model(name, ask(client, name, arguments)), time.time())


def by_a_model(name: str, answer: dict[str, Any]) -> Any:
    """The output, which a model gave. Raises Failed where it is that of the task's offline function: it says nothing of any model."""
    if answer["homeport"]["offline"]:
        raise Failed(f"no answer of a model held for {name}: its offline function answered; `homeport status` shows how the backends are")
    return answer["output"]


def answered(client: Client, one: Case) -> Any:
    """What the task gives now; NOTHING where no answer holds any more. Raises Failed where none can be had."""
    try:
        return by_a_model(one.task, client.post(f"/tasks/{one.task}", {"input": one.input}))
    except TaskFailed as error:
        if error.status == 502:
            return NOTHING
        raise Failed(str(error)) from None
    except UnknownTask:
        return NOTHING
    except HomeportError as error:
        raise Failed(str(error)) from None


def difference(one: Case, output: Any) -> Drift | None:
    """How a case differs from now, or None."""
    recorded = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.at))
    if output is NOTHING:
        return Drift("answer", one.task, f"no answer holds any more for the case of {recorded}")
    if drifting.same(one.output, output):
        return None
    return Drift("answer", one.task, f"{drifting.fields_changed(one.output, output)} for the case of {recorded}")


def notify(settings: Settings, record: Record, found: list[Drift]) -> None:
    """An event for each drift that is new, in the outbox: a running gateway delivers it, else the next one that starts."""
    new = [one for one in found if one.key not in record.told]
    record.told = [one.key for one in found]
    if not new:
        return
    outbox, now = Outbox(settings.server.data), round(time.time(), 3)
    try:
        for one in new:
            event = Event(f"evt-{secrets.token_hex(8)}", "drift", None, now, f"{one.name} has drifted: {one.reason}", None, None)
            outbox.record(event, [target.key for target in targets(settings.monitor.notify)], now)
    finally:
        outbox.close()


def _told(record: Record, found: list[Drift], *, json: bool, first: bool) -> int:
    counts = f"{screen.counted(len(record.digests), 'model')} and {screen.counted(len(record.cases), 'case')}"
    if json:
        rows = [{"kind": one.kind, "name": one.name, "reason": one.reason} for one in found]
        screen.print_json({"ok": not found, "drift": rows, "models": len(record.digests), "cases": len(record.cases), "recorded": first})
    elif found:
        for one in found:
            say(screen.paint(f"{screen.clean(one.name)}: {screen.clean(one.reason)}", "bad"))
        say("Take what is now as the record with: homeport drift --accept")
    else:
        say(screen.paint(f"Recorded: {counts}." if first else f"As recorded: {counts}.", "good"))
    return 1 if found else 0
