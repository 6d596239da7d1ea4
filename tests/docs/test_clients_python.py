"""The page on the Python client: its examples run, and its figures are the code's."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import homeport
from homeport.client import failure
from homeport.testing.backend import ScriptedBackend
from tests.docs.pages import Page, rows
from tests.gateway import Running, config

PAGE = Page("docs/clients-python.md")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {"default": {"routes": [{"backend": "only", "model": "m"}]}}
    with ScriptedBackend("Somewhere.") as backend, Running(config(tmp_path_factory.mktemp("page"), {"only": backend.url}, models=models)) as gateway:
        yield gateway.url


@pytest.mark.parametrize(("number", "printed"), [(0, "Somewhere.\nSomewhere.\ndefault\n"), (1, "Somewhere.\n"), (2, "default\n")])
def test_the_examples_run(url: str, number: int, printed: str, tmp_path: Path) -> None:
    environ = {**os.environ, "HOMEPORT_URL": f"http://127.0.0.1:9,{url}"}
    command = [sys.executable, "-c", PAGE.blocks("python")[number]]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_every_call_is_documented_with_its_defaults() -> None:
    documented = " ".join(f"{row} {' '.join(cells)}" for row, cells in rows(PAGE.prose).items())
    for kind in (homeport.Client, homeport.AsyncClient):
        for name, call in inspect.getmembers(kind, inspect.isfunction):
            if name.startswith("_") or name in ("close", "aclose"):
                continue
            said = re.search(rf"\b{name}\(([^)]*)\)", documented)
            assert said is not None, name
            parameters = list(inspect.signature(call).parameters.values())[1:]
            assert [part.split("=")[0].strip("* ") for part in said[1].split(",") if part] == [parameter.name for parameter in parameters]
            for parameter in parameters:
                if parameter.default is not parameter.empty:
                    assert f"{parameter.name}={parameter.default!r}".replace("'", '"') in said[1]


def test_every_timeout_is_documented_with_its_default() -> None:
    for field in msgspec.structs.fields(homeport.client.Timeouts):
        assert f"`{field.name}` {field.default:g}" in PAGE.prose


def test_every_error_of_the_client_is_documented() -> None:
    own = {name for name, found in vars(failure).items() if inspect.isclass(found) and found.__module__ == failure.__name__}
    assert set(rows(PAGE.section("Errors"))) == own
