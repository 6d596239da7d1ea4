"""`main`: exit codes, messages, and what never reaches a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.cli import main, plain_flags
from homeport.errors import BadSettings

from .conftest import Homeport

HOMEPORT = [sys.executable, "-m", "homeport"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["statsu"], 'there is no command "homeport statsu"; did you mean: homeport status'),
        (["serve"], 'there is no command "homeport serve"; did you mean: homeport up'),
        (["keys", "rm", "x"], 'there is no command "homeport keys rm"; did you mean: homeport keys revoke'),
        (
            ["zzz"],
            'there is no command "homeport zzz"; there are up, status, doctor, models, '
            "pull, run, logs, drift, connect, keys, config, tunnel, service, notify, ledger",
        ),
        (["keys", "lst"], 'there is no command "homeport keys lst"; did you mean: homeport keys list'),
        (["status", "x"], "there is nothing to do with 'x' here. See: homeport status --help"),
        (["up", "--liste", ":1"], "Unknown option: --liste. Did you mean --listen? See: homeport up --help"),
        (["keys", "add"], 'Command "keys add" parameter NAME requires an argument. See: homeport keys add --help'),
        (["logs", "--last", "many"], 'Invalid value for --last: unable to convert "many" into int. See: homeport logs --help'),
        (["up", "--workers", "0"], "--workers takes a number from 1"),
        (["status", "--config", "nope.toml"], "nope.toml: no such file (asked for by --config)"),
        (["up", "--config", "nope.toml"], "nope.toml: no such file (asked for by --config)"),
        (["up", "--listen", "8461"], '--listen takes HOST:PORT; did you mean "127.0.0.1:8461"?'),
    ],
)
def test_misuse_is_2_and_says_what_was_meant(homeport: Homeport, words: list[str], told: str) -> None:
    ended = homeport(*words)
    assert (ended.code, ended.out, ended.err) == (2, "", f"homeport: {told}\n")
    as_json = homeport(*words, "--json")
    assert (as_json.code, as_json.json) == (2, {"error": told})


def test_several_problems_stand_a_line_each(homeport: Homeport, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text("[server]\nlissen = 1\n[modles]\n")
    ended = homeport("status")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "homeport: 2 problems",
        '  homeport.toml:2: [server] has no key "lissen"; did you mean "listen"?',
        '  homeport.toml:3: there is no section "modles"; did you mean "models"?',
    ]


def test_a_file_system_error_is_a_sentence(homeport: Homeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_DATA", str(tmp_path / "file" / "data"))
    (tmp_path / "file").write_text("")
    ended = homeport("keys", "add", "laptop")
    assert ended.code == 1
    assert ended.err.startswith("homeport: ")
    assert str(tmp_path / "file") in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("homeport.cli._run", interrupted)
    assert main(["logs"]) == 1
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    """`homeport config show | head -0`, as a process with a real pipe."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([*HOMEPORT, "config", "show"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_fault_of_ours_shows_no_traceback(tmp_path: Path) -> None:
    code = "import sys, homeport.cli as cli; cli._run = lambda words: {}['sk-secret']; sys.exit(cli.main())"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr == "homeport: a fault of its own (KeyError at <string>:1). PYTHONDEVMODE=1 shows more; please report it.\n"
    shown = subprocess.run([sys.executable, "-X", "dev", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "Traceback" in shown.stderr


def test_the_commands_run_as_processes(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        ended = subprocess.run([*HOMEPORT, *words], cwd=tmp_path, capture_output=True, text=True, timeout=30)
        return ended.returncode, ended.stdout, ended.stderr

    (tmp_path / "bad.toml").write_text("[backends.a]\nkind='olama'\nurl='http://127.0.0.1:1'\n")
    code, out, err = run("config", "check", "--config", "bad.toml")
    assert (code, out) == (2, "")
    assert "bad.toml:2:" in err
    assert 'did you mean "ollama"?' in err
    code, out, err = run("config", "show", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["values"]["server.listen"] == {"value": "127.0.0.1:8461", "origin": "default"}


def test_up_is_reached_without_a_parser() -> None:
    """What `homeport up` loads before the app: neither cyclopts nor rich, nor an event loop."""
    code = "import sys, homeport.cli, homeport.cli.up; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert "homeport.settings" in loaded
    assert roots & {"cyclopts", "rich", "asyncio", "difflib", "http", "json", "sqlite3", "tomllib"} == set()


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ([], {}),
        (["--json"], {"json": True}),
        (["--config", "a.toml", "--listen", ":1", "--workers", "2"], {"config": Path("a.toml"), "listen": ":1", "workers": 2}),
        (["--config=a=b.toml", "--listen=[::1]:0"], {"config": Path("a=b.toml"), "listen": "[::1]:0"}),
        (["--help"], None),
        (["-h"], None),
        (["--listen"], None),
        (["--listen", "--json"], None),
        (["--listen="], None),
        (["--workers", "x"], None),
        (["--json=1"], None),
        (["x"], None),
        (["--", "--json"], None),
    ],
)
def test_plain_flags_of_up(words: list[str], flags: dict[str, object] | None) -> None:
    assert plain_flags(words) == flags


def test_the_app_s_refusal_is_2(homeport: Homeport, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(words: list[str]) -> int:
        raise BadSettings("no key yet")

    monkeypatch.setattr("homeport.cli._run", refuses)
    ended = homeport("up")
    assert (ended.code, ended.err) == (2, "homeport: no key yet\n")
