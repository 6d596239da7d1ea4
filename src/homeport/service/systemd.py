"""systemd: units of the system and of a user, with as little to reach as a gateway can do with.

Directives: systemd.service(5), systemd.exec(5), sysusers.d(5). What each part of the sandbox is for is in docs/service.md.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from homeport.errors import HomeportError
from homeport.service.job import ABOUT, NAMES, Job, Name

UNITS = Path("/etc/systemd/system")
SYSUSERS = Path("/etc/sysusers.d/homeport.conf")
ETC = Path("/etc/homeport")
ACCOUNT = "homeport"
STATE = Path("/var/lib/homeport")
RUNNING = Path("/run/systemd/system")
HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
WATCHDOG_S: dict[Name, int] = {"gateway": 30, "tunnel": 60}  # without a word for so long: started anew
USERS_OFF = {  # where these hold such a value, a user's own systemd cannot build a sandbox
    Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"): "1",
    Path("/proc/sys/kernel/unprivileged_userns_clone"): "0",
    Path("/proc/sys/user/max_user_namespaces"): "0",
}

NARROW = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""
APART = """\
CapabilityBoundingSet=
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=all
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
"""
SYSTEM_ONLY = """\
AmbientCapabilities=
DevicePolicy=closed
KeyringMode=private
ProtectKernelLogs=yes
RemoveIPC=yes
"""


def quoted(word: str) -> str:
    """A word of a setting as systemd reads it back. Raises HomeportError for what no line of a unit can hold."""
    if not word.isprintable():
        raise HomeportError(f"{word!r} has a character that a unit of systemd cannot hold: rename it")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if not escaped or any(c in escaped for c in " \"'\\;:") else escaped  # in BindPaths= a bare colon parts two paths


def commanded(words: tuple[str, ...]) -> str:
    """A command line: behind the program's own name `$` has a meaning, too."""
    return " ".join([quoted(words[0]), *(quoted(word).replace("$", "$$") for word in words[1:])])


