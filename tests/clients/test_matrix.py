"""Each client as people use it, in a process of its own: through Homeport on every kind of backend, and on the bare backend to compare.

What is seen is what docs/clients.md says; `make clients` writes it there.
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec
import pytest

from tests.clients import table
from tests.clients.installing import CannotInstall, command
from tests.clients.stage import CELLS, TALKS, Place, stage
from tests.clients.table import Client, Seen

SCRIPTS = Path(__file__).parent / "scripts"
UPDATE = "UPDATE_CLIENTS" in os.environ
USERS = ("HOMEPORT_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "OTEL_", "XDG_", "PYTHONPATH", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE")  # variables
CLIENT_S = 480.0  # for all cells of one client
AT_ONCE = 6  # clients
FORCED = ("cannot make a model call a tool", "400: it forces a tool call for it, which Ollama cannot do")
TALKER = ("No object generated", "it forces a tool call for it, which the model of this test cannot make")

CLIENTS = [
    Client("OpenAI SDK", "openai", "openai_sdk.py", "openai"),
    Client("OpenAI SDK, Responses", "responses", "openai_responses.py", "openai"),
    Client("Anthropic SDK", "anthropic", "anthropic_sdk.py", "anthropic"),
    Client("Ollama SDK", "ollama", "ollama_sdk.py", "ollama"),
    Client(
        "LiteLLM `openai/`",
        "openai",
        "litellm_client.py openai",
        "litellm",
        room="litellm",
    ),
    Client("LiteLLM `anthropic/`", "anthropic", "litellm_client.py anthropic", "litellm", room="litellm", reasons={("ollama", "schema"): FORCED}),
    Client("LiteLLM `ollama_chat/`", "ollama", "litellm_client.py ollama_chat", "litellm", room="litellm"),
    Client("LangChain `ChatOpenAI`", "openai", "langchain_client.py openai", "langchain-openai", room="langchain"),
    Client("LangChain `ChatAnthropic`", "anthropic", "langchain_client.py anthropic", "langchain-anthropic", room="langchain"),
    Client("LangChain `ChatOllama`", "ollama", "langchain_client.py ollama", "langchain-ollama", room="langchain"),
    Client("`llm`", "openai", "llm_command.py", "llm", room="langchain"),
    Client("Vercel AI SDK, `openai-compatible`", "openai", "vercel_ai.mjs openai-compatible", "ai", room="vercel"),
    Client("Vercel AI SDK, `openai`", "responses", "vercel_ai.mjs openai", "ai", room="vercel"),
    Client(
        "Vercel AI SDK, `anthropic`",
        "anthropic",
        "vercel_ai.mjs anthropic",
        "ai",
        room="vercel",
        reasons={("ollama", "schema"): FORCED, ("engine", "schema"): TALKER},
    ),
    Client("Aider", "openai", "aider_command.py", "aider-chat", kinds=("openai", "engine"), room="aider"),
]


@pytest.fixture(scope="module")
def looks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, talker: Path, bare: tuple[str, str]) -> dict[str, Future[Seen]]:
    """What each client saw that is asked for here. They are tried beside each other, for they wait longer than they work."""
    faulthandler.cancel_dump_traceback_later()  # this is all of their time at once, and bounded by CLIENT_S
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and item.originalname == test_a_client.__name__]
    wanted = [client for client in CLIENTS if any(test.callspec.params["client"] is client for test in tests)]
    seen: dict[str, Future[Seen]] = {client.name: Future() for client in wanted}
    with stage(tmp_path_factory.mktemp("matrix"), talker, bare, wanted) as scene, ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            for client in by_rooms(wanted):
                try:
                    starts = command(client.room, SCRIPTS / client.script.split()[0])
                except CannotInstall as reason:
                    seen[client.name].set_exception(reason)
                else:
                    seen[client.name] = threads.submit(look, client, starts, scene.places(client), tmp_path_factory.mktemp("client"))
            wait(seen.values())
        finally:
            threads.shutdown(cancel_futures=True)
    return seen


def by_rooms(clients: list[Client]) -> list[Client]:
    """The last one of each room first, then the one before it: no room is read by two for the first time, and the slow ones begin."""
    nth: Counter[str] = Counter()
    order = []
    for client in reversed(clients):
        nth[client.room] += 1
        order.append((nth[client.room], client))
    return [client for _, client in sorted(order, key=lambda pair: pair[0])]


def look(client: Client, starts: list[str], places: list[Place], home: Path) -> Seen:
    """Run the client's script over these places, in an environment with nothing of the user's."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(USERS) and not name.lower().endswith("_proxy")}
    told = json.dumps([msgspec.to_builtins(place) for place in places])
    whole = [*starts, told, *client.script.split()[1:]]
    done = subprocess.run(whole, env={**environ, "HOME": str(home)}, cwd=home, capture_output=True, text=True, timeout=CLIENT_S)
    assert done.returncode == 0, done.stderr[-8000:]
    seen: Seen = {place.name: {} for place in places}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            cell = json.loads(line)
            seen[cell["target"]][cell["cell"]] = cell["seen"]
    for place in places:
        assert set(place.cells) <= set(seen[place.name]), done.stderr[-8000:]
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client(client: Client, looks: dict[str, Future[Seen]]) -> None:
    try:
        seen = looks[client.name].result()
    except CannotInstall as reason:
        pytest.skip(str(reason))
    kinds = {place.partition(":")[2] for place in seen if place.startswith("homeport:")}
    assert kinds == set(client.kinds)
    assert {name: set(cells) for name, cells in seen.items()} == {name: set(TALKS if name.endswith(":engine") else CELLS) for name in seen}
    assert table.worse(client, seen) == []
    rows = [table.row(client, seen), *table.bare_rows(client, seen)]
    if UPDATE:
        table.update(CLIENTS, client, rows)
    assert table.written(client) == rows, "docs/clients.md says otherwise: `make clients` writes what was seen"


def test_the_page_has_a_row_for_each_client_and_no_empty_cell() -> None:
    lines = [line for line in table.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert all(len(cells := line.strip("| ").split(" | ")) > 1 and all(cell.strip() for cell in cells) for line in lines)
    assert [len(table.written(client)) > 0 for client in CLIENTS] == [True] * len(CLIENTS)
    known = {client.title for client in CLIENTS}
    assert {line.split(" | ")[0].strip("| ") for line in lines} - known == {"client"}
