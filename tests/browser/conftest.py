"""One browser for each module of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import chromium
from tests.browser.chromium import Chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    program = chromium.found()
    if program is None:
        pytest.skip("there is no Chromium on this machine; tests/needs --install brings it where apt-get may be used")
    with chromium.browser(program) as browser:
        yield browser
