"""`homeport pull`, against a hub of the tests' own: what it says before, what it brings, and what it makes of every fault."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from homeport.cli.pull import config_lines
from homeport.settings import load
from homeport.testing.talker import write_talker
from tests.hub import Hub

from .conftest import FakeGateway, Homeport

REPO = "hf.co/org/talker-GGUF"


class Waits(NamedTuple):
    """How long the command slept."""

    seconds: list[float]


@pytest.fixture(scope="session")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Two models of about 0.9 MB."""
    folder = tmp_path_factory.mktemp("talkers")
    return write_talker(folder / "a", "Your parcel is here.").read_bytes(), write_talker(folder / "b", "It comes on Monday.").read_bytes()


@pytest.fixture
def hub(talkers: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"README.md": b"# talker", "talker-Q4_K_M.gguf": talkers[0], "talker-Q8_0.gguf": talkers[1], "mmproj-talker.gguf": b"GGUF"}
    with Hub({"org/talker-GGUF": files, "org/plain": {"model.safetensors": b"x"}}) as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("homeport.pull.plan.FIRST_LOOK", 65536)
        monkeypatch.setenv("HOMEPORT_URL", "http://127.0.0.1:9")  # no gateway
        yield found


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    found = Waits([])
    monkeypatch.setattr("homeport.pull.pace.time.sleep", found.seconds.append)
    return found


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


def left(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir())


def test_what_is_needed_is_said_and_the_usual_quantisation_is_taken(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    ended = homeport("pull", REPO)
    assert ended.code == 0
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == talkers[0]
    assert left(models) == ["talker-Q4_K_M.gguf", "talker-Q4_K_M.json"]
    lines = ended.err.splitlines()
    assert lines[0] == "talker-Q4_K_M: hf.co/org/talker-GGUF:talker-Q4_K_M.gguf"
    assert lines[1] == "  Q4_K_M of 2 models; another one: hf.co/org/talker-GGUF:FILE (such as talker-Q8_0.gguf)"
    assert lines[2] == "  324,352 parameters, context up to 131,072 tokens, llama"
    assert lines[3] == "  on disk   929 KB"
    assert lines[4].startswith(
        "  in memory 57.9 MB at most (weights 929 KB, KV cache 4.2 MB for 4 × 4,096 tokens, batch 19.2 MB, engine 33.6 MB); this machine has "
    )
    assert len(lines) == 5  # no bar where nobody watches
    assert ended.out.splitlines() == [
        f"talker-Q4_K_M is here: {models / 'talker-Q4_K_M.gguf'}",
        'Once a gateway runs here it serves it: homeport up, then homeport run talker-Q4_K_M "Where is my parcel?"',
    ]


def test_what_is_here_is_not_brought_again(homeport: Homeport, hub: Hub) -> None:
    first = homeport("pull", REPO, "--json").json
    assert (first["name"], first["already"], first["served"], first["bytes"]) == ("talker-Q4_K_M", False, None, 928672)
    downloads = len(hub.to("storage"))
    assert homeport("pull", REPO, "--json").json == {**first, "already": True}
    assert len(hub.to("storage")) == downloads + 1  # the look at its header


@pytest.mark.parametrize("wanted", ["talker-Q8_0.gguf", "talker-q8_0", "Q8_0", "q8_0"])
def test_a_file_can_be_named(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes], wanted: str) -> None:
    assert homeport("pull", f"{REPO}:{wanted}").code == 0
    assert (models / "talker-Q8_0.gguf").read_bytes() == talkers[1]


def test_one_of_several_must_be_named(homeport: Homeport, hub: Hub, models: Path) -> None:
    files = hub.repos["org/talker-GGUF"]
    files["talker-Q5_K_M.gguf"] = files.pop("talker-Q4_K_M.gguf")
    ended = homeport("pull", REPO)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "homeport: org/talker-GGUF holds 2 models; name one of them after a colon:",
        "  hf.co/org/talker-GGUF:talker-Q8_0.gguf    927 KB",
        "  hf.co/org/talker-GGUF:talker-Q5_K_M.gguf  929 KB",
    ]
    assert homeport("pull", f"{REPO}:Q3_K", "--json").json["choices"][1] == {"model": "hf.co/org/talker-GGUF:talker-Q5_K_M.gguf", "bytes": 928672}
    assert not models.exists()


