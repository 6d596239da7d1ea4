"""Tries the connection that a client will have: is a gateway there, does it take the key, the model, the client's dialect; all of it free."""

from __future__ import annotations

import difflib
import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from homeport.cli.clients.client import Client
from homeport.cli.models import routes
from homeport.cli.screen import clean, duration
from homeport.vocabulary import Surface

CONNECT_S, ANSWER_S, TRY_S = 3.0, 10.0, 120.0
QUESTION = "Say hello in five words."
TRY_TOKENS = 256  # room for a model that thinks first
SHOWN = 80  # characters of the answer
READY = ("healthy", "degraded", "ready", "up")


class Finding(Struct, frozen=True):
    """One check: what it came to in words, and where it is not well, what to do."""

    check: str  # "gateway" "model" "dialect" "try"
    ok: bool
    said: str
    fix: str | None = None


@dataclass(frozen=True)
class Seen:
    """What stands at an address. `state`: "ok", "away", "locked" (a key is wanted, or another one) or "stranger"."""

    url: str
    state: str
    finding: Finding
    models: dict[str, dict[str, Any]] = field(default_factory=dict)  # by name, as /v1/models has them

    def default(self) -> str:
        """The model to ask where none was named."""
        return "default" if "default" in self.models or not self.models else next(iter(self.models))

    def context(self, model: str) -> int | None:
        """How many tokens the model takes, where the gateway says so."""
        told = self.models.get(model, {}).get("homeport")
        found = told.get("context_length") if isinstance(told, dict) else None
        return found if isinstance(found, int) and found > 0 else None


