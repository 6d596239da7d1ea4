"""`homeport config`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Homeport

TEXT = """\
[server]
max_body_mb = 16
[backends.home]
kind = "openai"
url = "http://127.0.0.1:11434/v1"
api_key = { env = "HOME_TOKEN" }
[models.assistant]
routes = [{ backend = "home", model = "qwen" }, { backend = "home" }]
options = { temperature = 0.3, think = false }
[monitor]
down_after = 3
notify = ["ntfys://hush@ntfy.example/hush", { env = "HOOK" }]
dead_man_url = "https://ping.example/hush"
watch = ["https://vps.example"]
[tasks]
paths = ["tasks.py"]
"""


@pytest.fixture
def written(homeport: Homeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME_TOKEN", "sk-hush")
    monkeypatch.setenv("HOOK", "slack://hush")
    path = tmp_path / "homeport.toml"
    path.write_text(TEXT)
    (tmp_path / "tasks.py").touch()
    return path


def test_check(homeport: Homeport, written: Path) -> None:
    ended = homeport("config", "check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [f"{written} is good: 1 backend, 1 model, at 127.0.0.1:8461."]
    assert homeport("config", "check", "--json").json == {
        "ok": True,
        "file": str(written),
        "notices": [],
    }


def test_check_of_a_bad_file(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[backends.home]\nkind='openai'\nurl='http://127.0.0.1:1'\n[models.x]\nroutes=[{backend='hme'}]\n")
    told = 'bad.toml:5: models.x.routes[1].backend names "hme", which is no backend; did you mean "home"?'
    ended = homeport("config", "check", "--config", "bad.toml")
    assert (ended.code, ended.out, ended.err) == (2, "", f"homeport: {told}\n")
    as_json = homeport("config", "check", "--config", "bad.toml", "--json")
    assert (as_json.code, as_json.json) == (2, {"ok": False, "problems": [told]})


def test_check_without_a_file(homeport: Homeport) -> None:
    assert homeport("config", "check").out == (
        "The configuration is good: no [backends], so it serves the pilot and the engines found at start, at 127.0.0.1:8461.\n"
    )


def test_check_says_what_up_would_refuse(homeport: Homeport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LISTEN", ":8461")
    assert "first: homeport keys add NAME" in homeport("config", "check").out
    homeport("keys", "add", "laptop")
    assert "keys add" not in homeport("config", "check").out


def test_show(homeport: Homeport, written: Path, tmp_path: Path) -> None:
    ended = homeport("config", "show")
    assert (ended.code, ended.err) == (0, "")
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in ended.out.splitlines()[2:]}
    assert ended.out.splitlines()[0] == f"File: {written}"
    assert rows["server.max_body_mb"].split() == ["16", "file"]
    assert rows["server.data"].split() == [f'"{tmp_path / "data"}"', "environment"]
    assert rows["server.drain_timeout_s"].split() == ["30", "default"]
    assert rows["backends.home.url"].split() == ['"http://127.0.0.1:11434"', "file"]
    assert rows["backends.home.api_key"].split("  ")[0] == "(set from env HOME_TOKEN)"
    assert rows["backends.home.assemble"].split() == ["true", "default"]
    assert rows["models.assistant.options"].startswith("{ temperature = 0.3, think = false } ")
    assert rows["models.assistant.routes"].startswith('[{ backend = "home", model = "qwen" }, { backend = "home" }] ')
    assert rows["monitor.down_after"].split() == ["3", "file"]
    assert rows["monitor.notify"].startswith('["ntfys://…", (set from env HOOK)] ')
    assert rows["monitor.dead_man_url"].split() == ['"https://…"', "file"]
    assert rows["monitor.watch"].split() == ['["https://vps.example"]', "file"]
    assert rows["tasks.paths"].split() == [f'["{tmp_path / "tasks.py"}"]', "file"]
    assert rows["monitor.quiet_hours"].split() == ["-", "default"]
    assert "hush" not in ended.out


def test_show_as_json(homeport: Homeport, written: Path, tmp_path: Path) -> None:
    ended = homeport("config", "show", "--json")
    assert ended.json["file"] == str(written)
    assert ended.json["values"]["server.data"] == {"value": str(tmp_path / "data"), "origin": "environment"}
    assert ended.json["values"]["backends.home.api_key"] == {"value": "(set from env HOME_TOKEN)", "origin": "file"}
    assert ended.json["values"]["models.assistant.routes"]["value"] == [{"backend": "home", "model": "qwen"}, {"backend": "home"}]
    assert "hush" not in ended.out


def test_show_without_a_file_says_where_one_may_be(homeport: Homeport, empty_home: Path) -> None:
    out = homeport("config", "show").out
    assert out.splitlines()[0].startswith("File: none (looked for ./homeport.toml and ")
    assert out.splitlines()[-1] == "No [backends]: the pilot answers, and every engine found on this machine at start."
