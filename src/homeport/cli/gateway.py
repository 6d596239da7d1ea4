"""A running gateway as the commands reach it: over HTTP, at $HOMEPORT_URL or the configured address."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from homeport.cli.failure import Failed, NoGateway, Usage
from homeport.cli.screen import clean
from homeport.settings import address, load

TIMEOUT_S = 10.0
STRANGER = "is no Homeport gateway. Set HOMEPORT_URL to the right address, or start one: homeport up"
ANSWER_TIMEOUT_S = 600.0  # between two pieces of an answer; the gateway's own clocks are shorter


class Gateway:
    """The first of several addresses that answers."""

    def __init__(self, urls: list[str], key: str | None) -> None:
        self.urls = urls
        self.key = key

    @classmethod
    def configured(cls, config: Path | None = None) -> Gateway:
        """At $HOMEPORT_URL (several, separated by commas), else at the address of the settings. Raises BadSettings, Usage."""
        key = os.environ.get("HOMEPORT_KEY", "").strip() or None
        told = [url.strip() for url in os.environ.get("HOMEPORT_URL", "").split(",") if url.strip()]
        if told and config is None:
            return cls([_base(url) for url in told], key)
        listen = load(config=config).server.listen
        host, port = address(listen)
        if port == 0:
            raise Usage(f"the gateway's address is not known, for it listens at {listen}; set HOMEPORT_URL to the one that it printed")
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # from all interfaces to loopback
        return cls([f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"], key)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`. Raises NoGateway, Failed."""
        response, url = self._request("GET", path, None, TIMEOUT_S)
        try:
            value = json.loads(response.read())
        except (ValueError, http.client.HTTPException):
            value = None
        except OSError as error:
            raise Failed(f"{url} did not finish its answer: {_reason(error)}") from None
        if not isinstance(value, dict):
            raise Failed(f"what answers at {url} {STRANGER}")
        return {**value, "url": url}

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Post `body` and give each JSON event of the answer's stream. Raises NoGateway, Failed; Failed too where it is cut."""
        response, url = self._request("POST", path, json.dumps(body).encode(), ANSWER_TIMEOUT_S)
        try:
            for line in response:
                data = line.strip().removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                if data == b"[DONE]":
                    return
                event = json.loads(data) if data else {}
                if isinstance(event, dict) and event.get("error"):
                    raise Failed(_message(event) or "the answer broke off")
                if isinstance(event, dict) and event:
                    yield event
        except (ValueError, http.client.HTTPException):
            raise Failed(f"{url} sent something that is no answer; the answer is not complete") from None
        except OSError as error:
            raise Failed(f"{url} broke off ({_reason(error)}); the answer is not complete") from None
        raise Failed(f"{url} broke off; the answer is not complete")

    def _request(self, method: str, path: str, body: bytes | None, timeout_s: float) -> tuple[http.client.HTTPResponse, str]:
        headers = {"accept": "application/json", "user-agent": "homeport-cli", "connection": "close"}
        if body is not None:
            headers |= {"content-type": "application/json", "accept": "text/event-stream"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        failures = []
        for url in self.urls:
            parts = urlsplit(url)
            connection = _connection(parts)
            try:
                connection.connect()
                connection.sock.settimeout(timeout_s)
                connection.request(method, parts.path + path, body, headers)
                response = connection.getresponse()
            except http.client.HTTPException:
                raise Failed(f"what answers at {url} {STRANGER}") from None
            except (OSError, ValueError) as error:
                failures.append(f"{url} ({_reason(error)})")
                continue
            if response.status != 200:
                raise self._refused(response, url)
            return response, url
        raise NoGateway(f"no gateway answers at {', nor at '.join(failures)}. Start one: homeport up")

    def _refused(self, response: http.client.HTTPResponse, url: str) -> Failed:
        try:
            told = _message(json.loads(response.read(65536)))
        except (ValueError, OSError, http.client.HTTPException):
            told = None
        if response.status == 401:
            what = "does not know the key in HOMEPORT_KEY" if self.key else "wants a key"
            return Failed(f"the gateway at {url} {what}. Make one with: homeport keys add NAME, then set HOMEPORT_KEY to it")
        if told is None:
            return Failed(f"what answers at {url} (status {response.status}) {STRANGER}")
        return Failed(told)


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def _base(url: str) -> str:
    """The address without a trailing slash or /v1. Raises Usage where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise Usage('HOMEPORT_URL takes addresses such as "http://127.0.0.1:8461", separated by commas')
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _message(value: Any) -> str | None:
    """The text of an error answer in any dialect's shape."""
    error = value.get("error") if isinstance(value, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return clean(text) if isinstance(text, str) and text else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return clean(getattr(error, "strerror", None) or error).lower()
