"""The files of the front door agree with each other, with the gateway's clocks and with the page that explains them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.front import protocol
from homeport.settings import BackendSettings, Server
from tests.docs.pages import ROOT, Page, rows
from tests.front_door import DEFAULTS, TEMPLATE, WORD, rendered

DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "vps.sh"
TEXT = SCRIPT.read_text(encoding="utf-8")
WORDS = set(WORD.findall(TEMPLATE.read_text(encoding="utf-8")))
shell = pytest.mark.skipif(os.name == "nt", reason="the script is for sh")


def options() -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", "\n".join(line for line in TEXT.splitlines() if line.startswith("#   --"))))


def ran(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})}
    return subprocess.run(["sh", str(SCRIPT), *words], env=environment, capture_output=True, text=True, timeout=60)


def seconds(directive: str) -> float:
    """What the site gives a time."""
    [found] = set(re.findall(rf"^\s*{directive} (\d+)s;", rendered(), re.MULTILINE))
    return float(found)


def test_the_template_is_put_in_whole_by_everyone() -> None:
    assert {name.removeprefix("HOMEPORT_").lower() for name in WORDS} == set(DEFAULTS)
    assert set(re.findall(r"\\?\$\{(HOMEPORT_[A-Z_]+)\}", TEXT)) == WORDS
    nginx = compose()["services"]["nginx"]
    assert {name for name in nginx["environment"] if name.startswith("HOMEPORT_")} == WORDS
    assert re.fullmatch(nginx["environment"]["NGINX_ENVSUBST_FILTER"] + ".*", "HOMEPORT_NAME")
    commented = set(re.findall(r"HOMEPORT_[A-Z_]+", "\n".join(line for line in TEMPLATE.read_text(encoding="utf-8").splitlines() if line.startswith("#"))))
    assert commented - {"HOMEPORT_"} == WORDS


def test_the_clocks_are_wider_than_the_gateways() -> None:
    backend = BackendSettings(name="x", kind="openai")
    assert seconds("proxy_read_timeout") > backend.total_timeout_s + backend.queue_timeout_s
    assert seconds("send_timeout") >= protocol.FLUSH_S
    assert seconds("client_body_timeout") >= protocol.HEAD_TIMEOUT_S
    [upstream] = re.findall(r"upstream homeport \{(.*?)\n\}", rendered(), re.DOTALL)
    assert "keepalive_timeout 60s;" in upstream and protocol.KEEP_ALIVE_S > 60
    data = Path("data")
    assert int(DEFAULTS["body_mb"]) == Server(data=data).max_body_mb
    assert "'s|${HOMEPORT_BODY_MB}|32|g'" in TEXT
    assert f"response_header_timeout {seconds('proxy_read_timeout'):g}s" in (DEPLOY / "caddy" / "Caddyfile").read_text(encoding="utf-8")
    grace = compose()["services"]["homeport"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > Server(data=data).drain_timeout_s


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_what_the_containers_are_given_is_there() -> None:
    folder = DEPLOY / "compose"
    services = compose()["services"]
    brought = {"homeport.toml", "certificate.pem", "certificate.key"}
    for service in services.values():
        assert service["restart"] == "always"
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in compose()["volumes"] or source.removeprefix("./") in brought or (folder / source).is_file(), volume
    built = services["homeport"]["build"]
    assert (folder / built["context"] / built["dockerfile"]).resolve() == folder / "Dockerfile"
    targets = [volume.split(":")[1] for volume in services["homeport"]["volumes"]]
    assert all(target in (folder / "Dockerfile").read_text(encoding="utf-8") for target in targets)
    assert all(name in Page("docs/front-door.md").text for name in brought)


@shell
@pytest.mark.parametrize("interpreter", ["sh", "dash", "bash"])
def test_the_script_can_be_read_by_every_shell(interpreter: str) -> None:
    if shutil.which(interpreter) is None:
        pytest.skip(f"{interpreter} is not on this machine")
    assert subprocess.run([interpreter, "-n", str(SCRIPT)], capture_output=True, timeout=30).returncode == 0


@shell
def test_its_options_are_those_of_its_help_and_its_page() -> None:
    [line] = re.findall(r"^ +(--to \|.*)\) ;;$", TEXT, re.MULTILINE)
    assert set(line.split(" | ")) == options()
    help_ = ran("--help")
    assert help_.returncode == 0 and help_.stdout.startswith("A bare Debian becomes a front door") and "set -eu" not in help_.stdout
    documented = rows(Page("docs/front-door.md").section("A VPS from nothing"))
    assert {word.strip("`") for cells in documented for word in cells.split("`, `")} == options()


@shell
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense"], "there is no option --nonsense"),
        (["--name"], "--name takes a value"),
        (["--name", "a b"], "--name takes a host name"),
        (["--name", "x|;}"], "--name takes a host name"),
        (["--insiders", "all; }"], "--insiders takes an address"),
        (["--home", "127.0.0.1:8462"], "--home takes an address"),
        (["--home", 'http://x" y'], "--home takes an address"),
        (["--rate", "0"], "take a whole number from 1"),
        (["--wheel", "/nonexistent.whl"], "there is no file /nonexistent.whl"),
        (["--certificate", str(SCRIPT)], "--certificate needs --certificate-key"),
        (["--certificate-key", str(SCRIPT)], "--certificate-key needs --certificate"),
        (["--home", "http://x\n[server]"], "--home takes an address"),
        (["--to", "-oProxyCommand=true"], "--to takes USER@HOST"),
        (["--acme", "a@b.example"], "--acme needs --name"),
    ],
)
def test_what_it_refuses_before_it_changes_anything(words: list[str], said: str) -> None:
    ended = ran(*words)
    assert ended.returncode == 1
    assert said in ended.stderr


@shell
def test_it_goes_there_with_all_that_it_needs(tmp_path: Path) -> None:
    """A stand-in for ssh unpacks and calls what it is told, and one for sudo shows it instead of doing it; nobody here is root, as `id` tells it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh").write_text('#!/bin/sh\necho "to $1"\nexec sh -c "$2"\n', encoding="utf-8")
    shows = 'for word; do echo "word $word"; done\ncd "$(dirname "$2")" && stat -c "owner %u" . && find . -type f | sort\nexit 7\n'
    (tools / "sudo").write_text(f"#!/bin/sh\n{shows}", encoding="utf-8")
    (tools / "id").write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    stranger = f'd=$({shutil.which("mktemp")} "$@")\n[ -e {tmp_path}/packed ] || chown 12345 "$d" 2>/dev/null\ntouch {tmp_path}/packed\necho "$d"\n'
    (tools / "mktemp").write_text(f"#!/bin/sh\n{stranger}", encoding="utf-8")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    wheel, token = tmp_path / "homeport-1 of 'many'.whl", tmp_path / "token"
    wheel.touch()
    token.touch()
    ended = ran(
        "--to", "ann@vps.example", "--name", "home.example", "--wheel", str(wheel), "--home-token", str(token), "--insiders", "10.0.0.0/8", path=str(tools)
    )
    assert ended.returncode == 7, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "to ann@vps.example"
    words = [line.removeprefix("word ") for line in lines if line.startswith("word ")]
    folder = Path(words[1]).parent
    assert words[:2] == ["sh", f"{folder}/vps.sh"]
    assert words[words.index("--wheel") + 1] == f"{folder}/wheel/{wheel.name}"
    assert words[words.index("--home-token") + 1] == f"{folder}/home_token/token"
    assert words[words.index("--insiders") + 1] == "10.0.0.0/8"
    files = [line for line in lines if line.startswith("./")]
    assert files == sorted(
        ["./home_token/token", "./nginx/homeport.conf.template", "./nginx/late.html", "./nginx/off.html", "./vps.sh", f"./wheel/{wheel.name}"]
    )
    assert f"owner {os.geteuid()}" in lines, "what runs there as root is not somebody's who has the sender's number"
    assert not folder.exists(), "nothing stays there but what was installed"


@pytest.mark.parametrize("page", ["off.html", "late.html"])
def test_the_pages_load_nothing(page: str) -> None:
    text = (DEPLOY / "nginx" / page).read_text(encoding="utf-8")
    assert not re.findall(r"<script|src=|url\(|https?://|@import", text)
    assert "systemctl status homeport-gateway" in text


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not on this machine (Debian: apt install caddy)")
def test_caddy_takes_its_file_as_it_would_write_it(tmp_path: Path) -> None:
    file = DEPLOY / "caddy" / "Caddyfile"
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    checked = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr[-1000:]
    formatted = subprocess.run(["caddy", "fmt", str(file)], capture_output=True, text=True, timeout=60)
    assert formatted.stdout == file.read_text(encoding="utf-8")
