"""Do the engines answer, and do they have what the settings ask of them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from homeport.doctor import web
from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.doctor.visit import NAMES, Visit
from homeport.settings import ModelSettings, Settings
from homeport.settings.document import meant

REACHABLE, KEY, MODELS, ROUTES, CONTEXT = "engine.reachable", "engine.key", "engine.models", "engine.routes", "engine.context"
SMALL = 8192  # tokens: an app that sends files or a long talk soon has more
SHOWN = 4  # models of a list that are named


def judge(settings: Settings, visits: Sequence[Visit]) -> Iterator[Diagnosis]:
    """What the visits showed, engine by engine, and whether the routes lead to models that are there."""
    found = False
    for visit in visits:
        if visit.named:
            yield from _named(visit)
        elif visit.good and not visit.is_homeport:
            found = True
            yield from _found(visit, discover=settings.discover)
        if visit.good:
            yield from _contexts(settings, visit)
    yield from routes(settings.models.values(), visits)
    if settings.discover and not found:
        ports = ", ".join(str(urlsplit(visit.url).port) for visit in visits)
        yield unsure(
            REACHABLE,
            "No engine was found on this machine" + (f" (ports {ports})" if ports else ""),
            "the bundled model answers alone, which is small",
            "start an engine such as Ollama, or bring a model: homeport pull hf.co/ORG/REPO",
        )


def _named(visit: Visit) -> Iterator[Diagnosis]:
    name, where = visit.backend.name, f"[backends.{visit.backend.name}]"
    if visit.fault and visit.backend.wake and not visit.connected and "refused" not in visit.fault:
        what = f"{name} does not answer at {visit.url}: {visit.fault}"
        yield unsure(REACHABLE, what, "it may be asleep: the first request wakes it", "ask for it, and look again when it had the time to start")
    elif visit.fault:
        yield wrong(REACHABLE, f"{name} does not answer at {visit.url}: {visit.fault}", _lost(visit), _remedy(visit))
    elif visit.status in (401, 403):
        told = "does not take the api_key it is given" if visit.backend.api_key else "wants a key"
        fix = f'write its key as api_key = {{ env = "NAME" }} under {where}, and set NAME'
        if visit.is_homeport:
            fix = f"it is a Homeport: make a key on its machine (homeport keys add NAME), and {fix}"
        yield wrong(KEY, f"{name} {told} (HTTP {visit.status})", "every request to it fails", fix)
    elif visit.status == 503:
        yield unsure(REACHABLE, f"{name} is there and still loads its model (HTTP 503)", "it answers once that is done", "wait, and look again")
    elif visit.status != 200:
        yield wrong(
            REACHABLE,
            f"What answers at {visit.url} lists no models (HTTP {visit.status})",
            f"it is no engine of kind {visit.backend.kind}",
            f"set url and kind under {where} to where the engine listens",
        )
    elif not visit.models:
        yield wrong(MODELS, f"{name} answers, and has no model", "nothing can be asked of it", _bring(visit, "NAME"))
    else:
        yield well(REACHABLE, said(visit))
        if visit.behind:
            yield unsure(REACHABLE, f"{name}: {visit.behind}", "requests for its models go elsewhere, or fail", "on its machine: homeport doctor")


def _found(visit: Visit, *, discover: bool) -> Iterator[Diagnosis]:
    if not visit.models:
        yield unsure(MODELS, f"{visit.backend.name} answers at {visit.url}, and has no model", "nothing can be asked of it", _bring(visit, "NAME"))
    elif discover:
        yield well(REACHABLE, said(visit))
    else:
        fix = f'to use it, write [backends.{visit.backend.name}] with kind = "{visit.backend.kind}" and url = "{visit.url}"'
        yield unsure(REACHABLE, f"An engine that no backend names answers at {visit.url}", "the settings name others, so it is not used", fix)


def said(visit: Visit) -> str:
    """Engine, version and models in a few words."""
    engine = NAMES.get(visit.engine or "", "an OpenAI-compatible server")
    shown = ", ".join(visit.models[:SHOWN]) + (f" and {len(visit.models) - SHOWN} more" if len(visit.models) > SHOWN else "")
    return f"{visit.backend.name} answers: {engine}{f' {visit.version}' if visit.version else ''} with {shown}"


def _lost(visit: Visit) -> str:
    if visit.connected:
        return "something listens there and does not answer in time: it hangs, or is no HTTP server"
    if visit.fault == "no such host":
        return "the name in its url is known to nobody"
    if "refused" in visit.fault:
        return "the machine is on, and nothing listens at that port"
    return "the machine is off or asleep, or a firewall swallows what is sent to it"


def _remedy(visit: Visit) -> str:
    ollama = visit.backend.kind == "ollama"
    if visit.connected:
        return "restart the engine" + ("" if web.is_here(visit.url) else ", or look whether that address is the engine's")
    if visit.fault == "no such host":
        return f"set url under [backends.{visit.backend.name}] to a name or address that this machine can look up"
    if web.is_here(visit.url):
        return "start it: ollama serve (or: systemctl start ollama)" if ollama else "start the engine, or set url to the port where it listens"
    if "refused" in visit.fault:
        return (
            "Ollama listens on its own machine only: set OLLAMA_HOST=0.0.0.0 there and restart it" if ollama else "start the engine there, with --host 0.0.0.0"
        )
    wake = 'a box that sleeps can be woken: wake = "aa:bb:cc:dd:ee:ff"'
    return f"switch it on, and let port {urlsplit(visit.url).port or 80} through its firewall; {wake}"


def _bring(visit: Visit, model: str) -> str:
    if visit.is_homeport:
        return f"write a [models.…] for {model} into the homeport.toml of {visit.backend.name}, and reload it there"
    return f"ollama pull {model}" if visit.engine == "ollama" else "start the engine with a model"


def routes(models: Iterable[ModelSettings], visits: Sequence[Visit]) -> Iterator[Diagnosis]:
    """Each route to a model that its backend does not list."""
    by_name = {visit.backend.name: visit for visit in visits if visit.named and visit.good and visit.models}
    for model in models:
        for route in model.routes:
            visit = by_name.get(route.backend)
            wanted = route.model or model.name
            if visit is None or (visit.engine == "llama.cpp" and len(visit.models) == 1):  # which answers by any name
                continue
            if {wanted, f"{wanted}:latest", wanted.removesuffix(":latest")} & set(visit.models):
                continue
            near = meant(wanted, visit.models).removeprefix("; ")
            yield wrong(
                ROUTES,
                f'[models.{model.name}] asks {route.backend} for "{wanted}", which it does not have',
                "such a request fails there and goes on to the next route",
                f"{near} Else: {_bring(visit, wanted)}" if near else _bring(visit, wanted),
            )


def _contexts(settings: Settings, visit: Visit) -> Iterator[Diagnosis]:
    """Windows that are much smaller than the model, and engines that cut a prompt which does not fit, and say nothing."""
    name = visit.backend.name
    if visit.is_homeport:  # its own doctor says so
        return
    if any(card.cuts for card in visit.cards.values()):
        by_v1 = visit.backend.kind == "openai"
        fix = f'set kind = "ollama" under [backends.{name}]' if by_v1 else "update Ollama to 0.12.6 or later"
        if not visit.named:
            fix = "update Ollama to 0.12.6 or later"
        yield wrong(CONTEXT, f"{name} cuts prompts that are too long, and says nothing", "the model answers without having read the beginning", fix)
    for model, card in visit.cards.items():
        if card.context is None or card.trained is None or card.context >= min(card.trained, SMALL):
            continue
        if _sets_context(settings, name, model):
            continue
        asked = f"{card.trained:,}" if card.trained <= 32768 else "32,768"
        number = asked.replace(",", "")
        ollama = (
            f"set OLLAMA_CONTEXT_LENGTH={number} for Ollama and restart it, or options = {{ num_ctx = {number} }} under a [models.NAME]; it takes more memory"
        )
        fix = ollama if card.engine == "ollama" else f"start llama.cpp's server with -c {number} for each slot (-c is shared by the slots of -np)"
        yield unsure(
            CONTEXT,
            f"{model} on {name} has room for {card.context:,} of the {card.trained:,} tokens it was made for",
            "longer prompts are refused" + (", for Ollama's default is small" if card.engine == "ollama" and card.context <= 4096 else ""),
            fix if card.engine in ("ollama", "llama.cpp") else "give the engine a longer context at its start",
        )


def _sets_context(settings: Settings, backend: str, model: str) -> bool:
    """Whether a route to the model asks for a context of its own."""
    return any(
        route.backend == backend and (route.model or served.name).removesuffix(":latest") == model.removesuffix(":latest") and "num_ctx" in served.options
        for served in settings.models.values()
        for route in served.routes
    )
