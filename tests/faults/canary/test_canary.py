"""What callers and backends say, and every key, is found in no log, page, metric, error to others, receipt, notification or dump of the gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from homeport.testing.backend import ScriptedBackend
from homeport.vocabulary import CHAT, COMPLETIONS, GENERATE, MESSAGES, OLLAMA_CHAT, RESPONSES
from tests import figures
from tests.caller import Caller, Heard, request_bytes
from tests.faults.canary.words import BEHAVIOURS, BIRD, files, found, prompt, word
from tests.gateway import Spawned, config, soon
from tests.receiver import Receiver

SURFACES = (CHAT, COMPLETIONS, RESPONSES, MESSAGES, OLLAMA_CHAT, GENERATE)
PAGES = ("/status", "/metrics", "/v1/models", "/api/tags", "/api/ps", "/api/version", "/health", "/ready", "/tasks", "/nothing-here")
TALKATIVE = "import logging, runpy; logging.basicConfig(level=logging.DEBUG); runpy.run_module('homeport', run_name='__main__', alter_sys=True)"
CLOCKS = {"first_token_timeout_s": 0.4, "idle_timeout_s": 0.4, "api_key": {"env": "UPSTREAM_KEY"}}


class Talkative(Spawned):
    """A gateway of its own process that logs all there is to log, and says where it was when it is aborted."""

    def __enter__(self) -> Talkative:
        command = [sys.executable, "-X", "faulthandler", "-c", TALKATIVE, "up", "--config", str(self.path), "--json"]
        with (self.path.parent / "gateway.log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.path.parent)
        assert self._child.stdout is not None
        told = json.loads(self._child.stdout.readline())
        self.url, self.pid = told["url"], told["pid"]
        return self


class Stage:
    """The gateway, a key of its, and what was heard that its askers did not say themselves."""

    def __init__(self, folder: Path, gateway: Talkative, key: str) -> None:
        self.folder, self.gateway, self.key = folder, gateway, key
        self.others: list[tuple[str, bytes]] = []  # what others read, by where
        self.own: list[tuple[str, bytes]] = []  # refusals that came before a backend was asked, to who sent the request
        self.asked = 0

    async def send(self, data: bytes, *, leave_after: float | None = None) -> Heard:
        self.asked += 1
        async with Caller(self.gateway.url) as caller:
            await caller.send(data)
            if leave_after is None:
                return await asyncio.wait_for(caller.hear(), 20)
            await asyncio.sleep(leave_after)
            await caller.leave(reset=True)
            return Heard()

    def request(self, body: Any, path: str, **headers: str) -> bytes:
        given = {"authorization": f"Bearer {self.key}", "user-agent": f"app/1 {word('Agent')}", "x-odd": word("Header"), "cookie": f"session={word('Cookie')}"}
        return request_bytes(body, path=f"{path}?beta={word('Query')}", headers=given | headers)

    async def page(self, path: str, accept: str) -> None:
        heard = await self.send(request_bytes(None, method="GET", path=path, headers={"accept": accept, "authorization": f"Bearer {self.key}"}))
        assert heard.status in (200, 404, 503), (path, heard.status)
        self.others.append((f"{path} as {accept}", json.dumps(heard.headers).encode() + heard.body))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("UPSTREAM_KEY", word("UpstreamKey"))
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        sound = stack.enter_context(ScriptedBackend(BEHAVIOURS["well"], style="vllm"))
        backends: dict[str, Any] = {"sound": {"url": sound.url, **CLOCKS}, "pilot": {"kind": "pilot", "max_in_flight": 4}}
        models: dict[str, Any] = {"pilot": {"routes": [{"backend": "pilot"}]}}
        for number, (name, behaviour) in enumerate(BEHAVIOURS.items()):
            style = ("vllm", "llama.cpp")[number % 2]
            backend = stack.enter_context(ScriptedBackend(behaviour, style=style))  # type: ignore[arg-type]
            label = name.replace(" ", "-")
            backends[label] = {"url": backend.url, **CLOCKS}
            models[label] = {"routes": [{"backend": label, "model": "m"}]}
            models[f"{label}-or-sound"] = {"routes": [{"backend": label, "model": "m"}, {"backend": "sound", "model": "m"}]}
        path = config(tmp_path, backends, models=models, monitor={"notify": [receiver.url], "probe_interval_s": 0.2}, max_body_mb=1)
        gateway = Talkative(path)
        added = gateway.run("keys", "add", "app", "--json")
        assert added.returncode == 0, added.stderr + added.stdout
        key = json.loads(added.stdout)["key"]
        with gateway:
            made = Stage(tmp_path, gateway, key)
            yield made
            made.others += [("a notification", json.dumps(post).encode()) for post in receiver.posts]


async def say_everything(stage: Stage) -> None:
    """Every surface, every behaviour, streamed and whole; callers who leave; and requests that are none."""
    models = [f"{name.replace(' ', '-')}{end}" for name in BEHAVIOURS for end in ("", "-or-sound")]
    waiting = itertools.product(models, SURFACES, (True, False))

    async def work() -> None:
        for model, surface, stream in waiting:
            await stage.send(stage.request(prompt(surface, model, stream=stream, tools=model.startswith("calls")), surface.value))

    await asyncio.gather(*(work() for _ in range(8)))
    for surface, stream in itertools.product(SURFACES, (True, False)):
        await stage.send(stage.request(prompt(surface, "freeze", stream=stream, tools=False), surface.value), leave_after=0.05)
    plain: dict[str, Any] = {"model": "pilot", "messages": [{"role": "user", "content": word("Prompt")}], "max_tokens": 8}
    for stream in (True, False):
        await stage.send(stage.request(plain | {"stream": stream}, CHAT.value))


async def say_it_wrongly(stage: Stage) -> None:
    """Requests that are refused before a backend hears of them; what their askers are told is kept apart."""
    asks: dict[str, bytes] = {}
    for surface in SURFACES:
        good = prompt(surface, "well", stream=False)
        asks[f"{surface}: cut off"] = stage.request(json.dumps(good).encode()[:-9], surface.value)
        asks[f"{surface}: no object"] = stage.request([word("List")], surface.value)
        for field in ("messages", "prompt", "input", "tools", "stop", "system", "max_tokens", "temperature", "stream", "images", "options"):
            asks[f"{surface}: {field} is a word"] = stage.request(good | {field: word("Value")}, surface.value)
            asks[f"{surface}: {field} holds another"] = stage.request(good | {field: [{word("Name"): word("Value")}]}, surface.value)
        asks[f"{surface}: too large"] = stage.request({**good, "more": word("Padding") * 150_000}, surface.value)
        asks[f"{surface}: no key of ours"] = stage.request(good, surface.value, authorization=f"Bearer hp_{word('WrongKey')}")
        asks[f"{surface}: no such path"] = stage.request(good, surface.value + "/nowhere")
    asks["a task"] = stage.request({"input": {"text": word("TaskText"), "labels": [word("Label"), 3]}}, "/tasks/classify")
    asks["no such argument"] = stage.request({"input": {word("Argument"): word("Value")}}, "/tasks/classify")
    asks["scatter"] = stage.request({"prompt": word("Scatter")}, "/scatter")
    asks["no HTTP"] = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {word('Host')}\r\n{word('Bad')} : x\r\n\r\n".encode()
    asks["two lengths"] = stage.request({}, CHAT.value, **{"transfer-encoding": word("Encoding")})
    for name, data in asks.items():
        heard = await stage.send(data)
        if heard.status >= 400:
            stage.own.append((name, heard.body + json.dumps(heard.headers).encode()))


@pytest.mark.slow
def test_canaries_are_found_nowhere(stage: Stage) -> None:
    asyncio.run(say_everything(stage))
    asyncio.run(say_it_wrongly(stage))

    async def look() -> None:
        for path, accept in itertools.product(PAGES, ("application/json", "text/html")):
            await stage.page(path, accept)

    asyncio.run(look())
    gateway = stage.gateway
    for words in (("status",), ("logs", "--last", "1000"), ("logs", "--json"), ("models",), ("config", "show"), ("keys", "list"), ("doctor",)):
        done = gateway.run(*words)
        stage.others.append((f"homeport {' '.join(words)}", done.stdout.encode() + done.stderr.encode()))
    assert soon(lambda: len(gateway.journal.receipts) > 200, 10)
    gateway.end(signal.SIGABRT)
    log = (stage.folder / "gateway.log").read_bytes()
    assert b"Fatal Python error: Aborted" in log, "no dump was made"
    assert log.count(b"\n") > 100, "it was not talkative"
    written = files(stage.folder)
    assert {name.partition("/")[2].partition("-")[0].partition(".")[0] for name, _ in written} >= {"journal", "ledger", "outbox", "keys", "engine"}
    elsewhere = found([*written, *stage.others], keys=[stage.key])
    figures.note("canary.asks", stage.asked, note="asks with canaries in every field, key, header and answer")
    figures.note("canary.places", len(written) + len(stage.others), note="files and pages that were searched")
    figures.note("canary.bytes", sum(len(text) for _, text in [*written, *stage.others]), "bytes")
    figures.note("canary.found", len(elsewhere))
    assert elsewhere == [], [line[:300] for line in log.splitlines() if b"zqCanary" in line][:3]
    told = found(stage.own, keys=[stage.key])
    assert told == [f"no such argument: {word('Argument')}"], "an error tells its asker more than the name of a field that is not known"


def test_the_search_can_find(tmp_path: Path) -> None:
    import base64

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "log").write_bytes(b"1" + word("Prompt").encode() + b"2")
    for shift in range(3):
        (tmp_path / "data" / f"coded{shift}").write_bytes(base64.b64encode(b"ab"[:shift] + word("Answer").encode()))
    (tmp_path / "data" / "hex").write_bytes(word("Answer").encode().hex().encode())
    (tmp_path / "key").write_bytes(b"hp_abc")
    assert found(files(tmp_path), keys=["hp_abc"]) == [
        *(f"data/coded{shift}: a canary in base64, {shift}" for shift in range(3)),
        "data/hex: a canary in hexadecimal",
        "data/log: zqCanaryPrompt2",
        "key: a key's hp_ab…",
    ]
    assert BIRD not in json.dumps(found([("a", b"nothing")]))
