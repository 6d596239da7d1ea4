"""`homeport tunnel`: the key for it, the tunnel itself in the foreground, and how it stands."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import msgspec

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed, Usage
from homeport.ports import Tunnel
from homeport.settings import Settings, TunnelSettings, load
from homeport.settings import tunnel as checks
from homeport.storage import locks
from homeport.tunnel import confinement
from homeport.tunnel import key as keys
from homeport.tunnel import state as states
from homeport.tunnel.state import TunnelState

USER = "tunnel"
STYLES = {"up": "good", "connecting": "warn", "refused": "bad", "down": "bad"}


def key(*, to: str | None = None, remote: str | None = None, script: bool = False, config: Path | None = None, json: bool = False) -> int:
    """The tunnel's own key, made when first asked for, and what lets it in on the VPS.

    Args:
        to: the user on the VPS and the VPS, such as tunnel@vps.example; else [tunnel] to.
        remote: where the VPS listens, such as 127.0.0.1:8462, or a Unix socket's path; else [tunnel] remote.
        script: print only the script for the VPS, to be piped into a root shell there.
        config: the homeport.toml whose data folder is used.
        json: print JSON.
    """
    settings = load(config=config)
    told = _told(settings, to=to, remote=remote)
    if told.kind != "ssh":
        raise Usage('[tunnel] kind is "cloudflared", which needs no key: Cloudflare gives it a token')
    identity = told.identity or keys.make(settings.server.data)
    public = keys.public(identity)
    user = told.to.partition("@")[0] if told.to else USER
    line, block = confinement.authorized(public, told.remote), confinement.sshd_block(user, told.remote)
    if json:
        screen.print_json({"public_key": public, "identity": str(identity), "authorized_keys": line, "sshd": block})
        return 0
    whole = confinement.script(user, told.remote, public)
    if script:
        say(whole.rstrip("\n"))
        return 0
    say(
        screen.paint(f"The key for the tunnel: {identity}", "bold"),
        keys.fingerprint(public),
        "",
        screen.paint(f"Its line for ~{user}/.ssh/authorized_keys on the VPS:", "bold"),
        line,
        "",
        screen.paint("What sshd there must be told, or the key could do more than it should:", "bold"),
        block,
        screen.paint("All of it in one paste, into a shell on the VPS (it may be run again):", "bold"),
        whole,
    )
    aside("The last line it prints goes into homeport.toml, under [tunnel]. Then: homeport tunnel up")
    return 0


def up(
    *,
    to: str | None = None,
    port: int | None = None,
    host_key: str | None = None,
    identity: Path | None = None,
    remote: str | None = None,
    local: str | None = None,
    config: Path | None = None,
    json: bool = False,
) -> int:
    """Hold the tunnel open, in the foreground, until Ctrl-C.

    Args:
        to: the user on the VPS and the VPS, such as tunnel@vps.example; else [tunnel] to.
        port: where its sshd listens; else [tunnel] port, or 22.
        host_key: the key it must show, such as "ssh-ed25519 AAAA…"; else [tunnel] host_key.
        identity: the private key's file; else [tunnel] identity, or the one of `homeport tunnel key`.
        remote: where the VPS listens, such as 127.0.0.1:8462, or a Unix socket's path; else [tunnel] remote.
        local: the node that it leads to, such as 127.0.0.1:8461; else [tunnel] local, or where this configuration listens.
        config: the homeport.toml to read.
        json: print a line of JSON for each change of state, as `homeport tunnel status --json` does.
    """
    settings = load(config=config)
    told = _told(settings, to=to, port=port, host_key=host_key, identity=identity, remote=remote, local=local)
    if told.local.endswith(":0"):
        raise Usage("where the node listens is not known, for [server] listen has port 0; say where with --local HOST:PORT")
    folder = states.folder_of(settings.server.data)
    tunnel = _tunnel(settings, told)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locks.alone(folder / states.LOCK) as held:
        if held is None:
            raise Failed(f"a tunnel of this data folder runs already; see: homeport tunnel status ({settings.server.data})")
        if not json:
            say(f"Leading {told.to} {'at ' + told.remote + ' ' if told.kind == 'ssh' else ''}to {told.local}. Ctrl-C ends it.")
        from homeport import foreground

        with asyncio.Runner(loop_factory=foreground.loop_factory()) as runner:
            runner.run(_supervise(tunnel, told, folder, json=json))
    return 0


def status(*, config: Path | None = None, json: bool = False) -> int:
    """How the tunnel of this machine stands.

    Args:
        config: the homeport.toml whose data folder is looked at.
        json: print JSON.
    """
    settings = load(config=config)
    found = states.read(states.folder_of(settings.server.data), locks.held)
    if json:
        screen.print_json(msgspec.to_builtins(found))
    else:
        say(*lines(settings.tunnel, found))
    return 0


def lines(told: TunnelSettings | None, found: TunnelState, *, fresh: bool = False) -> list[str]:
    """A tunnel's state for people; `fresh`: it has just become so."""
    whom = f"to {told.to} " if told is not None and told.to else ""
    ago = f" for {screen.duration(time.time() - found.since)}" if found.since is not None and not fresh else ""
    trip = f", round trip {screen.duration(found.round_trip_ms / 1000)}" if found.round_trip_ms is not None else ""
    again = f", came back {screen.counted(found.reconnects, 'time')}" if found.reconnects else ""
    out = [screen.paint(f"The tunnel {whom}is {found.state}{ago}{trip}{again}", STYLES[found.state])]
    return [*out, f"  {screen.clean(found.reason)}"] if found.reason else out


