"""What deploy/vps.sh does to an nginx that has sites already: the real nginx, on a copy of its configuration in a mount namespace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.front_door import self_signed
from tests.nginx import EXECUTABLE

ETC = Path("/etc/nginx/sites-available/default")
WHY = "needs Linux, root, and Debian's nginx" if sys.platform != "linux" or os.geteuid() != 0 or EXECUTABLE is None or not ETC.exists() else None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY is not None or shutil.which("unshare") is None, reason=str(WHY))]

BEFORE = """
set -eu
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs own /opt && mkdir /opt/homeport
cp -a /etc/nginx {folder}/etc && mount --bind {folder}/etc /etc/nginx && mount -t tmpfs own /run
say() {{ printf '%s\\n' "$*"; }}
fail() {{ printf 'vps.sh: %s\\n' "$*"; exit 1; }}
here={deploy} name=home.example rate=10 burst=40 open=16 insiders='' pages={folder} challenges={folder} https=8443 http=8080
public={public} private={private} site=/etc/nginx/sites-available/homeport enabled=/etc/nginx/sites-enabled
rm -f $enabled/* /etc/nginx/conf.d/* && ln -s {default} $enabled/default
{functions}
"""


def ran(folder: Path, script: str) -> list[str]:
    """What the script says, which calls `front` as vps.sh does."""
    [functions] = re.findall(r"^site\(\) \{.*?^(?=front$)", (ROOT / "deploy" / "vps.sh").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    public, private = self_signed(folder)
    before = BEFORE.format(folder=folder, deploy=ROOT / "deploy", public=public, private=private, default=ETC, functions=functions)
    done = subprocess.run(["unshare", "--mount", "sh", "-c", before + script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_second_time_follows_the_options_and_keeps_what_somebody_changed(tmp_path: Path) -> None:
    said = ran(
        tmp_path,
        "front; ls $enabled; rate=20; front; grep -c rate=20r/s $site; echo '# mine' >>$site; rate=30; front; tail -n 1 $site; ls $site.new; nginx -t -q",
    )
    assert said[:2] == ["homeport", "1"], "Debian's own page, as it came, makes room"
    assert said[2].startswith("Note: /etc/nginx/sites-available/homeport has changes of yours and stays")
    assert said[3:] == ["# mine", "/etc/nginx/sites-available/homeport.new"]


def test_what_nginx_does_not_take_is_taken_back(tmp_path: Path) -> None:
    other = "echo 'server { listen 8080 rcvbuf=4k; }' >/etc/nginx/conf.d/other.conf"
    first = ran(tmp_path, f"{other}; http='8080 sndbuf=4k'; (front) || ls $enabled; nginx -t -q")
    assert "nginx goes on as it was" in first[0] and first[1:] == ["default"]


def test_an_update_that_nginx_does_not_take_is_taken_back(tmp_path: Path) -> None:
    said = ran(tmp_path, "front; (private=/nonexistent; front) || grep -c nonexistent $site || nginx -t -q; rate=20; front; grep -c rate=20r/s $site")
    assert "nginx goes on as it was" in said[0]
    assert said[1:] == ["0", "1"], "and the next one is not taken for somebody's change"


def test_a_default_site_that_somebody_changed_stays(tmp_path: Path) -> None:
    assert ran(tmp_path, f"echo '# mine' >>{ETC}; front; ls $enabled") == ["default", "homeport"]
