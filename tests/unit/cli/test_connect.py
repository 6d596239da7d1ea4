"""`homeport connect`: what is shown, written and brought back, on a machine of the test's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import FakeGateway, Homeport

KEY = "hp_0123456789012345678901234567890123456789012"
ENTRY = {"id": "default", "object": "model", "homeport": {"routes": [{"backend": "home", "model": "qwen"}], "location": "local"}}
LISTED = {"object": "list", "data": [ENTRY, {**ENTRY, "id": "small"}]}
DIFF = """\
Aider: ~/.aider.conf.yml
--- ~/.aider.conf.yml
+++ ~/.aider.conf.yml with Homeport
@@ -1,2 +1,4 @@
 # mine
-model: sonnet # good
+model: openai/default # good
+openai-api-base: {url}/v1
+openai-api-key: none

Note: A .aider.conf.yml in a project wins over this one.
Note: Aider will say that it does not know the model's context and costs; that is harmless.

The connection:
  ok   a gateway answers at {url}, without a key
  ok   default is answered by home (qwen)
  ok   /v1/chat/completions is served

"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder on Linux with a bash, and no program on the PATH."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "CONTINUE_GLOBAL_DIR", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def models(gateway: FakeGateway) -> FakeGateway:
    """A gateway that serves two models, without a key."""
    gateway.says(LISTED)
    return gateway


def test_the_list(homeport: Homeport, home: Path, models: FakeGateway, tmp_path: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".vscode/extensions/saoudrizwan.claude-dev-3.1.0").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "zed").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "zed").chmod(0o755)
    homeport("connect", "aider", "--write")
    ended = homeport("connect")
    assert (ended.code, ended.err) == (0, "")
    assert [line[:23] for line in ended.out.splitlines()[:9]] == [
        "CLIENT       HERE      ",
        "aider        connected ",
        "claude-code  -         ",
        "cline        found     ",
        "codex        found     ",
        "continue     -         ",
        "open-webui   -         ",
        "openai-sdk   -         ",
        "zed          found     ",
    ]
    assert [row["client"] for row in homeport("connect", "--json").json if row["state"] != "-"] == ["aider", "cline", "codex", "zed"]