def beside(config: Path | None) -> list[str]:
    """What is told with the gateway's own status: the tunnel of this machine, where one is configured and the gateway is this machine's."""
    if config is None and os.environ.get("HOMEPORT_URL", "").strip():
        return []
    settings = load(config=config)
    if settings.tunnel is None:
        return []
    return ["", *lines(settings.tunnel, states.read(states.folder_of(settings.server.data), locks.held))]


async def _supervise(tunnel: Tunnel, told: TunnelSettings, folder: Path, *, json: bool) -> None:
    from homeport.foreground import on_signals
    from homeport.front import descriptors
    from homeport.service.readiness import Readiness
    from homeport.tunnel.asking import Asking
    from homeport.tunnel.relay import Relay
    from homeport.tunnel.supervision import Supervisor

    descriptors.allow_more()
    ended = asyncio.Event()
    on_signals({"SIGINT": ended.set, "SIGTERM": ended.set, "SIGHUP": lambda: None})

    readiness = Readiness.found()

    def tell(state: TunnelState) -> None:
        readiness.say("READY=1", f"STATUS={state.state}{': ' + screen.clean(state.reason) if state.reason else ''}")
        if json:
            screen.print_json(msgspec.to_builtins(state))
        else:
            first, *rest = lines(told, state, fresh=True)
            aside(f"{time.strftime('%H:%M:%S')} {first}", *rest)

    evidence = Asking(tunnel.url) if tunnel.url is not None else Relay(told.local)
    supervisor = Supervisor(tunnel, evidence, folder, tell, probe_timeout_s=told.probe_timeout_s, beat=lambda: readiness.say("WATCHDOG=1"))
    await supervisor.run(ended)


def _told(
    settings: Settings,
    *,
    to: str | None = None,
    port: int | None = None,
    host_key: str | None = None,
    identity: Path | None = None,
    remote: str | None = None,
    local: str | None = None,
) -> TunnelSettings:
    """What [tunnel] says, where no flag says it. Raises Usage for a flag that will not do."""
    told = settings.tunnel or TunnelSettings(local=checks.node(settings.server.listen))
    ssh = told.kind == "ssh"
    if port is not None and not 0 < port < 65536:
        raise Usage(f"--port takes a port from 1 to 65535, not {port}")
    found = {
        name: _flag(name, check, value)
        for name, check, value in (
            ("to", checks.destination if ssh else checks.public, to),
            ("host_key", checks.host_key, host_key),
            ("remote", checks.remote, remote),
            ("local", checks.local, local),
        )
        if value is not None
    }
    more = {name: value for name, value in (("port", port), ("identity", identity and identity.expanduser().absolute())) if value is not None}
    return msgspec.structs.replace(told, **found, **more)


def _flag(name: str, check: object, value: str) -> str:
    assert callable(check)
    try:
        return str(check(value))
    except ValueError as error:
        raise Usage(f"--{name.replace('_', '-')} {error}") from None


def _tunnel(settings: Settings, told: TunnelSettings) -> Tunnel:
    """The tunnel that is meant. Raises Usage where something of it is not said."""
    if told.kind == "cloudflared":
        from homeport.tunnel.cloudflared import Cloudflared

        if told.to is None or told.token is None:
            raise Usage('a tunnel of kind "cloudflared" needs [tunnel] to, its public address, and token = { file = "PATH" }')
        return Cloudflared(url=told.to, token=told.token)
    from homeport.tunnel.ssh import Ssh

    if told.to is None:
        raise Usage('where should it lead? homeport tunnel up --to tunnel@vps.example, or [tunnel] to = "tunnel@vps.example"')
    identity = told.identity or states.folder_of(settings.server.data) / keys.NAME
    if not identity.is_file():
        raise Usage(f"there is no key at {identity}; make one, and let it in on the VPS, with: homeport tunnel key")
    if told.host_key is None:
        raise Usage(_unpinned(told.to, told.port, settings.path))
    return Ssh(to=told.to, port=told.port, host_key=told.host_key, identity=identity, remote=told.remote, folder=states.folder_of(settings.server.data))


def _unpinned(to: str, port: int, path: Path | None) -> str:
    """What to do where no host key is pinned."""
    from homeport.tunnel.ssh import scan

    host = to.partition("@")[2]
    shown = scan(host, port)
    where = f"under [tunnel] of {path or 'homeport.toml'}"
    own = "The script of `homeport tunnel key` prints it on the VPS"
    if shown is None:
        return f'no host key is pinned, and {host} port {port} shows none now. {own}; put it {where}: host_key = "ssh-ed25519 AAAA…"'
    return (
        f"no host key is pinned, so whoever answers at {host} would be believed. It shows {keys.fingerprint(shown)} now. {own}, as does "
        f'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; where they are the same, put this {where}: host_key = "{shown}"'
    )
