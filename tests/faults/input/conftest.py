"""One gateway for all tests of a file, and a look after each test at what it left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from homeport.testing.backend import ScriptedBackend
from tests.caller import asked, chat
from tests.faults.doors import TEXT
from tests.gateway import Running, config


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(TEXT) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(backend: ScriptedBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(config(tmp_path_factory.mktemp("gateway"), {"only": backend.url}, max_body_mb=1)) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def nothing_disturbed(gateway: Running, backend: ScriptedBackend) -> Iterator[None]:
    """After each test: no lease, no stray request, and the next caller is served."""
    yield
    assert gateway.idle()
    assert backend.until(lambda: backend.in_flight == 0, 1.0)
    assert asked(gateway.url, chat(stream=True)).text == TEXT


@pytest.fixture(params=["protocol", "asgi"])
def front(request: pytest.FixtureRequest) -> str:
    """Each of the two ways in; a connection that once asked for a page stays with the second."""
    return str(request.param)
