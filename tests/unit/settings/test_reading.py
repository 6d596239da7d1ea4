"""The settings: precedence, defaults, secrets, and every problem with its line and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import BackendSettings, RouteSettings, Settings, load

HOME = '[backends.home]\nkind = "openai"\nurl = "http://127.0.0.1:11434"\n'
FULL = """\
[server]
listen = "127.0.0.1:8461"
data = "data"
max_body_mb = 16
drain_timeout_s = 5.5
[backends.home]
kind = "openai"
url = "http://127.0.0.1:11434/v1/"
api_key = { env = "HOME_TOKEN" }
location = "local"
max_in_flight = 3
queue = 0
queue_timeout_s = 0
assemble = false
connect_timeout_s = 1
first_token_timeout_s = 2
idle_timeout_s = 4
total_timeout_s = 8
[backends.cloud]
kind = "openai"
url = "https://api.example.com/v1"
location = "cloud"
api_key = { file = "cloud.key" }
[backends.box]
kind = "engine"
model = "box.gguf"
slots = 2
context = 512
[models.assistant]
routes = [
  { backend = "home", model = "qwen3.5:latest", while_in_flight_below = 2 },
  { backend = "box" },
  { backend = "pilot" },
]
options = { temperature = 0.3, seed = 42, think = false, keep_alive = -1 }
private = true
on_break = "error"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with the files that FULL names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cloud.key").write_text("cloudy-secret\n")
    (tmp_path / "box.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    return tmp_path


def read(text: str | bytes, folder: Path, **environ: str) -> Settings:
    path = folder / "homeport.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(environ={"HOME": str(folder), "HOME_TOKEN": "homely-secret"} | environ)


def problems(text: str | bytes, folder: Path, **environ: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        read(text, folder, **environ)
    return str(caught.value).splitlines()


def test_without_a_file_it_discovers(folder: Path) -> None:
    settings = load(environ={"HOME": str(folder)})
    assert settings.discover
    assert settings.path is None
    assert (settings.backends, settings.models, settings.notices) == ({}, {}, ())
    assert settings.server.listen == "127.0.0.1:8461"
    assert settings.server.max_body_mb == 32
    assert settings.server.data.is_absolute()
    assert set(settings.origins.values()) == {"default"}


def test_a_whole_file(folder: Path) -> None:
    settings = read(FULL, folder)
    assert not settings.discover
    assert settings.path == folder / "homeport.toml"
    assert settings.server.data == folder / "data"
    assert (settings.server.max_body_mb, settings.server.drain_timeout_s) == (16, 5.5)
    assert settings.backends["home"] == BackendSettings(
        name="home",
        kind="openai",
        url="http://127.0.0.1:11434",
        api_key="homely-secret",
        max_in_flight=3,
        queue=0,
        queue_timeout_s=0.0,
        assemble=False,
        connect_timeout_s=1.0,
        first_token_timeout_s=2.0,
        idle_timeout_s=4.0,
        total_timeout_s=8.0,
    )
    assert settings.backends["cloud"].api_key == "cloudy-secret"
    assert not settings.backends["cloud"].assemble, "a whole reply of a cloud's is asked for whole"
    assert settings.backends["box"].model == folder / "box.gguf"
    assert (settings.backends["box"].slots, settings.backends["box"].context, settings.backends["box"].max_in_flight) == (2, 512, 2)
    assert settings.backends["box"].assemble
    assert settings.backends["pilot"] == BackendSettings(name="pilot", kind="pilot"), "a route may name it without a section"
    assert settings.models["assistant"].routes == (
        RouteSettings(backend="home", model="qwen3.5:latest", while_in_flight_below=2),
        RouteSettings(backend="box"),
        RouteSettings(backend="pilot"),
    )
    assert settings.models["assistant"].options == {"temperature": 0.3, "seed": 42, "think": False, "keep_alive": -1}
    assert settings.models["assistant"].private
    assert settings.notices == ()


def test_flag_before_environment_before_file_before_default(folder: Path) -> None:
    text = '[server]\nlisten = "127.0.0.1:1"\ndata = "filed"\n'
    settings = read(text, folder)
    assert (settings.server.listen, settings.origins["server.listen"], settings.server.data) == ("127.0.0.1:1", "file", folder / "filed")
    settings = read(text, folder, HOMEPORT_LISTEN=":2", HOMEPORT_DATA="told")
    assert (settings.server.listen, settings.origins["server.listen"]) == (":2", "environment")
    assert (settings.server.data, settings.origins["server.data"]) == (folder / "told", "environment")
    settings = load(listen="[::1]:3", environ={"HOME": str(folder), "HOMEPORT_LISTEN": ":2"})
    assert (settings.server.listen, settings.origins["server.listen"]) == ("[::1]:3", "flag")
    assert read(text, folder, HOMEPORT_LISTEN="").server.listen == "127.0.0.1:1", "an empty variable is none"


def test_a_bad_flag_or_variable_is_named(folder: Path) -> None:
    assert problems("", folder, HOMEPORT_LISTEN="8461") == ['HOMEPORT_LISTEN takes HOST:PORT; did you mean "127.0.0.1:8461"?']
    with pytest.raises(BadSettings, match="--listen takes a port from 0 to 65535"):
        load(listen="127.0.0.1:99999", environ={"HOME": str(folder)})
    (folder / "file").write_text("")
    assert problems("", folder, HOMEPORT_DATA=str(folder / "file")) == [f"HOMEPORT_DATA takes a folder, but {folder / 'file'} is a file"]


def test_secrets_are_told_by_their_source_and_never_shown(folder: Path) -> None:
    settings = read(FULL, folder)
    assert settings.secrets == {"backends.home.api_key": "env HOME_TOKEN", "backends.cloud.api_key": "file cloud.key"}
    assert "homely-secret" not in repr(settings)
    assert "cloudy-secret" not in repr(settings)


def test_paths_are_relative_to_the_file_they_stand_in(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "my.gguf").write_bytes(b"GGUF")
    (inner / "key").write_text("s3cret")
    (inner / "my.toml").write_text('[server]\ndata = "d"\n[backends.a]\nkind = "engine"\nmodel = "my.gguf"\n' + HOME + 'api_key = { file = "key" }\n')
    settings = load(config=Path("inner/my.toml"), environ={"HOME": str(folder)})
    assert settings.server.data == inner / "d"
    assert settings.backends["a"].model == inner / "my.gguf"
    assert settings.backends["home"].api_key == "s3cret"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nlissen = '127.0.0.1:1'\n", 'homeport.toml:2: [server] has no key "lissen"; did you mean "listen"?'),
        ("[servr]\n", 'homeport.toml:1: there is no section "servr"; did you mean "server"?'),
        ("[backend.home]\n", 'homeport.toml:1: there is no section "backend"; did you mean "backends"?'),
        ("\nlisten = ':80'\n", 'homeport.toml:2: "listen" stands outside of any section; it belongs under [server]'),
        ("[server]\nmax_body_mb = '32'\n", "homeport.toml:2: server.max_body_mb takes a whole number, not a text; write max_body_mb = 32 without the quotes"),
        ("[server]\nmax_body_mb = true\n", "homeport.toml:2: server.max_body_mb takes a whole number, not true or false; write max_body_mb = 32"),
        ("[server]\nmax_body_mb = 0\n", "homeport.toml:2: server.max_body_mb takes at least 1, not 0"),
        ("[server]\ndrain_timeout_s = -1\n", "homeport.toml:2: server.drain_timeout_s takes at least 0, not -1"),
        ("[server]\ndrain_timeout_s = nan\n", "homeport.toml:2: server.drain_timeout_s is too large"),
        ("[server]\nmax_body_mb = 99999999999\n", "homeport.toml:2: server.max_body_mb is too large"),
        ("[server]\nlisten = 8461\n", 'homeport.toml:2: server.listen takes a text, not a whole number; write listen = "127.0.0.1:8461"'),
        ("[server]\nlisten = '1.2.3.4:99999'\n", "homeport.toml:2: server.listen takes a port from 0 to 65535, not '99999'"),
        ("server = 3\n", "homeport.toml:1: server takes a table ([server]), not a whole number"),
        ("[[backends]]\nkind = 'openai'\n", "homeport.toml:1: backends takes a table ([backends]), not a list"),
        ("[backends]\nurl = 'http://x'\n", "homeport.toml:2: backends.url takes a table: give it a name of its own, such as [backends.home]"),
        ("[backends.home]\nurl = 'http://x'\n", 'homeport.toml:1: backends.home has no kind; write kind = "openai" (or ollama, anthropic, engine or pilot)'),
        ("[backends.home]\nmodel = 'x.gguf'\n", 'homeport.toml:1: backends.home has no kind; write kind = "engine" (or ollama, openai, anthropic or pilot)'),
        (
            HOME.replace("openai", "olama"),
            'homeport.toml:2: backends.home.kind takes ollama, openai, anthropic, engine or pilot, not "olama"; did you mean "ollama"?',
        ),
        (HOME.replace("openai", "opnai"), 'not "opnai"; did you mean "openai"?'),
        (HOME.replace("openai", "OpenAI"), 'not "OpenAI"; did you mean "openai"?'),
        ("[backends.home]\nkind = 'openai'\n", 'homeport.toml:1: backends.home has no url; write url = "http://127.0.0.1:8080"'),
        (HOME.replace("http://", ""), 'homeport.toml:3: backends.home.url takes http:// or https:// at its start; did you mean "http://127.0.0.1:11434"?'),
        (HOME.replace("http://", "ftp://"), 'backends.home.url takes http:// or https:// at its start, not "ftp://"'),
        (HOME.replace("11434", "99999"), "its port is not from 1 to 65535"),
        (HOME.replace("11434", "11434/?a=b"), "takes no ? or # part"),
        (HOME.replace("127.0.0.1", ""), "is no address"),
        (HOME + "queue = -1\n", "homeport.toml:4: backends.home.queue takes at least 0, not -1"),
        (HOME + "max_in_flight = 0\n", "homeport.toml:4: backends.home.max_in_flight takes at least 1, not 0"),
        (HOME + "idle_timeout_s = 0\n", "homeport.toml:4: backends.home.idle_timeout_s takes more than 0, not 0"),
        (HOME + "idle_timeout_s = inf\n", "homeport.toml:4: backends.home.idle_timeout_s is too large"),
        (HOME + 'assemble = "true"\n', "homeport.toml:4: backends.home.assemble takes true or false, not a text; write assemble = true without the quotes"),
        (HOME + 'location = "clowd"\n', 'homeport.toml:4: backends.home.location takes local or cloud, not "clowd"; did you mean "cloud"?'),
        (HOME + "slots = 4\n", "homeport.toml:4: backends.home.slots is for kinds engine and pilot"),
        (HOME + 'model = "qwen"\n', 'homeport.toml:4: backends.home.model is for kind = "engine"'),
        (HOME + "max_inflight = 4\n", 'homeport.toml:4: [backends.home] has no key "max_inflight"; did you mean "max_in_flight"?'),
        (HOME + 'api_key = { env = "NOPE" }\n', "homeport.toml:4: backends.home.api_key.env names NOPE, which is not set; export NOPE=… before the start"),
        (HOME + 'api_key = { evn = "NOPE" }\n', 'homeport.toml:4: [backends.home.api_key] has no key "evn"; did you mean "env"?'),
        (HOME + 'api_key = { env = "A", file = "B" }\n', "homeport.toml:4: backends.home.api_key takes either env or file"),
        (HOME + "api_key = {}\n", "homeport.toml:4: backends.home.api_key takes either env or file"),
        (HOME + 'api_key = { file = "nope" }\n', "homeport.toml:4: backends.home.api_key.file cannot be read: "),
        ('[backends.""]\nkind = "pilot"\n', 'homeport.toml:1: the name "" under [backends] takes 1 to 128 printable ASCII characters'),
        ('[backends.e]\nkind = "engine"\n', 'homeport.toml:1: backends.e has no model; write model = "path/to.gguf"'),
        ('[backends.e]\nkind = "engine"\nmodel = "bax.gguf"\n', 'bax.gguf; did you mean "box.gguf"?'),
        ('[backends.e]\nkind = "engine"\nmodel = "no/such.gguf"\n', "no/such.gguf; there is no such folder"),
        ('[backends.e]\nkind = "engine"\nmodel = "cloud.key"\n', "homeport.toml:3: backends.e.model is no GGUF file: "),
        ('[backends.e]\nkind = "engine"\nmodel = "."\n', "homeport.toml:3: backends.e.model cannot be read: "),
        ('[backends.e]\nkind = "engine"\nmodel = "box.gguf"\nslots = 0\n', "homeport.toml:4: backends.e.slots takes at least 1, not 0"),
        (
            '[backends.e]\nkind = "engine"\nmodel = "box.gguf"\nslots = 2\nmax_in_flight = 3\n',
            "homeport.toml:5: backends.e.max_in_flight takes at most the slots (2), not 3",
        ),
        ('[backends.e]\nkind = "engine"\nmodel = "box.gguf"\nlocation = "cloud"\n', 'homeport.toml:4: backends.e.location is "local" for kind engine'),
        ('[backends.e]\nkind = "engine"\nmodel = "box.gguf"\nurl = "http://x"\n', 'homeport.toml:4: backends.e.url is for kind = "openai"'),
        ('[backends.p]\nkind = "pilot"\nmodel = "box.gguf"\n', 'homeport.toml:3: backends.p.model takes pilot or pilot-mini, not "box.gguf"'),
        (
            HOME + "[models.x]\nroutes = [{ backend = 'hme' }]\n",
            'homeport.toml:5: models.x.routes[1].backend names "hme", which is no backend; did you mean "home"?',
        ),
        ("[models.x]\nroutes = [{ backend = 'box' }]\n", 'names "box", which is no backend; write a [backends.box] with kind and url, or use pilot'),
        (HOME + "[models.x]\nroutes = [\n\n{ backnd = 'home' }]\n", 'homeport.toml:7: [models.x.routes[1]] has no key "backnd"; did you mean "backend"?'),
        (HOME + "[models.x]\nroutes = ['home']\n", 'homeport.toml:5: route 1 of [models.x] takes a table, not a text; write { backend = "home" }'),
        (HOME + "[models.x]\nroutes = 'home'\n", 'homeport.toml:5: models.x.routes takes a list, not a text; write routes = [{ backend = "home" }]'),
        (HOME + "[models.x]\nroutes = []\n", "homeport.toml:5: models.x.routes is empty; write routes = [{ backend"),
        (HOME + "[models.x]\nprivate = false\n", "homeport.toml:4: models.x has no routes"),
        (HOME + "[models.x]\nroutes = [{ backend = 'home', while_in_flight_below = 0 }]\n", "routes[1].while_in_flight_below takes at least 1, not 0"),
        (HOME + "[models.x]\nroutes = [{ backend = 'home' }]\non_break = 'go on'\n", 'homeport.toml:6: models.x.on_break takes error or continue, not "go on"'),
        (HOME + "[models.x]\nroutes = [{ backend = 'home' }]\noptions = { a = { b = [2020-01-01] } }\n", "homeport.toml:6: models.x.options.a is a date"),
        (
            HOME + "location = 'cloud'\n[models.x]\nroutes = [{ backend = 'home' }]\nprivate = true\n",
            "homeport.toml:7: models.x.private is true, but every route",
        ),
        ("[monitor]\nprobe_interval = 1\n", 'homeport.toml:2: [monitor] has no key "probe_interval"; did you mean "probe_interval_s"?'),
        ("[fleet]\nurl = 'redis://x'\nttl = 1\n", 'homeport.toml:3: [fleet] has no key "ttl"'),
        ("tunnel = 1\n", "homeport.toml:1: tunnel takes a table ([tunnel]), not a whole number"),
    ],
)
def test_a_problem_is_told_with_file_line_and_remedy(folder: Path, text: str, told: str) -> None:
    found = problems(text, folder)
    assert [line for line in found if told in line] == found, "this and nothing else"
    assert all(line.startswith("homeport.toml:") for line in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nlisten = ':1'\nlisten = ':2'\n", "homeport.toml:3: listen is given twice, first on line 2; keep one of them"),
        ("[server]\n[backends]\n[server]\n", "homeport.toml:3: [server] is given twice, first on line 1; keep one of them"),
        ("[server]\nlisten = 127.0.0.1:8461\n", 'homeport.toml:2: is not TOML: listen has a value without quotes; write listen = "…"'),
        ("[server]\nlisten = home:8461\n", 'homeport.toml:2: is not TOML: listen has a value without quotes; write listen = "…"'),
        ("[a]\nprivate = True\n", "homeport.toml:2: is not TOML: private takes true or false, in small letters"),
        ("[server\nlisten = ':1'\n", "homeport.toml:1: is not TOML: "),
        ("\n\n[server]\nlisten\n", "homeport.toml:4: is not TOML: "),
        ('[server]\nlisten = "x\n', "homeport.toml:2: is not TOML: "),
        ("x = [1,\n2\n", "homeport.toml:2: is not TOML: "),
        (b"[server]\n# caf\xe9\n", "homeport.toml:2: is not UTF-8; save the file with that encoding"),
        ("x = " + "[" * 5000, "homeport.toml:1: is nested too deeply"),
        ("x = " + "9" * 5000, "homeport.toml:1: "),
        ("x = 2020-13-45\n", "homeport.toml:1: "),
    ],
)
def test_a_syntax_error_has_its_line(folder: Path, text: str | bytes, told: str) -> None:
    [line] = problems(text, folder)
    assert line.startswith(told)
    assert len(line) < 200


