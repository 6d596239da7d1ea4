"""deploy/vps.sh makes a bare Debian with a real systemd a front door; its service is sandboxed, watched, reloaded, ended and removed there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.faults.debian import Debian, lacking
from tests.figures import THOROUGH

WHY = lacking() or (None if THOROUGH else "takes minutes: HOMEPORT_THOROUGH=1")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY is not None, reason=str(WHY))]

PACKAGES = ("nginx", "openssl", "ca-certificates", "libgomp1", "python3-venv")
VPS = "sh /opt/given/deploy/vps.sh --name home.example --wheel /opt/given/*.whl --wheels /opt/given/wheels"
ODD = "'/home/a $b %c:d\"e'"
ASK = """
import json, ssl, socket, sys
context = ssl.create_default_context(cafile="/etc/homeport/tls/own-home.example.pem")
body = json.dumps({"model": "pilot", "messages": [{"role": "user", "content": "Where is my parcel?"}]})
with context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 30), server_hostname="home.example") as wire:
    wire.sendall(f"POST /v1/chat/completions HTTP/1.0\\r\\nhost: home.example\\r\\nauthorization: Bearer {sys.argv[1]}\\r\\n"
                 f"content-length: {len(body)}\\r\\n\\r\\n{body}".encode())
    print(wire.makefile("rb").read().decode())
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    folder = tmp_path_factory.mktemp("machine")
    debian = Debian(folder, PACKAGES)
    given = debian.root / "opt" / "given"
    given.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "download", "--require-hashes", "-r", str(ROOT / "requirements.lock"), "-d", str(given / "wheels")], check=True, timeout=600)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(given), str(ROOT)], check=True, timeout=600)
    shutil.copytree(ROOT / "deploy", given / "deploy")
    (given / "ask.py").write_text(ASK, encoding="utf-8")
    with debian:
        yield debian


def test_from_nothing_to_a_front_door_and_back(machine: Debian) -> None:
    out = machine.said(VPS)
    key = next(line.strip() for line in out.splitlines() if line.strip().startswith("hp_"))
    assert "The front door serves https://home.example" in out

    # It serves from within the sandbox, the engine included.
    machine.until(f"python3 /opt/given/ask.py {key} | grep -q '^HTTP/1.1 200 '")
    assert "x-homeport-backend: pilot" in machine.said(f"python3 /opt/given/ask.py {key}")
    assert float(machine.said("systemd-analyze security homeport-gateway | tail -n 1").rpartition("service: ")[2].split()[0]) <= 2.5
    status = machine.said("cat /proc/$(systemctl show homeport-gateway -p MainPID --value)/status")
    assert "NoNewPrivs:\t1" in status and "CapBnd:\t0000000000000000" in status and "Seccomp:\t2" in status
    assert machine.said("ss -lntH | grep -E ':(80|443) ' | wc -l") == "2"
    assert "[::]:80" not in machine.said("ss -lntH"), "port 80 takes IPv4, too"

    # A second run changes nothing, and restarts nothing.
    pid = machine.said("systemctl show homeport-gateway -p MainPID --value")
    again = machine.said(VPS)
    assert "hp_" not in again and "Installing" not in again
    assert machine.said("systemctl show homeport-gateway -p MainPID --value") == pid

    # What somebody changed in the site stays; a site that nginx does not take is taken back.
    machine.said("echo '# mine' >>/etc/nginx/sites-available/homeport")
    assert "has changes of yours and stays" in machine.said(VPS)
    assert machine.said("tail -n 1 /etc/nginx/sites-available/homeport") == "# mine"
    machine.said("cd /etc/nginx && mv sites-available/homeport.new sites-available/homeport && rm sites-enabled/homeport")
    machine.said("echo 'server { listen [::]:80 ipv6only=on; }' >/etc/nginx/conf.d/other.conf && nginx -t")
    assert "nginx does not take the site" in machine.run(VPS).stderr
    machine.said("nginx -t && ! test -e /etc/nginx/sites-enabled/homeport")
    machine.said("rm /etc/nginx/conf.d/other.conf")
    machine.said(VPS)

    # A bad file is refused when it is reloaded; a good one is taken.
    machine.said('sed -i \'s/"pilot"/"pilott"/\' /etc/homeport/homeport.toml')
    assert machine.run("systemctl reload homeport-gateway").returncode != 0
    assert "did you mean" in machine.said("journalctl -u homeport-gateway -o cat --no-pager -n 10")
    machine.said("sed -i 's/pilott/pilot/' /etc/homeport/homeport.toml && systemctl reload homeport-gateway")
    assert machine.said("systemctl show homeport-gateway -p MainPID --value") == pid

    # One that stands still is started anew.
    machine.said(f"kill -STOP {pid}")
    machine.until(f"systemctl is-active -q homeport-gateway && [ $(systemctl show homeport-gateway -p MainPID --value) != {pid} ]", 120)
    assert "Failed with result 'watchdog'" in machine.said("journalctl -u homeport-gateway -o cat --no-pager")
    machine.until(f"python3 /opt/given/ask.py {key} | grep -q '^HTTP/1.1 200 '")

    # It ends well, and goes.
    machine.said("systemctl stop homeport-gateway")
    assert machine.said("systemctl show homeport-gateway -p Result --value") == "success"
    assert "gateway_off" in machine.said(f"python3 /opt/given/ask.py {key}")
    assert "Left: /var/lib/homeport" in machine.said("homeport service remove gateway")
    assert machine.said("find /etc/systemd /etc/sysusers.d -name '*homeport*'") == ""
    assert machine.said("homeport service status gateway").startswith("gateway: not installed")

    # A path may have any character that can be printed.
    machine.said(f"mkdir -p {ODD} && install -d -o homeport {ODD}/data && printf '[server]\ndata = \"data\"\n' >{ODD}/homeport.toml")
    machine.said(f"homeport service install gateway --system --config {ODD}/homeport.toml")
    assert machine.said("systemctl is-active homeport-gateway") == "active"
    machine.until(f"ls {ODD}/data | grep -q journal")
    machine.said("homeport service remove gateway")
