"""What stands in each client's configuration: in a new file and beside what a person wrote, with a key and without, for Linux, macOS and Windows."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from homeport.cli.clients import jsonc, yaml_text
from homeport.cli.clients.client import Place, Spoilt, Wanted
from homeport.cli.clients.known import CLIENTS

OPEN = Wanted("http://127.0.0.1:8461", "default", None)
KEYED = Wanted("http://box:8461", "assistant", "HOMEPORT_KEY", 65536)
WRITTEN = ["aider", "claude-code", "codex", "continue", "openai-sdk", "zed"]

MINE = {
    "aider": "# mine\nmodel: sonnet # good\nopenai-api-key: sk-mine\n",
    "claude-code": '{\n    "env": {\n        "A": "b",\n        "ANTHROPIC_AUTH_TOKEN": "mine"\n    },\n    "model": "opus"\n}\n',
    "codex": '# mine\nmodel = "gpt" # good\n\n[agents]\nmax_depth = 1\n[projects."/x"]\ntrust_level = "trusted"\n',
    "continue": "name: Mine # good\nversion: 1.0.0\nschema: v1\nmodels:\n- name: A\n  provider: ollama\n  model: a\nrules:\n- be kind\n",
    "openai-sdk": "export EDITOR=vi # good\n",
    "zed": '// mine\n{\n  "theme": "One", // good\n  "language_models": {\n    "ollama": {},\n  },\n}\n',
}


def place(home: str = "/home/home", platform: str = "linux", **environ: str) -> Place:
    return Place(Path(home), environ, platform)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("wanted", [OPEN, KEYED], ids=["open", "keyed"])
@pytest.mark.parametrize("before", ["", "mine"])
def test_a_second_time_changes_nothing(name: str, wanted: Wanted, before: str) -> None:
    edit = CLIENTS[name].edit
    text = edit(MINE[name] if before else "", wanted)
    assert edit(text, wanted) == text
    assert edit(edit(text, KEYED), OPEN) == edit(edit(edit(text, KEYED), OPEN), OPEN)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_person_wrote_stays(name: str) -> None:
    before = MINE[name]
    after = CLIENTS[name].edit(before, KEYED).splitlines()
    gone = [line for line in before.splitlines() if line not in after]
    assert gone == {
        "aider": ["model: sonnet # good"],
        "claude-code": ['        "ANTHROPIC_AUTH_TOKEN": "mine"'],
        "codex": ['model = "gpt" # good'],
    }.get(name, [])
    assert "good" in "\n".join(after) or name == "claude-code"


def test_codex() -> None:
    provider = {"name": "Homeport", "base_url": "http://127.0.0.1:8461/v1", "wire_api": "responses"}
    new = {"model": "default", "model_provider": "homeport", "web_search": "disabled", "agents": {"enabled": False}}
    assert tomllib.loads(CLIENTS["codex"].edit("", OPEN)) == {**new, "model_providers": {"homeport": provider}}
    text = CLIENTS["codex"].edit(MINE["codex"], KEYED)
    assert tomllib.loads(text) == {
        **new,
        "model": "assistant",
        "model_context_window": 65536,
        "agents": {"enabled": False, "max_depth": 1},
        "projects": {"/x": {"trust_level": "trusted"}},
        "model_providers": {"homeport": {**provider, "base_url": "http://box:8461/v1", "env_key": "HOMEPORT_KEY"}},
    }
    assert 'model = "assistant" # good' in text
    assert tomllib.loads(CLIENTS["codex"].edit(text, OPEN))["model_providers"]["homeport"] == provider
    assert any("profile" in note for note in CLIENTS["codex"].notes(place(), OPEN, 'profile = "x"'))


def test_claude_code() -> None:
    models = ["ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{tier}_MODEL" for tier in ("OPUS", "SONNET", "HAIKU"))]
    assert json.loads(CLIENTS["claude-code"].edit("", OPEN)) == {
        "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8461", "ANTHROPIC_AUTH_TOKEN": "none", **dict.fromkeys(models, "default")}
    }
    assert json.loads(CLIENTS["claude-code"].edit(MINE["claude-code"], KEYED)) == {
        "env": {"A": "b", "ANTHROPIC_BASE_URL": "http://box:8461", **dict.fromkeys(models, "assistant")},
        "model": "opus",
    }
    assert CLIENTS["claude-code"].environment(KEYED) == {"ANTHROPIC_AUTH_TOKEN": "$HOMEPORT_KEY"}
    assert CLIENTS["claude-code"].environment(OPEN) == {}
    assert any("ANTHROPIC_API_KEY" in note for note in CLIENTS["claude-code"].notes(place(), OPEN, '{"env": {"ANTHROPIC_API_KEY": "x"}}'))


def test_zed() -> None:
    text = CLIENTS["zed"].edit(MINE["zed"], KEYED)
    capabilities = {"tools": True, "images": False, "parallel_tool_calls": False, "prompt_cache_key": False}
    model = {"name": "assistant", "max_tokens": 65536, "capabilities": capabilities}
    provider = {"api_url": "http://box:8461/v1", "available_models": [model]}
    assert jsonc.read(text) == {"theme": "One", "language_models": {"ollama": {}, "openai_compatible": {"Homeport": provider}}}
    assert text.startswith('// mine\n{\n  "theme": "One", // good\n')
    both = jsonc.read(CLIENTS["zed"].edit(text, OPEN))["language_models"]["openai_compatible"]["Homeport"]
    assert both == {"api_url": "http://127.0.0.1:8461/v1", "available_models": [model, {**model, "name": "default", "max_tokens": 32768}]}
    assert CLIENTS["zed"].environment(KEYED) == {"HOMEPORT_API_KEY": "$HOMEPORT_KEY"}
    assert CLIENTS["zed"].environment(Wanted("http://x", "m", "HOMEPORT_API_KEY")) == {}
    with pytest.raises(Spoilt, match="no list"):
        CLIENTS["zed"].edit('{"language_models": {"openai_compatible": {"Homeport": {"available_models": {}}}}}', OPEN)


def test_continue() -> None:
    entry = {"name": "Homeport default", "provider": "openai", "model": "default", "apiBase": "http://127.0.0.1:8461/v1", "apiKey": "none"}
    roles = ["chat", "edit", "apply"]
    new = {"name": "Local Assistant", "version": "1.0.0", "schema": "v1"}
    assert yaml_text.values(CLIENTS["continue"].edit("", OPEN)) == {**new, "models": [{**entry, "roles": roles}]}
    text = CLIENTS["continue"].edit(MINE["continue"], KEYED)
    keyed = {
        "name": "Homeport assistant",
        "provider": "openai",
        "model": "assistant",
        "apiBase": "http://box:8461/v1",
        "apiKey": "${{ secrets.HOMEPORT_KEY }}",
        "roles": roles,
    }
    mine = {"name": "Mine", "version": "1.0.0", "schema": "v1", "rules": ["be kind"]}
    assert yaml_text.values(text) == {**mine, "models": [{"name": "A", "provider": "ollama", "model": "a"}, keyed]}
    moved = CLIENTS["continue"].edit(text, Wanted("http://other:1", "assistant", None))
    assert yaml_text.values(moved)["models"][1] == {**keyed, "apiBase": "http://other:1/v1", "apiKey": "none"}


def test_continue_says_that_an_older_configuration_is_read_no_more(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    (tmp_path / ".continue").mkdir()
    (tmp_path / ".continue/config.json").write_text("{}")
    assert any("~/.continue/config.json no more" in note for note in CLIENTS["continue"].notes(here, OPEN, ""))
    (tmp_path / ".continue/config.yaml").write_text("")
    assert not any("no more" in note for note in CLIENTS["continue"].notes(here, OPEN, ""))


def test_aider() -> None:
    assert CLIENTS["aider"].edit("", OPEN) == "openai-api-base: http://127.0.0.1:8461/v1\nopenai-api-key: none\nmodel: openai/default\n"
    assert CLIENTS["aider"].edit(CLIENTS["aider"].edit("", OPEN), KEYED) == "openai-api-base: http://box:8461/v1\nmodel: openai/assistant\n"
    assert yaml_text.values(CLIENTS["aider"].edit(MINE["aider"], KEYED))["openai-api-key"] == "sk-mine"
    assert CLIENTS["aider"].environment(KEYED) == {"AIDER_OPENAI_API_KEY": "$HOMEPORT_KEY"}


def test_openai_sdk() -> None:
    text = CLIENTS["openai-sdk"].edit(MINE["openai-sdk"], KEYED)
    assert text.splitlines() == [
        "export EDITOR=vi # good",
        "",
        "# >>> homeport connect: the OpenAI SDKs ask Homeport",
        "export OPENAI_BASE_URL=http://box:8461/v1",
        'export OPENAI_API_KEY="$HOMEPORT_KEY"',
        "# <<< homeport connect",
    ]
    moved = CLIENTS["openai-sdk"].edit(text + "alias x=y\n", OPEN)
    assert moved == text.replace("http://box", "http://127.0.0.1").replace('"$HOMEPORT_KEY"', "none") + "alias x=y\n"


def test_cline_and_open_webui_have_a_form() -> None:
    assert "  API Key        the key in $HOMEPORT_KEY" in CLIENTS["cline"].form(place(), KEYED)
    far = "\n".join(CLIENTS["open-webui"].form(place(), KEYED))
    assert "OPENAI_API_BASE_URLS: http://box:8461/v1\n        OPENAI_API_KEYS: ${HOMEPORT_KEY}\n" in far
    assert "host.docker.internal" not in far
    near = "\n".join(CLIENTS["open-webui"].form(place(), OPEN))
    assert "OPENAI_API_BASE_URLS: http://host.docker.internal:8461/v1" in near
    yaml = near.partition("compose.yaml:\n")[2].partition("\n\n")[0]
    service = yaml_text.values(yaml)["services"]["open-webui"]
    assert service["environment"]["OPENAI_API_KEYS"] == "${HOMEPORT_KEY}"
    assert service["extra_hosts"] == ["host.docker.internal:host-gateway"]


@pytest.mark.parametrize(
    ("name", "here", "file"),
    [
        ("aider", place(), "/home/home/.aider.conf.yml"),
        ("claude-code", place(), "/home/home/.claude/settings.json"),
        ("claude-code", place(CLAUDE_CONFIG_DIR="/c"), "/c/settings.json"),
        ("codex", place(), "/home/home/.codex/config.toml"),
        ("codex", place(CODEX_HOME="/c"), "/c/config.toml"),
        ("continue", place(), "/home/home/.continue/config.yaml"),
        ("continue", place(CONTINUE_GLOBAL_DIR="/c"), "/c/config.yaml"),
        ("zed", place(), "/home/home/.config/zed/settings.json"),
        ("zed", place(XDG_CONFIG_HOME="/x"), "/x/zed/settings.json"),
        ("zed", place(XDG_CONFIG_HOME="/x", FLATPAK_XDG_CONFIG_HOME="/f"), "/f/zed/settings.json"),
        ("zed", place(platform="darwin", XDG_CONFIG_HOME="/x"), "/home/home/.config/zed/settings.json"),
        ("zed", place(platform="win32", APPDATA="/r"), "/r/Zed/settings.json"),
        ("openai-sdk", place(SHELL="/bin/bash"), "/home/home/.bashrc"),
        ("openai-sdk", place(SHELL="/bin/bash", platform="darwin"), "/home/home/.bash_profile"),
        ("openai-sdk", place(SHELL="/usr/bin/zsh"), "/home/home/.zshrc"),
        ("openai-sdk", place(SHELL="/usr/bin/zsh", ZDOTDIR="/z"), "/z/.zshrc"),
        ("openai-sdk", place(SHELL="/usr/bin/fish"), "/home/home/.config/fish/conf.d/homeport.fish"),
        ("openai-sdk", place(), None),
        ("openai-sdk", place(platform="win32"), None),
        ("cline", place(), None),
        ("open-webui", place(), None),
    ],
)
def test_where_the_file_is(name: str, here: Place, file: str | None) -> None:
    found = CLIENTS[name].file(here)
    assert (found.as_posix() if found else None) == file


def test_on_windows_the_variables_are_set_another_way() -> None:
    assert CLIENTS["openai-sdk"].form(place(platform="win32"), KEYED) == [
        'setx OPENAI_BASE_URL "http://box:8461/v1"',
        'setx OPENAI_API_KEY "%HOMEPORT_KEY%"',
    ]
