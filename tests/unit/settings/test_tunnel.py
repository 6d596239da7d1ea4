"""`[tunnel]`: what it takes, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import Settings, TunnelSettings, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"


def read(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "homeport.toml").write_text(text, encoding="utf-8")
    return load(config=folder / "homeport.toml", environ={"HOME": str(folder)} | environ)


def section(folder: Path, text: str, **environ: str) -> TunnelSettings:
    found = read(folder, f"[tunnel]\n{text}\n", **environ).tunnel
    assert found is not None
    return found


def problem(folder: Path, text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        section(folder, text)
    return str(caught.value)


def test_without_the_section_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, "").tunnel is None


def test_an_empty_section_has_the_defaults(tmp_path: Path) -> None:
    assert section(tmp_path, "") == TunnelSettings()


def test_all_of_it(tmp_path: Path) -> None:
    text = f'to = "tunnel@vps.example"\nport = 2222\nhost_key = "{KEY} root@vps"\nidentity = "key"\n'
    found = section(tmp_path, text + 'remote = "127.0.0.1:9000"\nlocal = "[::1]:8000"\nprobe_timeout_s = 9')
    assert found == TunnelSettings(
        to="tunnel@vps.example",
        port=2222,
        host_key=KEY,
        identity=tmp_path / "key",
        remote="127.0.0.1:9000",
        local="[::1]:8000",
        probe_timeout_s=9.0,
    )


@pytest.mark.parametrize(
    ("listen", "local"),
    [("127.0.0.1:9000", "127.0.0.1:9000"), (":9000", "127.0.0.1:9000"), ("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9"), ("10.0.0.2:9", "10.0.0.2:9")],
)
def test_it_leads_to_where_this_node_listens(tmp_path: Path, listen: str, local: str) -> None:
    found = read(tmp_path, f'[server]\nlisten = "{listen}"\n[tunnel]\n').tunnel
    assert found is not None and found.local == local


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("vps.example", "the user is missing"),
        ("@vps.example", "the user is missing"),
        ("tunnel@", "is no host"),
        ("tunnel@-oProxyCommand=id", "is no host"),
        ("tunnel@vps.example:22", "the port goes to the key port"),
        ("-l@vps", "is no user name"),
        ("a b@vps", "is no user name"),
        ("tunnel@vps;id", "is no host"),
        ("tunnel@$(id)", "is no host"),
    ],
)
def test_where_it_leads_is_a_user_and_a_host(tmp_path: Path, value: str, said: str) -> None:
    assert said in problem(tmp_path, f'to = "{value}"')


@pytest.mark.parametrize("value", ["t@vps", "t@10.0.0.1", "t@::1", "t@[2001:db8::1]", "a.b-c_d@a-b.example"])
def test_hosts_of_all_kinds(tmp_path: Path, value: str) -> None:
    assert section(tmp_path, f'to = "{value}"').to == value.replace("[", "").replace("]", "")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ssh-ed25519 AAAA", "is no whole key"),
        (KEY[:-4], "is no whole key"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "of another type"),
        ("SHA256:abc", "takes the public key of the host"),
        ("ssh-dss AAAA", "takes the public key of the host"),
        (KEY + "*", "is no whole key"),
    ],
)
def test_a_host_key_is_a_whole_one(tmp_path: Path, value: str, said: str) -> None:
    assert said in problem(tmp_path, f'host_key = "{value}"')


def test_a_host_key_may_be_a_line_of_known_hosts(tmp_path: Path) -> None:
    assert section(tmp_path, f'host_key = "vps.example {KEY}"').host_key == KEY


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.0.0.0:8462", "a port of the VPS's loopback"),
        (":8462", "a port of the VPS's loopback"),
        ("10.0.0.1:8462", "a port of the VPS's loopback"),
        ("127.0.0.1:0", "a port from 1 to 65535"),
        ("8462", 'did you mean "127.0.0.1:8462"'),
        ("/run/a'b", "the path of a Unix socket"),
        ("/run/a b", "the path of a Unix socket"),
        ("/run/$(id)", "the path of a Unix socket"),
        ("/" + "x" * 120, "the path of a Unix socket"),
        ("/home.sock", "in a folder of its own"),
        ("/tmp/home.sock", "in a folder of its own"),
        ("/run/a/../../etc/x.sock", "in a folder of its own"),
        ("/run/homeport/", "in a folder of its own"),
        ("127.0.0.2:8462", "a port of the VPS's loopback"),
    ],
)
def test_it_is_bound_on_loopback_only(tmp_path: Path, value: str, said: str) -> None:
    assert said in problem(tmp_path, f'remote = "{value}"')


def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    assert section(tmp_path, 'remote = "/run/homeport/home.sock"').remote == "/run/homeport/home.sock"


@pytest.mark.parametrize(("text", "said"), [("port = 70000", "from 1 to 65535"), ('local = ":1"', "takes HOST:PORT of the node"), ("host-key = 1", "host_key")])
def test_other_mistakes(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


def test_cloudflared_takes_an_address_and_a_token_and_neither_is_shown(tmp_path: Path) -> None:
    found = section(tmp_path, 'kind = "cloudflared"\nto = "https://home.example/"\ntoken = { env = "TOKEN" }', TOKEN="c4nary")
    assert (found.kind, found.to, found.token) == ("cloudflared", "https://home.example", "c4nary")
    assert "c4nary" not in repr(found)
    (tmp_path / "token").write_text("c4nary\n", encoding="ascii")
    assert section(tmp_path, 'kind = "cloudflared"\ntoken = { file = "token" }').token == "c4nary"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "cloudflared"\nto = "http://home.example"', "the public address of the tunnel"),
        ('kind = "cloudflared"\nto = "t@vps"', "user name or password"),
        ('kind = "cloudflared"\nhost_key = "k"', 'tunnel.host_key is not for kind = "cloudflared"'),
        ('token = { env = "T" }', 'tunnel.token is not for kind = "ssh"'),
        ('kind = "cloudflared"\ntoken = "literal"', "takes a table"),
        ('kind = "wireguard"', "takes ssh or cloudflared"),
    ],
)
def test_each_kind_has_its_own_keys(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)
