"""What the VPS lets the tunnel's key do: listen at one place of its loopback, and nothing else.

The line of authorized_keys alone does not hold a thief: with `restrict,permitlisten` the key could still open ways from its own side
to whatever listens on the VPS. What closes them is sshd's, in a `Match User` block for a user that has no other use.
Words as in sshd(8) and sshd_config(5) of OpenSSH.
"""

from __future__ import annotations

from pathlib import PurePosixPath

NOTHING = "/bin/false"
NOWHERE = "127.0.0.1:1"  # authorized_keys has no word for "to nowhere": the only place that may be opened is one where nobody listens
DROP_IN = "/etc/ssh/sshd_config.d/00-homeport-tunnel.conf"


def is_socket(remote: str) -> bool:
    """Whether what is bound on the VPS is a Unix socket."""
    return remote.startswith("/")


def authorized(public_key: str, remote: str) -> str:
    """The line of the user's authorized_keys."""
    listen = NOWHERE if is_socket(remote) else remote
    return f'restrict,port-forwarding,permitlisten="{listen}",permitopen="{NOWHERE}",command="{NOTHING}" {public_key}'


def sshd_block(user: str, remote: str) -> str:
    """What goes into sshd's configuration, lines with their ends."""
    if is_socket(remote):
        about = f"a Unix socket, such as {remote}"
        # sockets pass by AllowTcpForwarding and PermitListen too (sshd's channels.c): the one must allow, the other name a port that nobody but root may take
        forwarding = [
            "AllowTcpForwarding remote",
            f"PermitListen {NOWHERE}",
            "AllowStreamLocalForwarding remote",
            "StreamLocalBindUnlink yes",
            "StreamLocalBindMask 0111",
        ]
    else:
        about = remote
        forwarding = ["AllowTcpForwarding remote", f"PermitListen {remote}", "AllowStreamLocalForwarding no"]
    lines = [
        *forwarding,
        "PermitOpen none",
        "GatewayPorts no",
        "AllowAgentForwarding no",
        "X11Forwarding no",
        "PermitTunnel no",
        "MaxSessions 0",
        f"ForceCommand {NOTHING}",
        "PermitTTY no",
        "PermitUserRC no",
        "AuthenticationMethods publickey",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        # sshd 9.2 looks at this clock only when nothing else has happened for a whole interval: a longer one never ends where the port is asked often
        "ClientAliveInterval 1",
        "ClientAliveCountMax 3",
    ]
    head = f"# Homeport's tunnel: this user may listen at {about}, and do nothing else.\n# A connection that is gone is noticed within seconds.\n"
    return head + f"Match User {user}\n" + "".join(f"    {line}\n" for line in lines) + "Match all\n"


def holds(remote: str) -> list[str]:
    """Lines of `sshd -T` that must be there for the block to be in force, whatever else sshd is told."""
    sockets, listen = ("remote", NOWHERE) if is_socket(remote) else ("no", remote)
    return [
        "allowtcpforwarding remote",
        f"allowstreamlocalforwarding {sockets}",
        f"permitlisten {listen}",
        "permitopen none",
        "maxsessions 0",
        "permittunnel no",
        "gatewayports no",
        f"forcecommand {NOTHING}",
    ]


def script(user: str, remote: str, public_key: str) -> str:
    """What is pasted into a shell on the VPS: POSIX sh, for root, and it may be run again. Its last line shows the host key to pin."""
    checks = "\n".join(f"    has '{line}'" for line in holds(remote))
    return _SCRIPT.format(
        user=user,
        remote=remote,
        line=authorized(public_key, remote),
        block=sshd_block(user, remote),
        drop_in=DROP_IN,
        checks=checks,
        place=_PLACE.format(folder=PurePosixPath(remote).parent) if is_socket(remote) else "",
    )


_PLACE = """
[ ! -e '{folder}' ] || [ -n "$(find '{folder}' -prune -user "$user")" ] ||
    stop "{folder} is there already, for something else; give the socket a folder of its own, such as remote = \\"/run/homeport-tunnel/home.sock\\""
mkdir -p '{folder}' /etc/tmpfiles.d
chown "$user" '{folder}'
chmod 755 '{folder}'
case '{folder}' in
/run/*|/var/run/*) echo "d {folder} 0755 $user $user -" > /etc/tmpfiles.d/homeport-tunnel.conf ;;
esac
"""

_SCRIPT = """$(command -v sudo) sh -eu <<'HOMEPORT'
# Lets one key listen at {remote} of this machine, and do nothing else. It may be run again.
PATH=$PATH:/usr/sbin:/sbin
user='{user}'
conf='{drop_in}'
stop() {{ echo "homeport: $*" >&2; exit 1; }}

[ "$(id -u)" = 0 ] || stop "this needs root"
command -v sshd > /dev/null || stop "there is no sshd here (Debian: apt-get install openssh-server)"
grep -Eiq '^[[:space:]]*Include[[:space:]]+"?(/etc/ssh/)?sshd_config\\.d/' /etc/ssh/sshd_config ||
    stop "put this line at the top of /etc/ssh/sshd_config first: Include /etc/ssh/sshd_config.d/*.conf"
home="/var/lib/$user"
if entry=$(getent passwd "$user"); then
    case "$entry" in
    *:"$home":*/nologin|*:"$home":*/false) ;;
    *) stop "the user $user is there already, for something else, and would lose it; give the tunnel one of its own, such as to = \\"homeport-tunnel@...\\"" ;;
    esac
else
    useradd --system --user-group --no-create-home --home-dir "$home" --shell "$(command -v nologin || echo /bin/false)" "$user"
fi
usermod -p '*' "$user"  # no password opens it; "!" would lock its key out as well
{place}
mkdir -p "${{conf%/*}}" /run/sshd
[ ! -e "$conf" ] || cp -p "$conf" "$conf.before"
back() {{ if [ -e "$conf.before" ]; then mv "$conf.before" "$conf"; else rm -f "$conf"; fi; stop "$*; $conf is as it was"; }}
cat > "$conf" <<'BLOCK'
{block}BLOCK
told=$(sshd -t 2>&1) || back "sshd does not take the configuration: $told"
force=$(sshd -T -C "user=$user,host=localhost,addr=127.0.0.1")
has() {{ echo "$force" | grep -Fxiq "$1" || back "another part of sshd's configuration undoes \\"$1\\" for the user $user"; }}
{checks}
rm -f "$conf.before"

if [ -d /run/systemd/system ]; then
    for unit in ssh sshd; do
        if systemctl is-active --quiet "$unit"; then systemctl reload "$unit"; break; fi
    done
elif [ -s /run/sshd.pid ]; then
    kill -HUP "$(cat /run/sshd.pid)"
fi
# the key comes last: it is let in by an sshd that confines it already
mkdir -p "$home/.ssh"
cat > "$home/.ssh/authorized_keys" <<'KEY'
{line}
KEY
chown root:root "$home" "$home/.ssh" "$home/.ssh/authorized_keys"
chmod 755 "$home" "$home/.ssh"
chmod 644 "$home/.ssh/authorized_keys"
[ -s /etc/ssh/ssh_host_ed25519_key.pub ] || ssh-keygen -A > /dev/null
echo "The VPS is ready. At home, this goes into homeport.toml under [tunnel]:"
echo "host_key = \\"$(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)\\""
HOMEPORT
"""
