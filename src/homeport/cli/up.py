"""`homeport up`: run the gateway in the foreground."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from homeport.cli.console import say
from homeport.cli.failure import Failed, Usage
from homeport.settings import Settings, address, from_here, load
from homeport.vocabulary import Standing

QUESTION = "Where is my parcel?"


def up(*, config: Path | None = None, listen: str | None = None, workers: int | None = None, json: bool = False) -> int:
    """Run the gateway in the foreground, until Ctrl-C.

    Args:
        config: the homeport.toml to read; else $HOMEPORT_CONFIG, ./homeport.toml, or the one in the configuration folder.
        listen: host and port, such as 127.0.0.1:8461, or :8461 for all interfaces; port 0 takes a free one.
        workers: processes that share the work and the places at each backend, looked after by a parent; else one process alone.
        json: print one line {"url","pid"} once it accepts requests.
    """
    if workers is not None and workers < 1:
        raise Usage("--workers takes a number from 1")
    if workers is not None and sys.platform == "win32":
        raise Usage("--workers is for Linux and macOS: on Windows one process serves. Leave the flag out")
    settings = load(config=config, listen=listen)
    path = settings.path or config
    if not json:
        for notice in [*settings.notices, *_strangers(settings)]:
            say(f"Note: {notice}.")
    import homeport.foreground

    def ready(bound: str, found: Sequence[Standing]) -> None:
        url = from_here(bound)
        if json:
            say(f'{{"url":"{url}","pid":{os.getpid()}}}')
        else:
            say(*greeting(url, settings, found))

    try:
        if workers is not None:
            import homeport.workers

            return homeport.workers.run(settings, workers, ready=ready, reread=lambda: load(config=path, listen=listen))
        return homeport.foreground.run(settings, ready=ready, reread=lambda: load(config=path, listen=listen))
    except OSError as error:
        raise _cannot_listen(settings.server.listen, error) from None


def greeting(url: str, settings: Settings, found: Sequence[Standing]) -> list[str]:
    """What a person reads once the gateway accepts requests."""
    name = next(iter(settings.models), "default") if "default" not in settings.models else "default"
    key = ' -H "authorization: Bearer $HOMEPORT_KEY"' if _has_keys(settings) else ""
    body = f'{{"model":"{name}","messages":[{{"role":"user","content":"{QUESTION}"}}]}}'
    out = [f"Homeport answers at {url}", ""]
    for backend in found:
        models = f": {', '.join(backend.models)}" if backend.models else ""
        out.append(f"  {backend.name} is {backend.state}{models}")
    if found:
        out.append("")
    out += ["Try it:", f"  curl {url}/v1/chat/completions{key} -H 'content-type: application/json' -d '{body}'"]
    if key:
        out.append("  (HOMEPORT_KEY holds one of the keys of: homeport keys list)")
    return [*out, "", f"Apps take {url}/v1 as their OpenAI base URL. Ctrl-C stops it."]


def _strangers(settings: Settings) -> list[str]:
    """What `[limits.keys]` says of keys that are not there."""
    if not settings.limits.keys:
        return []
    from homeport.settings.limits import strangers
    from homeport.storage.keys import Keys

    return strangers(settings, Keys(settings.server.data).names())


def _has_keys(settings: Settings) -> bool:
    from homeport.storage.keys import Keys

    return Keys(settings.server.data).exist


def _cannot_listen(listen: str, error: OSError) -> Exception:
    host, port = address(listen)
    if error.errno == errno.EADDRINUSE:
        from homeport.cli.holder import OURS, holder

        found = holder(port)
        name = f"{found[0]} (pid {found[1]})" if found else "another program"
        instead = "It runs already, see: homeport status. Or" if found and found[0] == OURS else "Stop it, or"
        return Failed(f"port {port} is in use by {name}. {instead} choose another port: homeport up --listen {beside(host, port)}")
    if error.errno == errno.EACCES and error.filename is None and port < 1024:
        return Failed(f"port {port} is reserved for the system's administrator. Choose one above 1023: homeport up --listen {beside(host, 8460)}")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return Failed(f"{listen} is no address of this machine. Try: homeport up --listen 127.0.0.1:{port}")
    return error


def beside(host: str, port: int) -> str:
    """The next port at the same host, as --listen takes it."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port + 1 if port < 65535 else port - 1}"
