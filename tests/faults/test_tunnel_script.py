"""The script of `homeport tunnel key`, run as it is on this machine's real sshd, in a mount namespace of its own that keeps nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.tunnel import confinement, key
from tests.sshd import EXECUTABLE, free_port

COPIES = """set -eu
mount -t tmpfs tmpfs "$1"
for place in /etc /var/lib /run; do
    name=$(echo "$place" | tr / _)
    mkdir -p "$1/$name.up" "$1/$name.work"
    mount -t overlay overlay -o "lowerdir=$place,upperdir=$1/$name.up,workdir=$1/$name.work" "$place"
done
"""


def _apart(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where changes of /etc, /var/lib and /run are its own."""
    words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-s", str(folder)]
    environ = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    return subprocess.run(words, input=COPIES + script, capture_output=True, text=True, timeout=120, env=environ)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vps")
    if sys.platform != "linux" or os.geteuid() != 0 or EXECUTABLE is None or not Path("/etc/ssh/sshd_config.d").is_dir():
        pytest.skip("needs root, and a Debian's sshd")
    if shutil.which("useradd") is None or _apart(folder, "true\n").returncode != 0:
        pytest.skip("needs mount namespaces with overlays, and useradd")
    return folder


def _public(folder: Path) -> tuple[Path, str]:
    identity = key.make(folder)
    return identity, key.public(identity)


@pytest.mark.slow
def test_one_paste_makes_a_vps_and_a_second_changes_nothing(apart: Path, tmp_path: Path) -> None:
    identity, public = _public(tmp_path)
    remote, port = f"127.0.0.1:{free_port()}", free_port()
    pasted = confinement.script("tunnel-of-tests", remote, public)
    try_it = f"""
opts="-F none -i {identity} -p {port} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
{EXECUTABLE} -D -p {port} -o ListenAddress=127.0.0.1 > {tmp_path}/log 2>&1 &
daemon=$!
for turn in $(seq 200); do ssh-keyscan -p {port} 127.0.0.1 > /dev/null 2>&1 && break; sleep 0.05; done
ssh $opts -o ExitOnForwardFailure=yes -N -R {remote}:127.0.0.1:9 tunnel-of-tests@127.0.0.1 &
tunnel=$!
for turn in $(seq 200); do grep -qi ':{int(remote.partition(":")[2]):04X} .* 0A ' /proc/net/tcp && echo bound && break; sleep 0.05; done
kill $tunnel
ssh $opts tunnel-of-tests@127.0.0.1 'echo pwned' || echo "no command"
ssh $opts -W 127.0.0.1:{port} tunnel-of-tests@127.0.0.1 < /dev/null || echo "no way in"
kill $daemon
"""
    look = "find /etc/ssh /var/lib/tunnel-of-tests -type f -exec md5sum {} + | sort"
    done = _apart(apart, "\n".join([pasted, look, "echo ---", pasted, look, try_it]))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("---\n")
    host_key = f'host_key = "{" ".join(Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()[:2])}"'
    assert host_key in first
    assert second.startswith(first)
    assert second[len(first) :].splitlines() == ["bound", "no command", "no way in"], done.stderr
    assert "tunnel-of-tests" not in Path("/etc/passwd").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "user", "said"),
    [
        ("", "root", "the user root is there already"),
        ("", "www-data", "the user www-data is there already"),
        ("sed -i '/Include/d' /etc/ssh/sshd_config", "t", "put this line at the top of /etc/ssh/sshd_config first"),
        (
            "printf 'Match User t\\n    AllowTcpForwarding yes\\n' > /etc/ssh/sshd_config.d/0-other.conf",
            "t",
            'another part of sshd\'s configuration undoes "allowtcpforwarding remote" for the user t',
        ),
        ("echo 'Nonsense yes' > /etc/ssh/sshd_config.d/zz-other.conf", "t", "sshd does not take the configuration"),
    ],
)
def test_what_would_do_harm_is_not_done(apart: Path, tmp_path: Path, before: str, user: str, said: str) -> None:
    pasted = confinement.script(user, "127.0.0.1:8462", _public(tmp_path)[1])
    done = _apart(
        apart, f"set +e\n{before}\n{pasted}\n[ $? = 0 ] || echo failed\ncat /etc/ssh/sshd_config.d/00-homeport-tunnel.conf 2> /dev/null || echo untouched\n"
    )
    assert said in done.stderr
    assert done.stdout.splitlines() == ["failed", "untouched"]


def test_no_key_is_let_in_where_sshd_would_not_confine_it(apart: Path, tmp_path: Path) -> None:
    other = "printf 'Match User t\\n    AllowTcpForwarding yes\\n' > /etc/ssh/sshd_config.d/0-other.conf"
    pasted = confinement.script("t", "127.0.0.1:8462", _public(tmp_path)[1])
    done = _apart(apart, f"set +e\n{other}\n{pasted}\nfind /var/lib/t -type f 2> /dev/null\necho end\n")
    assert "another part of sshd's configuration" in done.stderr
    assert done.stdout == "end\n"


def test_a_sockets_folder_is_made_and_never_taken_from_another(apart: Path, tmp_path: Path) -> None:
    """The folder becomes the tunnel's user's: /etc or /tmp must not."""
    pasted = confinement.script("t", "/run/ours/home.sock", _public(tmp_path)[1])
    look = "stat -c '%U %a' /run/ours; cat /etc/tmpfiles.d/homeport-tunnel.conf"
    first, second = _apart(apart, "\n".join([pasted, look, "echo ---", pasted, look])).stdout.split("---\n")
    assert first == second
    assert first.splitlines()[-2:] == ["t 755", "d /run/ours 0755 t t -"]
    done = _apart(apart, f"set +e\nmkdir -m 711 /run/ours\n{pasted}\nstat -c '%U %a' /run/ours; find /var/lib/t -type f 2> /dev/null\n")
    assert "/run/ours is there already, for something else" in done.stderr
    assert done.stdout == "root 711\n"


def test_the_script_is_posix_sh() -> None:
    for remote in ("127.0.0.1:8462", "/run/homeport/home.sock"):
        for shell in ("sh", "dash", "bash"):
            if shutil.which(shell):
                pasted = confinement.script("tunnel", remote, "ssh-ed25519 AAAA homeport-tunnel")
                assert subprocess.run([shell, "-n"], input=pasted, text=True, capture_output=True).stderr == ""