class Systemd:
    """systemd, as one machine has it; `root` stands before the paths of the system's files."""

    name = "systemd"

    def __init__(self, *, environ: Mapping[str, str] = os.environ, running: Path = RUNNING, sandbox: bool | None = None) -> None:
        self._environ = environ
        self._running = running
        self._sandbox = _can_build() if sandbox is None else sandbox

    def absent(self, job: Job) -> str | None:
        if not self._running.is_dir():
            return "systemd does not run on this machine"
        mine = Path(self._environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "systemd", "private")
        if job.scope == "user" and not mine.exists():
            return "this user has no systemd of its own in this session (a login by ssh or at the machine has one; su and sudo have none)"
        return None

    def files(self, job: Job) -> dict[Path, bytes]:
        found = {self.unit(job): self.text(job).encode()}
        if job.scope == "system":
            found[SYSUSERS] = f'# The account of Homeport\'s services.\nu {ACCOUNT} - "Homeport" {STATE}\n'.encode()
        return found

    def shared(self, job: Job) -> set[Path]:
        others = [self.unit(_called(job, name)) for name in NAMES if name != job.name]
        return {SYSUSERS} if job.scope == "system" and any(path.exists() for path in others) else set()

    def unit(self, job: Job) -> Path:
        """Where its unit stands."""
        if job.scope == "system":
            return UNITS / f"{_service(job)}"
        told = self._environ.get("XDG_CONFIG_HOME", "")
        config = Path(told) if os.path.isabs(told) else Path(self._environ.get("HOME", "~")).expanduser() / ".config"
        return config / "systemd" / "user" / _service(job)

    def text(self, job: Job) -> str:
        """Its unit."""
        system = job.scope == "system"
        lines = [
            f"# Written by: homeport service install {job.name} --{job.scope}",
            f"# Changes of yours belong beside it: {_ctl(job)} edit {_service(job)}",
            "[Unit]",
            f"Description={ABOUT[job.name]}",
            *(["Wants=network-online.target", "After=network-online.target"] if system else []),
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            f"Type=notify\nWatchdogSec={WATCHDOG_S[job.name]}",
            f"ExecStart={commanded(job.command)}",
        ]
        if job.name == "gateway":
            lines.append(f"ExecReload={commanded((*job.program, 'config', 'reload', *job.flags))}")
        lines += [
            "Restart=always",
            "RestartSec=2",
            "RestartPreventExitStatus=2",  # a configuration that cannot be used does not mend itself
            f"TimeoutStopSec={math.ceil(job.stop_s)}",
            "KillMode=mixed",
            "OOMPolicy=continue",
            "LimitNOFILE=65536",
            "SyslogIdentifier=homeport",
            f"EnvironmentFile=-{ETC if system else '%h/.config/homeport'}/environment",
            *_places(job),
            "",
            *NARROW.splitlines(),
            *(APART.splitlines() if system or self._sandbox else []),
            *(SYSTEM_ONLY.splitlines() if system else []),
            "",
            "[Install]",
            f"WantedBy={'multi-user' if system else 'default'}.target",
            "",
        ]
        return "\n".join(lines)

    def start(self, job: Job, *, changed: bool) -> list[list[str]]:
        ctl, service = _ctl(job).split(), _service(job)
        account = [["systemd-sysusers", str(SYSUSERS)]] if job.scope == "system" else []
        again = [[*ctl, "restart", service]] if changed else []
        return [*account, [*ctl, "daemon-reload"], [*ctl, "enable", "--now", service], *again]

    def stop(self, job: Job) -> list[list[str]]:
        return [[*_ctl(job).split(), "disable", "--now", _service(job)]]

    def forget(self, job: Job) -> list[list[str]]:
        ctl = _ctl(job).split()
        return [[*ctl, "daemon-reload"], [*ctl, "reset-failed", _service(job)]]

    def then(self, job: Job) -> list[str]:
        journal = "journalctl --user" if job.scope == "user" else "journalctl"
        found = [f"homeport service status {job.name} --{job.scope}", f"{journal} -u {_service(job)} -f"]
        if job.scope == "user":
            return [f"loginctl enable-linger   # else it runs only while {self._environ.get('USER', 'you')} is logged in", *found]
        words = ["keys add NAME", "tunnel status"][job.name == "tunnel"]
        environment = "" if job.data is not None else f"env HOMEPORT_DATA={STATE} "
        return [*found, f"sudo -u {ACCOUNT} {environment}{job.program[0]} {words} {' '.join(job.flags)}".rstrip()]

    def query(self, job: Job) -> list[str]:
        wanted = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,StatusText,ActiveEnterTimestamp"
        return [*_ctl(job).split(), "show", _service(job), f"--property={wanted}"]

    def state(self, job: Job, code: int, said: str) -> tuple[str, str]:
        found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        if code or not found:
            return "unknown", f"systemd does not say: {' '.join(said.split()) or f'exit status {code}'}"
        if found.get("LoadState") == "not-found":
            return "missing", f"not installed: homeport service install {job.name} --{job.scope}"
        active, boot = found.get("ActiveState", "?"), "starts at boot" if found.get("UnitFileState") == "enabled" else "does not start at boot"
        if active == "active":
            told = f", {found['StatusText'][0].lower()}{found['StatusText'][1:]}" if found.get("StatusText") else ""
            return "running", f"running since {found.get('ActiveEnterTimestamp', '?')}, pid {found.get('MainPID', '?')}{told}; {boot}"
        if active == "failed":
            return "failed", f"failed ({found.get('Result', '?')}); {boot}. Why: journalctl {'--user ' * (job.scope == 'user')}-u {_service(job)} -n 20"
        word = "starting" if active in ("activating", "reloading") else "stopped"
        return word, f"{word} ({found.get('SubState', '?')}, restarted {found.get('NRestarts', '?')} times); {boot}"

    def left(self, job: Job) -> list[str]:
        folder = self.unit(job).with_name(f"{_service(job)}.d")
        found = [f"{folder} (changes of yours): rm -r {folder}"] if folder.exists() else []
        if job.scope == "system" and not self.shared(job) and STATE.exists():
            found.append(f"{STATE} and the account {ACCOUNT} that owns it (journal, keys): rm -r {STATE} && userdel {ACCOUNT}")
        return found


def _places(job: Job) -> list[str]:
    """What it may see of homes, and where it may write."""
    if job.scope == "user":
        told = [f"Environment={quoted(f'{name}={value}')}" for name, value in job.environment.items()]
        return [*told, *([f"ReadWritePaths={quoted(str(job.data))}"] if job.data is not None else [])]
    found = [f"User={ACCOUNT}", f"Group={ACCOUNT}", "StateDirectory=homeport", "StateDirectoryMode=0700", f"WorkingDirectory={STATE}"]
    if job.data is None:
        found.append(f"Environment=HOMEPORT_DATA={STATE}")
    elif not job.data.is_relative_to(STATE):
        found.append(f"ReadWritePaths={quoted(str(job.data))}")
    wanted = (*job.needs, job.config.parent if job.config is not None else None, job.data)
    inside = [path for path in wanted if path is not None and any(path.is_relative_to(home) for home in HOMES)]
    if not inside:
        return [*found, "ProtectHome=yes"]
    return [*found, "ProtectHome=tmpfs", *(f"{'BindPaths' if path == job.data else 'BindReadOnlyPaths'}={quoted(str(path))}" for path in inside)]


def _can_build() -> bool:
    """Whether a user's own systemd may build a sandbox here: unprivileged user namespaces."""
    for path, off in USERS_OFF.items():
        try:
            if path.read_text(encoding="ascii").strip() == off:
                return False
        except OSError:
            continue
    return True


def _ctl(job: Job) -> str:
    return "systemctl --user" if job.scope == "user" else "systemctl"


def _service(job: Job) -> str:
    return f"homeport-{job.name}.service"


def _called(job: Job, name: str) -> Job:
    return Job(name=name, scope=job.scope, program=job.program)  # type: ignore[arg-type]  # one of NAMES
