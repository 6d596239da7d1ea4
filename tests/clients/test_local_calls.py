"""examples/local-calls: its script runs through on the bundled model, and says what failed where something does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import homeport
from tests.gateway import soon

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/local-calls/app.py"
TITLES = (
    "classify_intent in five lines",
    "extraction: values that stand in the text",
    "a chat, whole and streamed",
    "embeddings and nearest neighbours",
    "the OpenAI SDK",
)
WITHOUT_SDK = f"import runpy, sys; sys.modules['openai'] = None; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("pilot")
    path = folder / "homeport.toml"
    path.write_text(f'[server]\ndata = "{folder}/data"\n[backends.pilot]\nkind = "pilot"\n[models.default]\nroutes = [{{ backend = "pilot" }}]\n', "utf-8")
    with homeport.Gateway(config=path) as gateway:
        assert soon(lambda: gateway.client.get("/status").backends[0].state == "healthy", 60.0)
        yield gateway.url


def ran(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env={**os.environ, **environ}, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def blocks(transcript: str) -> list[str]:
    """What stands below each title; every title must be there, in order."""
    found = re.split(r"^\d · (.+)\n", transcript, flags=re.M)
    assert tuple(found[1::2]) == TITLES
    return found[2::2]


def whole(transcript: str) -> None:
    """Each block's lines are of the right shape, whatever the model says in them."""
    classified, extracted, chatted, compared, sdk = blocks(transcript)
    assert re.findall(r"^   (question|request|complaint|other) +\S", classified, re.M) == re.findall(r"^   (\w+)", classified, re.M)
    assert len(classified.splitlines()) == 4, "three messages, and an empty line"
    mail = next(line for line in extracted.splitlines() if "the mail" in line).partition("mail")[2].strip()
    values = re.findall(r"(?:number|amount|name|email|date)\s+('[^']*'|None)", extracted)
    assert len(values) == 5
    assert all(value == "None" or value.strip("'") in mail for value in values)
    assert "by pilot on pilot (local)" in chatted
    assert all(line.strip() for line in chatted.splitlines()[:3])
    likenesses = [float(found) for found in re.findall(r"^ +(-?\d\.\d{3})  \S", compared, re.M)]
    assert len(likenesses) == 3 and likenesses == sorted(likenesses, reverse=True)
    assert all(-1 <= likeness <= 1 for likeness in likenesses)
    assert re.search(r"^   chat +\S", sdk, re.M)
    assert re.search(r"^   embeddings  2 vectors of \d+ numbers$", sdk, re.M)
    assert transcript.endswith("All 5 blocks went well.\n")


def test_all_goes_well_on_the_bundled_model(url: str) -> None:
    done = ran(sys.executable, str(SCRIPT), HOMEPORT_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    whole(done.stdout)


def test_without_the_sdk_the_rest_runs(url: str) -> None:
    done = ran(sys.executable, "-c", WITHOUT_SDK, HOMEPORT_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert blocks(done.stdout)[4].startswith("   skipped: the OpenAI SDK is not installed here (pip install openai)\n")


def test_without_a_gateway_each_block_says_how_to_start_one() -> None:
    done = ran(sys.executable, str(SCRIPT), HOMEPORT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == "", "no traceback"
    for said in blocks(done.stdout):
        assert "failed: " in said and "homeport up" in said
    assert done.stdout.splitlines()[-1] == f"5 of 5 blocks failed: {'; '.join(TITLES)}."


def test_made_by_make() -> None:
    """With a gateway of its own, which ends with it. The .venv that this runs in is not made anew."""
    done = ran("make", "--no-print-directory", "--old-file=.venv/installed", "example", "NAME=local-calls")
    assert done.returncode == 0, done.stdout + done.stderr
    whole(done.stdout)
