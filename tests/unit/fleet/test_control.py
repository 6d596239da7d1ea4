"""Orders to a running gateway, over its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeport.errors import HomeportError
from homeport.fleet.control import Control, tell
from homeport.fleet.sockets import opened

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


async def told(folder: Path, order: dict[str, Any]) -> list[dict[str, Any]]:
    return await asyncio.get_running_loop().run_in_executor(None, tell, folder, order)


def test_an_order_is_obeyed_and_answered(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40) / "data"  # beyond what a socket's path may have
    folder.mkdir(parents=True)
    heard = []

    async def obey(order: dict[str, Any]) -> dict[str, Any]:
        heard.append(order)
        return {"ok": True}

    async def scene() -> None:
        assert await told(folder, {"do": "reload"}) == []
        control = Control(folder, obey)
        await control.start()
        found = next(folder.glob("*.control"))
        assert found.stat().st_mode & 0o777 == 0o600
        assert await told(folder, {"do": "reload"}) == [{"pid": os.getpid(), "ok": True}]
        await control.stop()
        assert await told(folder, {"do": "reload"}) == []
        assert not list(folder.iterdir())

    asyncio.run(scene())
    assert heard == [{"do": "reload"}]


def test_one_that_dies_over_an_order_is_no_silent_success(tmp_path: Path) -> None:
    async def obey(_: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("a fault")

    async def scene() -> None:
        control = Control(tmp_path, obey)
        await control.start()
        with pytest.raises(HomeportError, match="see its log"):
            await told(tmp_path, {"do": "reload"})
        await control.stop()

    asyncio.run(scene())


def test_what_a_killed_gateway_left_is_passed_over_and_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway-1.control")
    code = f"import socket, signal; s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen(); print(flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert (tmp_path / "gateway-1.control").exists()
    assert tell(tmp_path, {"do": "reload"}) == []

    def left() -> list[str]:
        return [path.name for path in tmp_path.glob("*.control")]

    async def obey(_: dict[str, Any]) -> dict[str, Any]:
        return {}

    async def scene() -> None:
        control = Control(tmp_path, obey)
        await control.start()
        assert left() == [f"gateway-{os.getpid()}.control"]
        await control.stop()

    asyncio.run(scene())


def test_a_folder_binds_for_its_owner_and_replaces_what_was_left(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        for _ in range(2):
            with folder.bind("one.bell", socket.SOCK_DGRAM):
                assert folder.names(".bell") == ["one.bell"]
        assert folder.names(".other") == []