@dataclass(frozen=True)
class _Answer:
    status: int
    body: Any  # of JSON, else None

    @property
    def message(self) -> str:
        """What an error says, in any dialect's shape."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        text = error.get("message") if isinstance(error, dict) else error
        return clean(text) if isinstance(text, str) and text else f"status {self.status}"


class Probe:
    """Asks one gateway, with the key of a client. `variable` is the environment variable that the key is in, or would be."""

    def __init__(self, client: Client, key: str | None, variable: str, *, from_flag: bool = False) -> None:
        self.client = client
        self.key = key
        self.variable = variable
        self.origin = "of --key" if from_flag else f"in {variable}"

    def look(self, urls: Sequence[str]) -> Seen:
        """The first of the addresses at which anything answers."""
        reasons = []
        for url in urls:
            try:
                answer = self._ask("GET", f"{url}/v1/models")
            except (OSError, http.client.HTTPException) as error:
                reasons.append(f"{url} ({_reason(error)})")
                continue
            return self._seen(url, answer)
        fix = "start one: homeport up; or name the right address with --url or HOMEPORT_URL"
        return Seen(urls[0], "away", Finding("gateway", ok=False, said=f"nothing answers at {', nor at '.join(reasons)}", fix=fix))

    def model(self, seen: Seen, model: str) -> Finding:
        """Whether the model is served, and something that can answer for it is up."""
        entry = seen.models.get(model)
        if entry is None:
            near = difflib.get_close_matches(model, seen.models, n=1)
            meant = f"did you mean {clean(near[0])}? They are listed by" if near else "see"
            return Finding("model", ok=False, said=f"there is no model {clean(model)}", fix=f"{meant}: homeport models")
        ways = entry["homeport"].get("routes") or []
        through = clean(routes({"name": model, "routes": ways}))
        names = {way.get("backend") for way in ways if isinstance(way, dict)}
        down = [backend for backend in self._backends(seen.url) if backend.get("name") in names and backend.get("state") not in READY]
        if names and len(down) == len(names):
            first = down[0]
            why = "; ".join(f"{clean(one.get('name'))} is {clean(one.get('state'))}" for one in down)
            fix = f"{clean(first.get('reason'))}. See: homeport status" if first.get("reason") else "see: homeport status"
            return Finding("model", ok=False, said=f"nothing can answer for {clean(model)} now: {why}", fix=fix)
        return Finding("model", ok=True, said=f"{clean(model)} is answered by {through}")

    def dialect(self, url: str) -> Finding:
        """Whether the client's endpoint is served: one that is answers a GET with 405, not with 404."""
        path = self.client.surface.value
        try:
            answer = self._ask("GET", f"{url}{path}")
        except (OSError, http.client.HTTPException) as error:
            return Finding("dialect", ok=False, said=f"{path} did not answer ({_reason(error)})", fix="see: homeport status")
        if answer.status == 404:
            fix = f"{self.client.title} asks nothing else; the gateway must be of a newer version"
            return Finding("dialect", ok=False, said=f"{path} is not served at {url}", fix=fix)
        return Finding("dialect", ok=True, said=f"{path} is served")

    def ask(self, url: str, model: str) -> Finding:
        """One short question in the client's dialect. This costs what an answer costs."""
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TRY_TOKENS}
        if self.client.surface is Surface.RESPONSES:
            body = {"model": model, "input": QUESTION, "max_output_tokens": TRY_TOKENS}
        began = time.monotonic()
        try:
            answer = self._ask("POST", f"{url}{self.client.surface.value}", json.dumps(body).encode(), TRY_S)
        except (OSError, http.client.HTTPException) as error:
            return Finding("try", ok=False, said=f"a question got no answer ({_reason(error)})", fix="see: homeport logs --last 5")
        if answer.status != 200 or not isinstance(answer.body, dict):
            return Finding("try", ok=False, said=f"a question was refused: {answer.message}", fix="see: homeport logs --last 5")
        text = " ".join(clean(_text(answer.body)).split())
        shown = f"“{text[:SHOWN]}{'…' if len(text) > SHOWN else ''}”" if text else f"no text within {TRY_TOKENS} tokens, only thoughts"
        return Finding("try", ok=True, said=f"asked “{QUESTION}”; after {duration(time.monotonic() - began)} it said {shown}")

    def _seen(self, url: str, answer: _Answer) -> Seen:
        """What an answer of /v1/models says about who answers there."""
        add = f"make one with: homeport keys add {self.client.name}, then: export {self.variable}=(the key it shows)"
        if answer.status == 401:
            what = f"does not know the key {self.origin}" if self.key else "wants a key"
            return Seen(url, "locked", Finding("gateway", ok=False, said=f"the gateway at {url} {what}", fix=add))
        if answer.status != 200:
            told = Finding("gateway", ok=False, said=f"the gateway at {url} refuses: {answer.message}", fix="see: homeport status")
            ours = isinstance(answer.body, dict) and "error" in answer.body and answer.status != 404
            return Seen(url, "locked", told) if ours else self._stranger(url)
        listed = answer.body.get("data") if isinstance(answer.body, dict) else None
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        models = {str(entry.get("id")): entry for entry in entries if isinstance(entry.get("homeport"), dict)}
        if (entries and not models) or not isinstance(listed, list):
            return self._stranger(url)
        if not models:
            fix = "start an engine such as Ollama, or write a [models.…] in homeport.toml"
            return Seen(url, "ok", Finding("gateway", ok=False, said=f"the gateway at {url} serves no model yet", fix=fix))
        key = f" and takes the key {self.origin}" if self.key else ", without a key"
        return Seen(url, "ok", Finding("gateway", ok=True, said=f"a gateway answers at {url}{key}"), models)

    @staticmethod
    def _stranger(url: str) -> Seen:
        said = f"what answers at {url} is no Homeport gateway"
        return Seen(
            url, "stranger", Finding("gateway", ok=False, said=said, fix="name the right address with --url or HOMEPORT_URL, or start one: homeport up")
        )

    def _backends(self, url: str) -> list[dict[str, Any]]:
        try:
            body = self._ask("GET", f"{url}/status").body
        except (OSError, http.client.HTTPException):
            return []
        found = body.get("backends") if isinstance(body, dict) else None
        return [backend for backend in found if isinstance(backend, dict)] if isinstance(found, list) else []

    def _ask(self, method: str, url: str, body: bytes | None = None, timeout_s: float = ANSWER_S) -> _Answer:
        """One request. Raises OSError or HTTPException where there is no whole answer."""
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_S)
        headers = {"accept": "application/json", "user-agent": "homeport-cli", "connection": "close", "anthropic-version": "2023-06-01"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        try:
            connection.connect()
            connection.sock.settimeout(timeout_s)
            connection.request(method, parts.path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        try:
            return _Answer(response.status, json.loads(data))
        except ValueError:
            return _Answer(response.status, None)


def _text(body: dict[str, Any]) -> str:
    """The text of a whole answer: of chat completions, responses or messages."""
    parts: list[Any] = []
    for choice in _dicts(body.get("choices")):
        parts += [found.get("content") for found in _dicts([choice.get("message")])]
    for item in [*_dicts(body.get("output")), body]:
        parts += [part.get("text") for part in _dicts(item.get("content")) if part.get("type") in ("text", "output_text")]
    return " ".join(part for part in parts if isinstance(part, str))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.HTTPException):
        return "no HTTP"
    return clean(getattr(error, "strerror", None) or error).lower()