def test_all_parts_of_a_split_model_come_or_none(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    data = talkers[0]
    parts = {f"q/big-0000{number}-of-00003.gguf": data[:300_000] + bytes([number]) for number in (1, 2, 3)}
    hub.repos["org/big"] = {**parts, "half-00001-of-00002.gguf": data}
    hub.per_page = 2
    hub.listed["q/big-00003-of-00003.gguf"] = "0" * 64
    assert homeport("pull", "hf.co/org/big").code == 1  # the third one comes damaged
    assert [name for name in left(models) if name.endswith(".gguf")] == []
    hub.listed.clear()
    ended = homeport("pull", "hf.co/org/big", "--json").json
    assert (ended["name"], ended["bytes"]) == ("big", 900_003)
    assert {name: (models / name).read_bytes() for name in left(models) if name.endswith(".gguf")} == {
        name.rpartition("/")[2]: content for name, content in parts.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_download_goes_on_where_it_was(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes], waits: Waits, seed: int) -> None:
    chance = random.Random(seed)
    hub.cuts = [chance.randrange(1, 250_000) for _ in range(5)]
    ended = homeport("pull", REPO)
    assert ended.code == 0, ended.err
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == talkers[0]
    starts = [int(asked[6:-1]) for asked in map(str, hub.ranges_asked[1:])]
    assert starts == sorted(starts)
    assert len(starts) == 1 + len(waits.seconds) > 1  # what the network swallowed with the reset may be less than was sent


def test_without_ranges_a_cut_download_begins_anew(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes], waits: Waits) -> None:
    hub.ranges, hub.cuts = False, [1000, 400_000]
    assert homeport("pull", REPO).code == 0
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == talkers[0]


def test_after_six_tries_that_brought_nothing_it_gives_up_and_keeps_what_came(homeport: Homeport, hub: Hub, models: Path, waits: Waits) -> None:
    hub.cuts = [100_000] + [0] * 20
    ended = homeport("pull", REPO)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith(" are kept: the same command goes on from there")
    assert waits.seconds in ([1.0, 2.0, 4.0, 8.0, 16.0], [1.0, 1.0, 2.0, 4.0, 8.0, 16.0])
    assert (models / "talker-Q4_K_M.gguf.part").stat().st_size >= 65536
    hub.cuts = []
    ended = homeport("pull", REPO)
    assert ended.code == 0
    assert "of it are here already" in ended.err


def test_a_wrong_checksum_leaves_nothing(homeport: Homeport, hub: Hub, models: Path) -> None:
    hub.spoil = True
    ended = homeport("pull", REPO)
    assert ended.code == 1
    assert "talker-Q4_K_M.gguf came damaged (SHA-256 " in ended.err
    assert left(models) == []
    hub.spoil = False
    assert homeport("pull", REPO).code == 0


def test_a_given_checksum_counts(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    address = f"{hub.storage_url}/org/talker-GGUF/talker-Q8_0.gguf"
    assert "came damaged" in homeport("pull", address, "--checksum", "0" * 64).err
    assert homeport("pull", f"{REPO}:Q8_0", "--checksum", "0" * 64).code == 1
    assert homeport("pull", address, "--checksum", "0" * 63).code == 2
    assert left(models) == []


def interrupted(homeport: Homeport, hub: Hub, *words: str) -> None:
    """Bring a part of it only."""
    hub.cuts = [200_000] + [0] * 20
    assert homeport("pull", *words).code == 1
    hub.cuts = []


@pytest.mark.parametrize("by", ["hub", "address"])
def test_what_changed_between_begins_anew(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes], waits: Waits, by: str) -> None:
    address = REPO if by == "hub" else f"{hub.storage_url}/org/talker-GGUF/talker-Q4_K_M.gguf"
    interrupted(homeport, hub, address)
    changed = talkers[0][:-1] + b"\1"
    hub.repos["org/talker-GGUF"]["talker-Q4_K_M.gguf"] = changed
    ended = homeport("pull", address)
    assert ended.code == 0
    assert "does not belong to this file, so it begins anew" in ended.err
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == changed


