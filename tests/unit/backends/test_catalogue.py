"""What stands behind a name: which engine each route leads to, where a cut answer may be continued."""

from __future__ import annotations

from pathlib import Path

from homeport.backends.catalogue import Catalogue
from homeport.settings import BackendSettings, Settings
from homeport.settings.tree import ModelSettings, RouteSettings, Server
from homeport.vocabulary import Card, Route

BACKENDS = {
    "vllm": BackendSettings(name="vllm", kind="openai", url="http://a"),
    "far": BackendSettings(name="far", kind="openai", url="http://b"),
    "ollama": BackendSettings(name="ollama", kind="ollama", url="http://c"),
    "messages": BackendSettings(name="messages", kind="anthropic", url="http://d"),
    "own": BackendSettings(name="own", kind="engine", model=Path("m.gguf")),
    "pilot": BackendSettings(name="pilot", kind="pilot"),
}
CARDS = {"vllm": Card(engine="vllm"), "ollama": Card(engine="ollama"), "messages": Card(engine="llama.cpp")}


def settings(tmp_path: Path) -> Settings:
    routes = tuple(RouteSettings(backend=name, model="m") for name in BACKENDS)
    models = {
        "goes on": ModelSettings(name="goes on", routes=routes, on_break="continue"),
        "ends": ModelSettings(name="ends", routes=routes),
    }
    return Settings(server=Server(data=tmp_path), backends=BACKENDS, models=models)


def routes(catalogue: Catalogue, name: str) -> dict[str, Route]:
    served = catalogue.find(name)
    assert served is not None
    return {route.backend: route for route in served.routes}


def test_engines_are_told_where_it_matters_and_once_they_are_known(tmp_path: Path) -> None:
    catalogue = Catalogue(settings(tmp_path))
    before = routes(catalogue, "goes on")
    assert {name: route.engine for name, route in before.items() if route.engine} == {"own": "llama.cpp", "pilot": "llama.cpp"}
    catalogue.learn({}, lambda backend, _: CARDS.get(backend))
    after = routes(catalogue, "goes on")
    assert {route.on_break for route in after.values()} == {"continue"}
    # one reached by another dialect than OpenAI's is not asked to go on, whatever runs there
    assert {name: route.engine for name, route in after.items() if route.engine} == {"vllm": "vllm", "own": "llama.cpp", "pilot": "llama.cpp"}
    assert {(route.on_break, route.engine) for route in routes(catalogue, "ends").values()} == {("error", None)}
    catalogue.learn({}, lambda _, __: None)
    assert routes(catalogue, "goes on")["vllm"].engine is None
