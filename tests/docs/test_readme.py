"""What the pages tell people to type is typed here, against a gateway without any configuration."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page

DEFAULT = "http://127.0.0.1:8461"
TYPED = [block for block in Page("README.md").blocks("sh") if not block.startswith("make ")]


class Zero:
    """`homeport up` as a new user starts it, but on a free port and with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("HOMEPORT_", "OPENAI_", "XDG_")) and not name.lower().endswith("_proxy")
        }
        self.environ = {**kept, "HOME": str(home), "PATH": path, "PYTHONWARNINGS": "error"}
        command = [sys.executable, "-m", "homeport", "up", "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=home, env=self.environ)
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.environ["HOMEPORT_URL"] = self.url

    def type(self, program: list[str], text: str) -> str:
        """Run a block as if the gateway stood at the default address; what it printed."""
        done = subprocess.run(
            [*program, text.replace(DEFAULT, self.url)], env=self.environ, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == "" or program[0] == "bash"
        return done.stdout

    def end(self) -> None:
        self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert self.process.wait(30) == 0


@pytest.fixture(scope="module")
def zero(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zero]:
    gateway = Zero(tmp_path_factory.mktemp("home"))
    try:
        deadline = time.monotonic() + 30
        while urllib.request.urlopen(f"{gateway.url}/status", timeout=10).read().find(b'"loading"') >= 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield gateway
    finally:
        gateway.end()


def test_the_blocks_are_those_meant() -> None:
    page = Page("README.md")
    assert len(TYPED) == 2
    assert len(page.blocks("python")) == 1
    assert page.blocks("sh")[0] == "make up\nmake test\n"
    assert DEFAULT in TYPED[0] and DEFAULT in page.blocks("python")[0]


def test_curl(zero: Zero) -> None:
    reply = json.loads(zero.type(["bash", "-euc"], TYPED[0].replace("curl", "curl --silent --show-error --fail")))
    assert reply["model"] == "default"
    assert reply["choices"][0]["message"]["content"]


def test_the_sdk(zero: Zero) -> None:
    assert len(zero.type([sys.executable, "-c"], Page("README.md").blocks("python")[0]).split()) > 1


def test_the_commands(zero: Zero) -> None:
    shown = zero.type(["bash", "-euc"], TYPED[1])
    assert "All is well." in shown
    assert re.search(r"^pilot +healthy", shown, re.MULTILINE)


def test_a_gateway_in_ones_own_process(zero: Zero) -> None:
    (block,) = Page("docs/http.md").blocks("python")
    assert re.match(r"http://127\.0\.0\.1:\d+\n$", zero.type([sys.executable, "-c"], block))


@pytest.mark.parametrize("page", ["configure.md", "receipts.md", "troubleshooting.md"])
def test_commands_in_the_pages(zero: Zero, page: str) -> None:
    for block in Page(f"docs/{page}").blocks("sh"):
        zero.type(["bash", "-euc"], block)


def test_keys(zero: Zero, tmp_path: Path) -> None:
    (block,) = Page("docs/keys.md").blocks("sh")
    here = {**zero.environ, "HOMEPORT_DATA": str(tmp_path)}
    done = subprocess.run(["bash", "-euc", block], env=here, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    key = done.stdout.split()[0]
    assert key.startswith("hp_")
    assert key not in (tmp_path / "keys.json").read_text(encoding="utf-8")


def test_versions_in_the_pages_are_this_one() -> None:
    from homeport import __version__

    assert f"## [{__version__}]" in Page("CHANGELOG.md").text
    assert f"| | {__version__} |" in Page("README.md").text
    assert set(re.findall(r"homeport-(\d[\d.]*\d)-py3", Page("docs/install.md").text)) == {__version__}
    assert (ROOT / "LICENSE").is_file()
