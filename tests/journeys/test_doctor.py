"""The doctor before a real gateway, behind a real nginx that holds streams back or does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.doctor import certificate, proxies, public
from homeport.doctor.case import Case
from homeport.doctor.diagnosis import Diagnosis
from homeport.settings import load
from homeport.storage.keys import Keys
from homeport.testing.backend import ScriptedBackend
from homeport.testing.script import Answer, Fault
from tests.gateway import Running, Spawned, config
from tests.nginx import EXECUTABLE, Nginx

SLOW = Answer(tokens=tuple(f"{number} " for number in range(40)), delay_s=0.015)  # 0.6 s of generation
FREE = "client_max_body_size 0;"
IGNORES = "proxy_ignore_headers X-Accel-Buffering;"
behind_nginx = pytest.mark.skipif(EXECUTABLE is None, reason="nginx is not on this machine")


@pytest.fixture
def scripted() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(SLOW) as backend:
        yield backend


@pytest.fixture
def gateway(tmp_path: Path, scripted: ScriptedBackend) -> Iterator[Running]:
    with Running(config(tmp_path, {"home": scripted.url})) as running:
        yield running


def looked(gateway: Running, url: str, key: str | None = None) -> dict[str, Diagnosis]:
    case = Case(version="1", settings=gateway.app.settings, key=key)
    return {one.check: one for one in proxies.judge(public.look(case, url), keyed=key is not None)}


def test_without_a_proxy_a_stream_comes_as_it_is_made(gateway: Running, scripted: ScriptedBackend) -> None:
    found = looked(gateway, gateway.url)
    assert {check: one.ok for check, one in found.items()} == {"public.buffering": True}
    assert scripted.generations == 1
    [receipt] = gateway.journal.settled(1)
    assert (receipt["app"], receipt["outcome"]) == ("homeport-doctor", "ok")


@behind_nginx
@pytest.mark.parametrize("rules", [FREE, FREE + IGNORES + "proxy_http_version 1.1;", FREE + IGNORES + "proxy_buffering off;"], ids=["default", "1.1", "off"])
def test_an_nginx_that_passes_streams_on(tmp_path: Path, gateway: Running, rules: str) -> None:
    with Nginx(tmp_path, gateway.url, rules) as nginx:
        assert {check: one.ok for check, one in looked(gateway, nginx.url).items()} == {"public.buffering": True}


@behind_nginx
def test_an_nginx_that_holds_streams_back(tmp_path: Path, gateway: Running) -> None:
    with Nginx(tmp_path, gateway.url, FREE + IGNORES) as nginx:
        found = looked(gateway, nginx.url)
    assert {check: one.ok for check, one in found.items()} == {"public.buffering": False}
    assert found["public.buffering"].what.startswith("Streams ")
    assert "proxy_buffering off" in found["public.buffering"].fix


@behind_nginx
def test_an_nginx_that_compresses_hides_and_refuses(tmp_path: Path, gateway: Running) -> None:
    rules = "gzip on; gzip_types text/event-stream; gzip_min_length 1; gzip_proxied any; proxy_hide_header x-request-id; client_max_body_size 1m;"
    with Nginx(tmp_path, gateway.url, IGNORES + rules) as nginx:
        found = looked(gateway, nginx.url)
    assert found["public.buffering"].ok is found["public.compression"].ok is found["public.request_id"].ok is found["public.body"].ok is False
    assert "(gzip)" in found["public.compression"].what
    assert "8 MiB" in found["public.body"].what


@behind_nginx
def test_an_nginx_before_nothing(tmp_path: Path, gateway: Running, free_port: int) -> None:
    with Nginx(tmp_path, f"http://127.0.0.1:{free_port}") as nginx:
        found = looked(gateway, nginx.url)
    assert found["public.reachable"].ok is False
    assert "a gateway that it does not reach (HTTP 502)" in found["public.reachable"].what


@behind_nginx
def test_over_tls_the_certificate_counts(tmp_path: Path, gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    made, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "90"]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made, *subject], check=True, capture_output=True, timeout=60
    )
    with Nginx(tmp_path, gateway.url, FREE, certificate=(made, key)) as nginx:
        found = looked(gateway, nginx.url)
        assert "the certificate is not good: self-signed certificate" in found["public.reachable"].what
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        assert {check: one.ok for check, one in looked(gateway, nginx.url).items()} == {"public.buffering": True}
        assert [(one.check, one.ok) for one in certificate.judge(certificate.look(nginx.url))] == [("public.certificate", True)]


def test_with_keys_the_answer_is_asked_with_one(tmp_path: Path, scripted: ScriptedBackend) -> None:
    secret = Keys(tmp_path / "data").add("laptop")
    with Running(config(tmp_path, {"home": scripted.url})) as gateway:
        assert looked(gateway, gateway.url)["public.reachable"].ok is None
        assert scripted.generations == 0
        assert looked(gateway, gateway.url, secret)["public.buffering"].ok is True


def test_an_answer_that_never_comes_is_left_within_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public.ask, "__defaults__", (0.5,))
    with ScriptedBackend(Answer(fault=Fault(at=2, how="freeze"))) as frozen, Running(config(tmp_path, {"home": frozen.url})) as gateway:
        began = time.monotonic()
        found = looked(gateway, gateway.url)["public.buffering"]
        assert time.monotonic() - began < 4
        assert found.ok is None and "came through" in found.what
        assert gateway.idle(5)  # what was asked was taken back


def test_a_quick_model_is_asked_for_more(gateway: Running, scripted: ScriptedBackend) -> None:
    scripted.default = Answer(tokens=("one ", "two"))
    found = looked(gateway, gateway.url)["public.buffering"]
    assert found.ok is None and "too quickly" in found.what
    assert [seen.fields["max_tokens"] for seen in scripted.asks if seen.fields] == list(public.TOKENS)


def test_the_pilot_is_preferred_and_kept_from_ending_early(tmp_path: Path) -> None:
    routes = {"routes": [{"backend": "home", "model": "m"}]}
    with ScriptedBackend("Hello") as quick, Running(config(tmp_path, {"home": quick.url}, models={"default": routes, "pilot": routes})) as gateway:
        assert public.look(Case(version="1", settings=gateway.app.settings), gateway.url).model == "pilot"
        asked = [(seen.fields["max_tokens"], seen.fields.get("ignore_eos")) for seen in quick.asks if seen.fields]
    assert asked == [(48, None), (1024, True)]


def doctor(*words: str, **environ: str) -> tuple[int, Any]:
    environment = {**os.environ, **environ}
    ended = subprocess.run([sys.executable, "-m", "homeport", "doctor", "--json", *words], env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in ended.stderr
    return ended.returncode, json.loads(ended.stdout)


@pytest.mark.slow
def test_the_command_beside_a_running_gateway(tmp_path: Path, scripted: ScriptedBackend) -> None:
    path = config(tmp_path, {"home": scripted.url, "gone": "http://127.0.0.1:9"})
    with Spawned(path) as gateway:
        code, told = doctor("--url", gateway.url + "/v1/", HOMEPORT_CONFIG=str(path), HOMEPORT_URL=gateway.url)
    found = {one["check"]: one for one in told["findings"]}
    assert (code, told["ok"]) == (1, False)
    assert set(found["gateway.running"]) == {"check", "ok", "what", "why", "fix"}
    assert found["gateway.running"]["ok"] is True
    assert found["public.buffering"]["ok"] is True
    wrong = [one["what"] for one in told["findings"] if one["ok"] is False]
    assert wrong == ["gone does not answer at http://127.0.0.1:9: connection refused"]


@pytest.mark.slow
def test_the_command_without_a_gateway(tmp_path: Path, scripted: ScriptedBackend) -> None:
    path = config(tmp_path, {"home": scripted.url}, listen="127.0.0.1:9", models={"m": {"routes": [{"backend": "home", "model": "talker"}]}})
    code, told = doctor("--config", str(path))
    found = {one["check"]: one for one in told["findings"]}
    assert [one for one in told["findings"] if one["ok"] is False] == []
    assert (code, told["ok"]) == (0, True)
    assert (found["gateway.running"]["ok"], found["gateway.running"]["fix"]) == (None, "homeport up")
    assert load(config=path).server.data.exists() is False  # it only looks