def test_without_write_it_only_shows(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    (home / ".aider.conf.yml").write_text("# mine\nmodel: sonnet # good\n")
    ended = homeport("connect", "aider")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == DIFF.format(url=models.url) + "Nothing is written yet. To write it: homeport connect aider --write\n"
    assert (home / ".aider.conf.yml").read_text() == "# mine\nmodel: sonnet # good\n"
    assert os.listdir(home) == [".aider.conf.yml"]
    assert [seen for seen, _, _ in models.seen] == ["GET /v1/models", "GET /status", "GET /v1/chat/completions"]


def test_write_twice_and_undo_twice(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    file, backup = home / ".aider.conf.yml", home / ".aider.conf.yml.homeport-backup"
    file.write_text("# mine\nmodel: sonnet # good\n")
    ended = homeport("connect", "aider", "--write")
    assert ended.code == 0
    assert ended.out == DIFF.format(url=models.url) + (
        "Written: ~/.aider.conf.yml. What it was is in ~/.aider.conf.yml.homeport-backup. To undo it: homeport connect aider --undo\n"
    )
    written = file.read_text()
    assert written == f"# mine\nmodel: openai/default # good\nopenai-api-base: {models.url}/v1\nopenai-api-key: none\n"
    assert backup.read_text() == "# mine\nmodel: sonnet # good\n"
    again = homeport("connect", "aider", "--write")
    assert again.code == 0
    assert again.out.startswith("Aider: nothing to change, ~/.aider.conf.yml is as it should be.\n")
    assert "Written" not in again.out
    assert file.read_text() == written
    undone = homeport("connect", "aider", "--undo")
    assert (undone.code, undone.out) == (0, "~/.aider.conf.yml is as it was before.\n")
    assert file.read_text() == "# mine\nmodel: sonnet # good\n"
    assert not backup.exists()
    assert homeport("connect", "aider", "--undo").out.startswith("There is nothing to undo")


def test_undo_from_another_folder_finds_what_was_written(homeport: Homeport, home: Path, models: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEPORT_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    homeport("connect", "aider", "--write")
    Path("homeport.toml").write_text('[server]\ndata = "elsewhere"\n')
    assert homeport("connect", "aider", "--undo").out == "~/.aider.conf.yml is gone again, as there was none before.\n"


def test_undo_leaves_what_was_changed_since(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    homeport("connect", "aider", "--write")
    (home / ".aider.conf.yml").write_text("mine: 1\n")
    ended = homeport("connect", "aider", "--undo")
    assert ended.code == 1
    assert "was changed since Homeport wrote it, so it stays as it is" in ended.err
    assert (home / ".aider.conf.yml").read_text() == "mine: 1\n"
    assert "was changed since" in homeport("connect", "aider", "--undo", "--json").json["error"]


@pytest.mark.parametrize(
    ("client", "file", "text", "line"),
    [
        ("aider", ".aider.conf.yml", "a: 1\nb: [\n", 2),
        ("continue", ".continue/config.yaml", "name: x\nmodels\n", 2),
        ("codex", ".codex/config.toml", 'a = 1\nb = "\n', 2),
        ("claude-code", ".claude/settings.json", '{\n  "env": {}\n  "x": 1}', 3),
        ("claude-code", ".claude/settings.json", "// c\n{}", 1),
        ("zed", ".config/zed/settings.json", '// c\n{"a": }', 2),
        ("zed", ".config/zed/settings.json", '{"language_models": []}', 1),
        ("aider", ".aider.conf.yml", "\n\n\xff", 3),
    ],
)
def test_a_broken_file_is_told_with_its_line_and_stays(
    homeport: Homeport, home: Path, models: FakeGateway, client: str, file: str, text: str, line: int
) -> None:
    path = home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    ended = homeport("connect", client, "--write")
    assert ended.code == 1
    assert ended.err.startswith(f"homeport: ~/{file}:{line}: ")
    assert ended.err.endswith("The file stays as it is; mend that line, then run this again\n")
    assert path.read_bytes() == text.encode("latin-1")
    assert os.listdir(path.parent) == [path.name]


def test_json(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    told = homeport("connect", "codex", "--write", "--json").json
    checks = told.pop("checks")
    assert [(check["check"], check["ok"], check["fix"]) for check in checks] == [("gateway", True, None), ("model", True, None), ("dialect", True, None)]
    assert told.pop("diff")[:3] == ["--- ~/.codex/config.toml", "+++ ~/.codex/config.toml with Homeport", "@@ -0,0 +1,11 @@"]
    assert told.pop("notes")
    assert told == {
        "client": "codex",
        "file": str(home / ".codex/config.toml"),
        "url": models.url,
        "model": "default",
        "key_env": None,
        "changes": True,
        "form": [],
        "environment": {},
        "written": True,
        "backup": None,
        "ok": True,
    }
    assert homeport("connect", "codex", "--undo", "--json").json == {"client": "codex", "undone": True, "file": str(home / ".codex/config.toml")}
    assert homeport("connect", "codex", "--undo", "--json").json == {"client": "codex", "undone": False, "file": None}
    assert os.listdir(home) == []


@pytest.mark.parametrize("client", ["cline", "open-webui"])
def test_a_client_without_a_file_is_told_what_to_do_and_never_written(homeport: Homeport, home: Path, models: FakeGateway, client: str) -> None:
    ended = homeport("connect", client)
    assert ended.code == 0
    assert models.url.rpartition(":")[2] in ended.out
    refused = homeport("connect", client, "--write")
    assert refused.code == 2
    assert refused.err.endswith(f"so there is nothing to write; what to do by hand: homeport connect {client}\n")
    assert os.listdir(home) == []


def test_no_key_is_written_or_shown(homeport: Homeport, home: Path, models: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_KEY", KEY)
    for client in ("aider", "claude-code", "cline", "codex", "continue", "open-webui", "openai-sdk", "zed"):
        flags = [] if client in ("cline", "open-webui") else ["--write"]
        ended = homeport("connect", client, *flags)
        assert (ended.code, ended.err) == (0, "")
        assert KEY not in ended.out
        assert KEY not in json.dumps(homeport("connect", client, "--json", "--key", KEY).json)
    assert {headers["authorization"] for _, headers, _ in models.seen} == {f"Bearer {KEY}"}
    assert [path for path in home.parent.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    assert 'env_key = "HOMEPORT_KEY"' in (home / ".codex/config.toml").read_text()


def test_the_variable_may_have_another_name(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    ended = homeport("connect", "codex", "--key-env", "WORK_KEY", "--model", "small")
    assert '+env_key = "WORK_KEY"' in ended.out
    assert "  export WORK_KEY=(your key)" in ended.out
    assert ended.out.endswith("To write it: homeport connect codex --model small --key-env WORK_KEY --write\n")
    ended = homeport("connect", "codex", "--key-env", KEY)
    assert (ended.code, KEY in ended.err) == (2, False)


def test_a_variable_that_holds_something_else_is_still_asked_for(homeport: Homeport, home: Path, models: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
    wanted = {"ANTHROPIC_AUTH_TOKEN": "$HOMEPORT_KEY"}
    assert homeport("connect", "claude-code", "--json").json["environment"] == wanted
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    assert homeport("connect", "claude-code", "--json").json["environment"] == {}


def test_an_unknown_model_is_not_written(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    shown = homeport("connect", "aider", "--model", "smal")
    assert shown.code == 1
    assert "  bad  there is no model smal\n       did you mean small? They are listed by: homeport models\n" in shown.out
    ended = homeport("connect", "aider", "--model", "smal", "--write")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "homeport: there is no model smal, so nothing was written; did you mean small? They are listed by: homeport models\n"
    assert os.listdir(home) == []


def test_where_nothing_answers_it_is_written_and_told(homeport: Homeport, home: Path, free_port: int) -> None:
    ended = homeport("connect", "aider", "--write", "--url", f"http://127.0.0.1:{free_port}/v1/")
    assert ended.code == 1
    assert f"  bad  nothing answers at http://127.0.0.1:{free_port} (connection refused)\n       start one: homeport up" in ended.out
    assert "The connection does not work yet, see above." in ended.out
    assert f"openai-api-base: http://127.0.0.1:{free_port}/v1\n" in (home / ".aider.conf.yml").read_text()


def test_a_gateway_elsewhere_that_is_away_is_thought_to_want_a_key(homeport: Homeport, home: Path) -> None:
    told = homeport("connect", "codex", "--url", "http://home.invalid:8461", "--json").json
    assert (told["key_env"], told["ok"], told["checks"][0]["check"]) == ("HOMEPORT_KEY", False, "gateway")


def test_the_first_gateway_that_answers_is_taken(homeport: Homeport, home: Path, models: FakeGateway, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_URL", f"http://127.0.0.1:{free_port},{models.url}/v1")
    assert homeport("connect", "aider", "--json").json["url"] == models.url


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope"], 'there is no client "nope"; there are aider, claude-code, cline,'),
        (["claude"], 'there is no client "claude"; did you mean claude-code?'),
        (["--write"], "which client?"),
        (["aider", "--undo", "--write"], "--undo stands alone"),
        (["aider", "--url", "127.0.0.1:8461"], "--url takes an address such as"),
        (["aider", "--url", "http://x y"], "--url takes an address such as"),
        (["aider", "--url", "http://u:p@x"], "--url takes an address such as"),
        (["aider", "--key-env", "A-B"], "--key-env takes the name of an environment variable"),
        (["aider", "--tray"], "--tray"),
    ],
)
def test_misuse(homeport: Homeport, home: Path, words: list[str], told: str) -> None:
    ended = homeport("connect", *words)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_name_of_the_gateway_s_cannot_command_the_terminal(homeport: Homeport, home: Path, gateway: FakeGateway) -> None:
    gateway.says({"object": "list", "data": [{**ENTRY, "id": 'evil\x1b]0;x\x07\nname: "#'}]})
    for client in ("aider", "claude-code", "cline", "codex", "continue", "open-webui", "openai-sdk", "zed"):
        out = homeport("connect", client).out
        assert "\x1b" not in out and "\x07" not in out
        assert "\nname: " not in out


def test_what_cannot_be_written_is_told(homeport: Homeport, home: Path, models: FakeGateway) -> None:
    (home / ".codex").write_text("a file")
    ended = homeport("connect", "codex", "--write")
    assert ended.code == 1
    assert ended.err.startswith("homeport: ") and ".codex" in ended.err


def test_colours_are_for_terminals(homeport: Homeport, home: Path, models: FakeGateway, terminal: None) -> None:
    out = homeport("connect", "aider").out
    assert "\x1b[32m+model: openai/default\x1b[0m" in out
    assert "\x1b[32mok \x1b[0m  default is answered by" in out


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ([], 200, "is no Homeport gateway"),
        ({"object": "list", "data": [{"id": "llama3", "owned_by": "library"}]}, 200, "is no Homeport gateway"),
        ({"detail": "Not Found"}, 404, "is no Homeport gateway"),
    ],
)
def test_a_stranger_is_not_written(homeport: Homeport, home: Path, gateway: FakeGateway, body: Any, status: int, told: str) -> None:
    gateway.says(body, status)
    ended = homeport("connect", "aider", "--write")
    assert (ended.code, told in ended.err) == (1, True)
    assert os.listdir(home) == []
    assert homeport("connect", "aider").code == 1


def test_a_gateway_without_a_model(homeport: Homeport, home: Path, gateway: FakeGateway) -> None:
    gateway.says({"object": "list", "data": []})
    ended = homeport("connect", "aider")
    assert ended.code == 1
    assert "serves no model yet\n       start an engine such as Ollama" in ended.out
