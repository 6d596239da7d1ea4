"""A Homeport behind a Homeport: what the front learns of it, what it hands on to it, and what it tells of both."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from homeport.backends import discovery
from homeport.storage.keys import Keys
from homeport.testing import ollama
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer
from tests.caller import CHAT, Heard, asked, chat
from tests.faults.engines import Engine, Goes
from tests.gateway import Running, Spawned, config, soon
from tests.pairs import BY_NODE, a_key, front_config, met, node_config, pair

DIGEST = "ab" * 32
KINDS = ["openai", "ollama", "anthropic"]
FIELDS = {"name", "state", "reason", "in_flight", "max_in_flight", "queued", "location"}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, {}),
    "chat, streamed": (CHAT, {"stream": True, "stream_options": {"include_usage": True}}),
    "messages": ("/v1/messages", {"max_tokens": 9}),
    "messages, streamed": ("/v1/messages", {"max_tokens": 9, "stream": True}),
    "Ollama": ("/api/chat", {"stream": False}),
    "Ollama, streamed": ("/api/chat", {"stream": True}),
}


def listed(url: str) -> dict[str, Any]:
    """`/v1/models`, by name."""
    rows = asked(url, method="GET", path="/v1/models").json["data"]
    return {row["id"]: row["homeport"] for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_any_dialect_goes_through_both_whatever_the_kind(tmp_path: Path, kind: str) -> None:
    """One receipt at each for each ask, found by the same id; the node streams, so nothing is put together twice."""
    with Engine("openai", Goes(text="all is very well")) as engine, pair(tmp_path, engine.url, kind=kind) as (front, node):
        for path, fields in WAYS.values():
            heard = asked(front.url, chat(**fields), path=path)
            assert (heard.status, heard.end) == (200, "complete"), heard.body
            assert " very" in heard.body.decode()
            assert (heard.headers["x-homeport-backend"], heard.headers["x-homeport-model"]) == ("home", "m")
            assert '"gpu"' not in heard.body.decode()  # the figures are the front's own
        ours, theirs = front.journal.settled(len(WAYS)), node.journal.settled(len(WAYS))
        assert [receipt["id"] for receipt in ours] == [receipt["id"].partition(".")[0] for receipt in theirs]
        assert {(receipt["backend"], receipt["model"], receipt["attempts"][0]["model"]) for receipt in ours} == {("home", "m", "qwen")}
        assert {(receipt["backend"], receipt["asked"], receipt["stream"]) for receipt in theirs} == {("gpu", "qwen", True)}
        assert {receipt["completion_tokens"] for receipt in ours} == {4}
        assert all(seen.fields["stream"] for seen in engine.asks)
        assert front.idle()
        assert node.idle()


def test_a_whole_reply_without_figures_of_the_node(tmp_path: Path) -> None:
    with Engine("openai") as engine, pair(tmp_path, engine.url) as (front, _):
        assert "homeport" not in asked(front.url, chat()).json
        streamed = asked(front.url, chat(stream=True))
        assert not any("homeport" in event for event in streamed.events)


def test_the_front_shows_what_stands_behind(tmp_path: Path) -> None:
    with ScriptedBackend(Answer(text="hello", wait_s=3.0), style="vllm") as engine, pair(tmp_path, engine.url, gpu={"max_in_flight": 3}) as (front, node):
        row = front.backend("home")
        assert (row["state"], row["models"]) == ("healthy", ["qwen"])
        behind = row["node"]
        assert (behind["version"], behind["in_flight"], behind["max_in_flight"], behind["queued"]) == ("0.1.0", 0, 3, 0)
        assert [(set(each), each["name"], each["state"]) for each in behind["backends"]] == [(FIELDS, "gpu", "healthy")]
        asks = [threading.Thread(target=asked, args=(node.url, chat(model="qwen"))) for _ in range(5)]
        for ask in asks:
            ask.start()
        assert soon(lambda: (front.backend("home")["node"]["in_flight"], front.backend("home")["node"]["queued"]) == (3, 2), 3.0)
        for ask in asks:
            ask.join(20)


def test_what_the_node_knows_of_a_model_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its context and its abilities, and the digest: a pin at the front holds, and another model is not asked."""
    monkeypatch.setattr(ollama, "_digest", lambda model: DIGEST)
    pinned = {name: {"routes": [{"backend": "home", "model": "qwen", "digest": digest}]} for name, digest in (("right", DIGEST), ("wrong", "cd" * 32))}
    with ScriptedBackend("hello", style="ollama", models=["m"]) as engine, pair(tmp_path, engine.url, models=pinned, gpu={"kind": "ollama"}) as (front, node):

        def cards() -> list[Any]:
            return [listed(gateway.url)[name]["routes"][0]["card"] for gateway, name in ((node, "qwen"), (front, "right"))]

        assert soon(lambda: all(cards()), 10)
        theirs, ours = cards()
        assert theirs["engine"] == "ollama"
        assert ours["engine"] == "homeport"
        assert {word: ours[word] for word in ("trained", "capabilities", "cuts", "digest")} == {
            word: theirs[word] for word in ("trained", "capabilities", "cuts", "digest")
        }
        assert soon(lambda: asked(front.url, chat(model="right")).status == 200)
        refused = asked(front.url, chat(model="wrong"))
        assert refused.status == 503
        assert "its digest is" in refused.error["message"]


