"""What a pull will bring: which files, under which name, how large, and what the model needs to run; all of it before a byte is kept."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from homeport.pull import memory
from homeport.pull.download import peek, validator
from homeport.pull.failure import Again, CannotPull, Unclear
from homeport.pull.gguf import Header, NotGguf, TooShort, read_header
from homeport.pull.hub import SPLIT, USUAL, Offer, Remote, chosen, offers
from homeport.pull.source import Link, Repository
from homeport.pull.web import Web, place
from homeport.storage.shelf import is_name

FIRST_LOOK = 2**20  # bytes; doubled until the header is whole
LONGEST_LOOK = 64 * 2**20


class Plan(NamedTuple):
    """One model to be brought."""

    name: str
    source: str  # as it is shown and kept: without secrets
    files: tuple[Remote, ...]
    header: Header | None  # None where it is longer than 64 MB
    head: bytes  # the first bytes of the first file
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def need(self) -> memory.Need | None:
        """The memory for an engine with the usual slots and context."""
        return memory.need(self.header, self.size) if self.header else None

    @property
    def checked(self) -> bool:
        """Whether a checksum of every file is known."""
        return all(file.sha256 for file in self.files)

    def record(self) -> dict[str, Any]:
        """What is kept beside the model."""
        return {"source": self.source, "files": [_file_record(file) for file in self.files]}

    def is_same(self, record: dict[str, Any]) -> bool:
        """Whether what is on the shelf is what would be brought."""
        return record.get("source") == self.source and record.get("files") == [_file_record(file) for file in self.files]


def make(web: Web, source: Repository | Link, name: str | None = None, sha256: str | None = None) -> Plan:
    """Ask the server what there is. Raises Unclear, Again, CannotPull."""
    return _of_hub(web, source, name, sha256) if isinstance(source, Repository) else _of_link(web, source, name, sha256)


def facts(plan: Plan) -> list[str]:
    """`8.2 billion parameters`, `context up to 40,960 tokens`: as far as the header says."""
    header = plan.header
    if header is None:
        return []
    found = []
    label = header.fields.get("general.size_label")
    if len(plan.files) == 1 and header.parameters:
        found.append(f"{counted(header.parameters)} parameters")
    elif isinstance(label, str) and re.fullmatch(r"[\w.x -]{1,24}", label, re.ASCII):
        found.append(f"{label} parameters")
    if context := header.whole("context_length"):
        found.append(f"context up to {context:,} tokens")
    if header.architecture and re.fullmatch(r"[\w.-]{1,32}", header.architecture, re.ASCII):
        found.append(header.architecture)
    return found


def counted(number: int) -> str:
    """`8.2 billion`, `494 million`, `12,000`."""
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if number >= unit:
            return f"{number / unit:.1f} {name}" if number < 100 * unit else f"{number / unit:.0f} {name}"
    return f"{number:,}"


def _of_hub(web: Web, source: Repository, name: str | None, sha256: str | None) -> Plan:
    found = offers(web, source)
    offer, by_default = chosen(found, source)
    notes = []
    if by_default:
        notes.append(f"{USUAL} of {len(found)} models; another one: hf.co/{source.name}:FILE (such as {_other(found, offer)})")
    files = offer.parts
    if sha256 is not None:
        if len(files) > 1:
            raise Unclear("--checksum is for one file, and this model has several parts")
        if files[0].sha256 not in (None, sha256):
            raise CannotPull(f"the hub has another file than the one with that checksum: its SHA-256 is {files[0].sha256}")
        files = (files[0]._replace(sha256=sha256),)
    head, header, reply_validator = _look(web, files[0])
    if not files[0].sha256:
        files = (files[0]._replace(validator=reply_validator), *files[1:])
        notes.append("the hub has no checksum for this file, so only its size can be checked")
    revision = "" if source.revision == "main" else f"@{source.revision}"
    return Plan(name or named(offer.stem), f"hf.co/{source.name}{revision}:{offer.path}", files, header, head, tuple(notes))


def _of_link(web: Web, source: Link, name: str | None, sha256: str | None) -> Plan:
    file = source.shown.rpartition("/")[2]
    if SPLIT.fullmatch(file):
        raise Unclear("that is one part of a split model, and an address says nothing of the others; pull the repository that holds it, or a file of one part")
    remote = Remote(source.url, file or "the file", 2**62, sha256)
    with web.get(source.url, {"range": "bytes=0-7"}) as reply:
        size = reply.length
        if size is None:
            raise CannotPull(f"{place(source.url)} does not say how large the file is, so it can be neither resumed nor checked")
        remote = remote._replace(size=size, validator=validator(reply))
    head, header, _ = _look(web, remote)
    notes = []
    if not sha256:
        plain = "" if source.url.startswith("https:") else ", and the address is not https: anybody on the way could change it"
        notes.append(f"no checksum is known for it{plain}; --checksum HEX gives one")
    stem = file[: -len(".gguf")] if file.lower().endswith(".gguf") else file
    return Plan(name or named(stem), source.shown, (remote,), header, head, tuple(notes))


def _look(web: Web, remote: Remote) -> tuple[bytes, Header | None, str | None]:
    """The first bytes, the header in them, and the validator. Raises CannotPull where the file is no GGUF."""
    data, count = b"", min(FIRST_LOOK, remote.size)
    while True:
        data, reply = peek(web, remote, count, data)
        try:
            return data, read_header(data), validator(reply)
        except NotGguf as error:
            raise CannotPull(f"what {place(remote.url)} sends is no GGUF file: {error}") from None
        except TooShort:
            if len(data) < count:
                raise Again("the connection broke" if len(data) < remote.size else "the file ends within its header") from None
            if count >= remote.size:
                raise CannotPull("the file ends within its own header, so it is damaged there") from None
            if count >= LONGEST_LOOK:
                return data, None, validator(reply)
            count = min(count * 2, LONGEST_LOOK, remote.size)


def named(stem: str) -> str:
    """The name a model gets from its file's. Raises Unclear where none can be made of it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem.rpartition("/")[2]).strip("-._")[:100]
    if not is_name(name):
        raise Unclear("the file's name makes no name for a model; give one: --name NAME")
    return name


def _other(found: list[Offer], offer: Offer) -> str:
    return next(other.path for other in reversed(found) if other is not offer)


def _file_record(file: Remote) -> dict[str, Any]:
    return {"name": file.name, "size": file.size, "sha256": file.sha256, "validator": None if file.sha256 else file.validator}