def test_all_problems_come_together_in_the_order_of_the_file(folder: Path) -> None:
    found = problems("lisen = 1\n[server]\nlissen = 1\n[backends.a]\nkind = 'olama'\nurl = 3\n[models.b]\n", folder, HOMEPORT_LISTEN="x")
    assert [line.split(" ")[0] for line in found] == ["HOMEPORT_LISTEN", *(f"homeport.toml:{line}:" for line in (1, 3, 5, 6, 7))]


@pytest.mark.parametrize(
    "lines",
    [
        ['api_key = "sk-hush-hush"'],
        ["api_key = 12345678987654"],
        ['api_key = { env = "SPOILT" }'],
        ['api_key = { file = "spoilt" }'],
        ['url = "http://user:sk-hush-hush@x/"'],
        ["api_key = sk-hush-hush"],
    ],
)
def test_a_refused_secret_is_not_repeated(folder: Path, lines: list[str]) -> None:
    (folder / "spoilt").write_text("sk-hush-hush\nsecond line")
    text = '[backends.home]\nkind = "openai"\n' + "\n".join(lines) + "\n" + ("" if "url" in lines[0] else 'url = "http://x"\n')
    [line] = problems(text, folder, SPOILT="sk-hush-hush\r\nx: y")
    assert "hush" not in line
    assert "12345678987654" not in line
    assert line.startswith("homeport.toml:3: ")