def test_a_name_of_two_models_there_has_no_digest(tmp_path: Path) -> None:
    """Else the other one might answer to a pin."""
    both = {"qwen": {"routes": [{"backend": "gpu", "model": "m"}, {"backend": "vm", "model": "m"}]}}
    pinned = {"assistant": {"routes": [{"backend": "home", "model": "qwen", "digest": "ab" * 6}]}}
    with ScriptedBackend("hello", style="ollama", models=["m"]) as engine, ScriptedBackend("hello", style="vllm", models=["m"]) as vm:
        path = node_config(tmp_path, {"gpu": {"kind": "ollama", "url": engine.url}, "vm": vm.url}, both)
        with Running(path) as node, Running(front_config(tmp_path, node.url, pinned)) as front:
            assert met(front)
            assert soon(lambda: listed(front.url)["assistant"]["routes"][0]["card"] is not None, 10)
            assert soon(lambda: "homeport does not tell one" in asked(front.url, chat()).body.decode())


def test_where_an_answer_came_from_is_told(tmp_path: Path) -> None:
    """What the node says came from a cloud is a cloud's at the front too."""
    with Engine("openai") as engine, pair(tmp_path, engine.url, gpu={"location": "cloud"}) as (front, _):
        heard = asked(front.url, chat(stream=True, stream_options={"include_usage": True}))
        assert heard.headers["x-homeport-location"] == "cloud"
        assert heard.events[-1]["homeport"]["location"] == "cloud"
        assert front.journal.settled(1)[0]["location"] == "cloud"
        assert front.journal.settled(1)[0]["cost_usd"] is None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", ["model", "errand"])
def test_private_is_kept_by_the_node(tmp_path: Path, how: str, streamed: bool) -> None:
    """To the front the node is local; its own route is a cloud's, which gets no byte, from the first ask on."""
    models = {"assistant": {**BY_NODE["assistant"], "private": how == "model"}}
    headers = {} if how == "model" else {"homeport-private": "true"}
    with Engine("openai") as cloud:
        path = node_config(tmp_path, {"gpu": {"url": cloud.url, "location": "cloud"}})
        with Running(path) as node, Running(front_config(tmp_path, node.url, models)) as front:
            heard = asked(front.url, chat(stream=streamed), headers=headers)
            assert heard.status == 503
            assert cloud.asks == []
            assert [receipt["outcome"] for receipt in front.journal.settled(1)] == ["failed"]
            assert asked(node.url, chat(model="qwen")).status == 200  # who may, may
            assert {receipt["attempts"][0]["outcome"] for receipt in front.journal.settled(1)} == {"barred"}


def test_private_asks_that_the_node_refuses_close_nobody_else_out(tmp_path: Path) -> None:
    with Engine("openai") as cloud, pair(tmp_path, cloud.url, gpu={"location": "cloud"}) as (front, _):
        for _ in range(7):
            assert asked(front.url, chat(), headers={"homeport-private": "true"}).status == 503
        assert asked(front.url, chat()).status == 200
        assert front.backend("home")["state"] == "healthy"


def test_a_wrong_key_is_told_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine("openai") as engine:
        path = node_config(tmp_path, {"gpu": engine.url})
        right = a_key(path.parent)
        a_key(path.parent, "other")
        monkeypatch.setenv("NODE_KEY", "wrong")
        with Running(path) as node:
            at = front_config(tmp_path, node.url, api_key={"env": "NODE_KEY"})
            with Running(at) as front:
                assert soon(lambda: front.backend("home")["state"] == "open")
                reason = front.backend("home")["reason"]
                assert "refuses our key" in reason
                assert "homeport keys add" in reason
                assert "refuses our key" in front.status()["verdict"]
                assert asked(front.url, chat()).status == 503
            monkeypatch.setenv("NODE_KEY", right)
            with Running(at) as front:
                assert met(front)
                assert asked(front.url, chat()).status == 200
                Keys(path.parent / "data").revoke("vps")
                assert soon(lambda: "refuses our key" in front.backend("home")["reason"], 10)
                assert engine.asks[0].headers.get("authorization") is None


def test_without_a_key_where_one_is_wanted(tmp_path: Path) -> None:
    with Engine("openai") as engine:
        path = node_config(tmp_path, {"gpu": engine.url})
        a_key(path.parent)
        with Running(path) as node, Running(front_config(tmp_path, node.url)) as front:
            assert soon(lambda: "it wants a key" in front.backend("home")["reason"])


