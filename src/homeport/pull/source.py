"""Reads what to pull: a repository of the hub, a file in it, or any address."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from homeport.pull.failure import Unclear

HUB_HOSTS = ("hf.co", "huggingface.co", "www.huggingface.co")
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
FORMS = "homeport pull hf.co/ORG/REPO, hf.co/ORG/REPO:FILE, or an address such as https://example.org/model.gguf"


class Repository(NamedTuple):
    """`hf.co/ORG/REPO`: `wanted` is a file in it or the name of a quantisation, where one was given."""

    name: str  # ORG/REPO
    revision: str = "main"
    wanted: str | None = None


class Link(NamedTuple):
    """One file at an address."""

    url: str

    @property
    def shown(self) -> str:
        """Without its query, which may hold a secret."""
        return self.url.partition("?")[0].partition("#")[0]


def read_source(text: str) -> Repository | Link:
    """What was asked for. Raises Unclear where it is neither."""
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise Unclear(f"that is no address; write {FORMS}")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    if rest.partition("/")[0].lower() in HUB_HOSTS and scheme.lower() in ("", "http", "https"):
        return _repository(rest.partition("/")[2].partition("?")[0].partition("#")[0])
    if scheme.lower() in ("http", "https"):
        return _link(text)
    hint = f"hf.co/{text}" if text.partition(":")[0].count("/") == 1 else ""
    raise Unclear(f'"{text}" is no address; ' + (f"did you mean: homeport pull {hint}" if hint else f"write {FORMS}"))


def _repository(path: str) -> Repository:
    place, _, wanted = path.rstrip("/").partition(":")
    parts = place.split("/")
    if len(parts) < 2 or not all(PART.fullmatch(part) for part in parts[:2]):
        raise Unclear(f"hf.co/{path} names no repository; write hf.co/ORG/REPO")
    name, revision = "/".join(parts[:2]), "main"
    if len(parts) > 3 and parts[2] in ("resolve", "blob", "tree"):  # as copied from a browser
        revision = unquote(parts[3])
        wanted = wanted or unquote("/".join(parts[4:]))
    elif len(parts) > 2:
        raise Unclear(f"hf.co/{path} is no repository's address; for a file in it write hf.co/{name}:{'/'.join(parts[2:])}")
    return Repository(name, revision, wanted or None)


def _link(url: str) -> Link:
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if not good:
        raise Unclear(f"that is no address; write {FORMS}")
    if "@" in parts.netloc:
        raise Unclear("an address with a user name or a password in it is not taken: it would be kept in histories and lists of processes")
    return Link(url.partition("#")[0])