def test_a_literal_secret_is_refused_with_the_fix(folder: Path) -> None:
    [line] = problems(HOME + 'api_key = "sk-x"\n', folder)
    assert line == (
        "homeport.toml:4: backends.home.api_key is a secret, which may not stand in this file;"
        ' write api_key = { env = "HOME_API_KEY" }, or api_key = { file = "path" }'
    )


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(BadSettings, match=r"^nope\.toml: no such file \(asked for by --config\)$"):
        load(config=Path("nope.toml"), environ={})
    with pytest.raises(BadSettings, match=r"no such file \(asked for by HOMEPORT_CONFIG\)$"):
        load(environ={"HOMEPORT_CONFIG": "nope.toml"})
    with pytest.raises(BadSettings, match="is a folder"):
        load(config=folder, environ={})


def test_what_follows_a_cut_stream_is_said_for_each_model(folder: Path) -> None:
    settings = read(HOME + '[models.x]\nroutes = [{ backend = "home" }]\n[models.y]\nroutes = [{ backend = "home" }]\non_break = "continue"\n', folder)
    assert (settings.models["x"].on_break, settings.models["y"].on_break) == ("error", "continue")
    assert settings.notices == ()


def test_continue_where_no_engine_can_is_noticed(folder: Path) -> None:
    text = HOME.replace('"openai"', '"ollama"') + '[models.x]\nroutes = [{ backend = "home" }]\non_break = "continue"\n'
    assert read(text, folder).notices == (
        'on_break = "continue" of [models.x] changes nothing: only llama.cpp and vLLM go on with a begun answer, '
        "reached with kind openai, engine or pilot (homeport.toml:6)",
    )
    assert read(text.replace('"home" }]', '"home" }, { backend = "pilot" }]'), folder).notices == ()


def test_what_the_owner_may_not_know_is_noticed(folder: Path) -> None:
    text = HOME + '[backends.far]\nkind = "openai"\nurl = "https://api.example.com"\n'
    assert read(text, folder, HOMEPORT_LISTN="x").notices == (
        'the environment variable HOMEPORT_LISTN is not read; did you mean "HOMEPORT_LISTEN"?',
        '[backends.far] has a public address and no location, so it counts as "local" and private models may use it;'
        ' write location = "cloud" or "local" (homeport.toml:6)',
    )
    text += 'location = "cloud"\n[models.x]\nroutes = [{ backend = "home" }, { backend = "far" }]\nprivate = true\n'
    assert read(text, folder).notices == ("[models.x] is private, so its route to far (cloud) is never used (homeport.toml:10)",)
    assert read(HOME + 'api_key = { env = "HOMEPORT_LISTN" }\n', folder, HOMEPORT_LISTN="x").notices == ()


def test_a_windows_editor_is_no_problem(folder: Path) -> None:
    assert read(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode(), folder) == read(FULL, folder)