def test_the_engine_cannot_be_reached_raw(tmp_path: Path) -> None:
    with ScriptedBackend("hello", style="ollama", models=["m"]) as engine, pair(tmp_path, engine.url, gpu={"kind": "ollama"}) as (front, node):
        for gateway in (front, node):
            assert asked(gateway.url, {"model": "m"}, path="/api/pull").status == 403
            assert asked(gateway.url, method="GET", path="/slots").status == 404


def test_a_gateway_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    with Running(config(tmp_path, {"home": f"http://127.0.0.1:{port}"}, listen=f"127.0.0.1:{port}")) as gateway:
        assert soon(lambda: "leads to this gateway itself" in gateway.backend("home")["reason"])
        heard = asked(gateway.url, chat())
        assert heard.status in (503, 508)
        assert len(gateway.journal.settled(1)[0]["attempts"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_circle_is_refused_after_one_round(tmp_path: Path, workers: int, streamed: bool) -> None:
    """Real processes: A leads to B and B to A. Then B has an engine as well, and that one answers."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    (tmp_path / "b").mkdir()
    way = {"m": {"routes": [{"backend": "other", "model": "m"}]}}
    flags = ("--workers", "2") if workers == 2 else ()
    with Engine("openai") as engine:
        with Spawned(config(tmp_path, {"other": f"http://127.0.0.1:{port}"}, models=way), *flags) as a:
            b_path = config(tmp_path / "b", {"other": a.url}, models=way, listen=f"127.0.0.1:{port}")
            with Spawned(b_path) as b:
                heards: list[Heard] = []
                for _ in range(4):  # A was there before B, and may look for it still
                    assert soon(lambda: heards.append(asked(a.url, chat(model="m", stream=streamed))) or heards[-1].status == 508, 20)  # type: ignore[func-returns-value]
                heard = heards[-1]
                assert (heard.error["code"], heard.headers["x-should-retry"]) == ("loop", "false")
                assert "circle" in heard.error["message"]
                rounds = [receipt for receipt in a.journal.receipts if receipt["attempts"][0]["outcome"] == "loop"]
                assert len(rounds) >= 4
                assert soon(lambda: len(b.journal.receipts) == len(rounds))
                assert {len(receipt["attempts"]) for receipt in (*rounds, *b.journal.receipts)} == {1}
            more = {"m": {"routes": [*way["m"]["routes"], {"backend": "gpu", "model": "m"}]}}
            with Spawned(config(tmp_path / "b", {"other": a.url, "gpu": engine.url}, models=more, listen=f"127.0.0.1:{port}")):
                assert soon(lambda: asked(a.url, chat(model="m", stream=streamed)).text == "all is well", 15)


def test_a_homeport_that_nobody_named_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gateways that look for engines on one machine would else find each other."""
    with Engine("openai") as engine, Running(node_config(tmp_path, {"gpu": engine.url})) as node:
        monkeypatch.setattr(discovery, "KNOWN", {"llama.cpp": int(node.url.rpartition(":")[2])})
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "homeport.toml").write_text(f'[server]\nlisten = "127.0.0.1:0"\ndata = "{tmp_path / "other" / "data"}"\n')
        with Running(tmp_path / "other" / "homeport.toml") as gateway:
            backend = gateway.app.upstreams.backends["llama.cpp"]
            assert soon(lambda: backend.probing._good_since is not None)
            assert (backend.models, backend.probing.behind) == ([], None)
            assert "qwen" not in listed(gateway.url)


def test_the_word_of_a_caller_is_no_id(tmp_path: Path) -> None:
    """A request id comes from another Homeport only as the first part of one that is unique here."""
    with Engine("openai") as engine, Running(node_config(tmp_path, {"gpu": engine.url})) as node:
        given = {"homeport-via": "ab12", "x-request-id": "req-aaaaaaaaaaaa0000001"}
        heard = [asked(node.url, chat(model="qwen"), headers=given).headers["x-request-id"] for _ in range(2)]
        assert all(id.startswith("req-aaaaaaaaaaaa0000001.") for id in heard)
        assert len(set(heard)) == 2
        bad = asked(node.url, chat(model="qwen"), headers={"homeport-via": "ab12", "x-request-id": "x" * 500})
        alone = asked(node.url, chat(model="qwen"), headers={"x-request-id": "req-aaaaaaaaaaaa0000001"})
        assert "." not in bad.headers["x-request-id"] + alone.headers["x-request-id"]
        long = asked(node.url, chat(model="qwen"), headers={"homeport-via": ", ".join(["ab12"] * 8)})
        assert (long.status, long.error["code"], long.headers["x-homeport-error"]) == (508, "loop", "loop")
        assert asked(node.url, chat(model="qwen"), headers={"homeport-via": "no id; at all"}).status == 200
        assert len(node.journal.settled(5)) == 5
        assert json.dumps([seen.headers for seen in engine.asks]).count("no id") == 0