def test_what_changes_while_it_comes_is_not_mixed(
    homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = hub.repos["org/talker-GGUF"]
    hub.cuts = [200_000]
    monkeypatch.setattr("homeport.pull.pace.time.sleep", lambda seconds: files.update({"talker-Q4_K_M.gguf": talkers[0][:-1] + b"\1"}))
    ended = homeport("pull", f"{hub.storage_url}/org/talker-GGUF/talker-Q4_K_M.gguf")
    assert (ended.code, left(models)) == (1, [])
    assert "was replaced at the server meanwhile; what had come is of no use. Run the same command again" in ended.err


def test_a_new_version_replaces_the_old(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    assert homeport("pull", REPO).code == 0
    hub.repos["org/talker-GGUF"]["talker-Q4_K_M.gguf"] = talkers[1]
    ended = homeport("pull", REPO)
    assert ended.code == 0
    assert "has changed there since it was pulled" in ended.err
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == talkers[1]


@pytest.mark.parametrize(
    ("model", "refusal", "token", "told"),
    [
        ("hf.co/org/nothing", None, "", "the hub knows no public repository org/nothing; check the spelling, or, where it is private, set HF_TOKEN"),
        ("hf.co/org/nothing", None, "hf_x", "the hub does not give org/nothing to the account of HF_TOKEN"),
        (REPO, ("hub", 403, {"x-error-code": "GatedRepo"}), "", "org/talker-GGUF is gated: accept its terms at {hub}/org/talker-GGUF, then set HF_TOKEN"),
        (REPO, ("hub", 403, {"x-error-code": "GatedRepo"}), "hf_x", "is gated: accept its terms at {hub}/org/talker-GGUF, with the account of HF_TOKEN"),
        (REPO, ("hub", 404, {"x-error-code": "RevisionNotFound"}), "", "no such revision at 127.0.0.1"),
        (REPO, ("storage", 403, {}), "", "does not allow it (status 403): the file is not public, or the link has expired"),
        (REPO, ("storage", 418, {}), "", "answers with status 418"),
        ("hf.co/org/plain", None, "", "org/plain holds no whole GGUF file (its files are of the kinds safetensors)"),
    ],
)
def test_refusals_are_told_in_words(
    homeport: Homeport,
    hub: Hub,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    refusal: tuple[str, int, dict[str, str]] | None,
    token: str,
    told: str,
) -> None:
    hub.refusals = [refusal] if refusal else []
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    ended = homeport("pull", model)
    assert (ended.code, ended.out) == (1, "")
    assert told.replace("{hub}", hub.url) in ended.err
    assert "SECRET" not in ended.err + ended.out
    assert not models.exists()


def test_a_busy_hub_is_waited_for(homeport: Homeport, hub: Hub, waits: Waits) -> None:
    hub.refusals = [("hub", 429, {"retry-after": "7"}), ("hub", 503, {})]
    assert homeport("pull", REPO).code == 0
    assert waits.seconds == [7.0, 2.0]
    hub.refusals = [("hub", 429, {"retry-after": "7200"})]
    assert "is busy (status 429) and asks to come back in 120 minutes" in homeport("pull", REPO).err


def test_the_token_goes_to_the_hub_alone_and_is_kept_nowhere(homeport: Homeport, hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    interrupted(homeport, hub, REPO)
    texts = [path.read_text() for path in models.glob("*.json")]
    ended = homeport("pull", REPO)
    assert ended.code == 0
    assert {asked.headers.get("authorization") for asked in hub.to("hub")} == {"Bearer hf_verysecret"}
    assert {asked.headers.get("authorization") for asked in hub.to("storage")} == {None}
    texts += [path.read_text() for path in models.glob("*.json")] + [ended.out, ended.err]
    assert not any(secret in text for text in texts for secret in ("verysecret", "Signature", "SECRET"))


def test_a_page_that_asks_to_log_in_is_no_model(homeport: Homeport, hub: Hub, models: Path) -> None:
    hub.page = b"<!DOCTYPE html><html><body>Please log in</body></html>" + b" " * 70_000
    for model in (REPO, f"{hub.storage_url}/org/talker-GGUF/talker-Q8_0.gguf"):
        ended = homeport("pull", model)
        assert ended.code == 1
        assert "no GGUF file: it is a web page, perhaps one that asks to log in" in ended.err
    assert not models.exists()


def test_a_disk_without_room_is_told_before_anything_comes(homeport: Homeport, hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.cli.pull.shutil.disk_usage", lambda path: SimpleNamespace(free=10**6))
    ended = homeport("pull", REPO)
    assert ended.code == 1
    assert f"929 KB are to come, and 1.0 MB are free at {models}. Make room for 268 MB more, or set HOMEPORT_DATA" in ended.err
    assert left(models) == []


def test_too_little_memory_is_a_reason_to_ask(homeport: Homeport, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.pull.memory.installed", lambda: 10**6)
    ended = homeport("pull", REPO)
    assert ended.code == 1
    assert "talker-Q4_K_M needs up to 57.9 MB of memory, and this machine has 1.0 MB" in ended.err
    assert homeport("pull", REPO, "--yes").code == 0


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 0), ("n\n", 1), ("", 1)])
def test_at_a_terminal_it_asks(homeport: Homeport, hub: Hub, terminal: None, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    stdin = io.StringIO(answer)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)
    ended = homeport("pull", REPO)
    assert "Pull it? [Y/n] " in ended.err
    assert ended.code == code
    assert ("B/s" in ended.err.rpartition("[Y/n]")[2]) == (code == 0)  # the bar
    assert "Pull it?" not in homeport("pull", REPO, "--yes").err


def test_another_model_of_that_name_is_not_overwritten(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    models.mkdir(parents=True)
    (models / "talker-Q4_K_M.gguf").write_bytes(b"mine")
    ended = homeport("pull", REPO)
    assert ended.code == 2
    assert "a model talker-Q4_K_M is here already, and nothing says from where. Give this one another name (--name talker-Q4_K_M-2)" in ended.err
    assert (models / "talker-Q4_K_M.gguf").read_bytes() == b"mine"
    assert homeport("pull", REPO, "--name", "other").code == 0
    assert (models / "other.gguf").read_bytes() == talkers[0]
    assert homeport("pull", REPO, "--name", "../x").code == homeport("pull", REPO, "--name", "Default").code == 2


def test_with_a_configuration_the_lines_to_write_are_printed(homeport: Homeport, hub: Hub, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "homeport.toml"
    path.write_text('[backends.box]\nkind = "openai"\nurl = "http://127.0.0.1:9"\n[models.big]\nroutes = [{ backend = "box" }]\n')
    out = homeport("pull", REPO).out
    assert "To serve it, write into homeport.toml and restart the gateway:" in out
    lines = out[out.index("[backends.") :]
    path.write_text(path.read_text() + lines)
    settings = load(config=path)
    assert settings.backends["talker-Q4_K_M"].model == models / "talker-Q4_K_M.gguf"
    assert settings.models["talker-Q4_K_M"].routes[0].backend == "talker-Q4_K_M"
    assert "The configuration names this file" in homeport("pull", REPO).out
    assert config_lines("a.b", Path("/x.gguf"), own_names=False) == ['[backends."a.b"]', 'kind = "engine"', 'model = "/x.gguf"']


def test_names_from_the_hub_command_neither_the_terminal_nor_the_disk(homeport: Homeport, hub: Hub, models: Path, talkers: tuple[bytes, bytes]) -> None:
    hub.repos["org/evil"] = {"q/\x1b[2Jevil\n.gguf": talkers[0], "b.gguf": talkers[1], "../../c.gguf": talkers[1]}
    ended = homeport("pull", "hf.co/org/evil")
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert len(ended.err.splitlines()) == 3
    hub.repos["org/evil"].pop("b.gguf")
    hub.spoil = True
    ended = homeport("pull", "hf.co/org/evil")
    assert (ended.code, "\x1b" in ended.err + ended.out) == (1, False)
    hub.spoil = False
    assert homeport("pull", "hf.co/org/evil").code == 0
    assert left(models) == ["2Jevil.gguf", "2Jevil.json"]


def test_a_gateway_that_does_not_show_it_is_told(homeport: Homeport, hub: Hub, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_URL", gateway.url)
    monkeypatch.setattr("homeport.cli.pull.NOTICED_S", 0.1)
    gateway.says({"backends": [{"name": "home", "kind": "ollama"}]})
    assert f"The gateway at {gateway.url} does not show it: it keeps its data in another folder" in homeport("pull", REPO).out
    gateway.says({"backends": [{"name": "talker-Q4_K_M", "kind": "engine"}]})
    assert f"The gateway at {gateway.url} serves it. Ask it: homeport run talker-Q4_K_M" in homeport("pull", REPO).out


def test_bad_words(homeport: Homeport, hub: Hub) -> None:
    assert "did you mean: homeport pull hf.co/org/talker-GGUF" in homeport("pull", "org/talker-GGUF").err
    assert homeport("pull", "talker").code == 2
    assert json.loads(homeport("pull", "talker", "--json").out)["error"].startswith('"talker" is no address')
    assert hub.asked == []


def test_nobody_at_the_address(homeport: Homeport, hub: Hub, waits: Waits) -> None:
    begun = time.monotonic()
    ended = homeport("pull", "http://127.0.0.1:9/model.gguf")
    assert ended.code == 1
    assert "127.0.0.1:9: no connection" in ended.err
    assert "4 times in a row. Nothing was kept; try again later" in ended.err
    assert time.monotonic() - begun < 10
