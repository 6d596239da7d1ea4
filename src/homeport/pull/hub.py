"""What a repository of the hub holds, by its file API, and which of its GGUF files is meant.

`GET /api/models/ORG/REPO/tree/REVISION?recursive=true` lists the files, in pages (`Link: <…>; rel="next"`): each `path`, `size`, and for
large files `lfs.oid`, the SHA-256 of the content. `GET /ORG/REPO/resolve/REVISION/PATH` leads to a file, mostly by a redirect to a storage
host; its own answer says `X-Linked-ETag` and `X-Linked-Size` of what it leads to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from homeport.pull.failure import CannotPull, Unclear
from homeport.pull.source import Repository
from homeport.pull.web import Web

USUAL = "Q4_K_M"  # the quantisation that is taken where none is named: about 4.8 bits a weight, little lost
SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<all>\d{5})\.gguf", re.IGNORECASE)
SIDE_FILES = ("mmproj", "imatrix")  # what lies beside models and is none
SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_PAGES = 100


class Remote(NamedTuple):
    """One file as a server has it."""

    url: str
    name: str  # without folders
    size: int  # bytes
    sha256: str | None = None
    validator: str | None = None  # an ETag or a date for If-Range, where the content has no checksum


class Offer(NamedTuple):
    """One model in a repository: a file, or all parts of a split one in order."""

    path: str  # of the file, or of its first part
    parts: tuple[Remote, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def stem(self) -> str:
        """The path without `.gguf` and without the number of a part."""
        split = SPLIT.fullmatch(self.path)
        return split["stem"] if split else self.path[: -len(".gguf")]


def offers(web: Web, repository: Repository) -> list[Offer]:
    """The models in a repository, by size. Raises Again, CannotPull."""
    url: str | None = f"{web.hub}/api/models/{repository.name}/tree/{quote(repository.revision, safe='')}?recursive=true"
    files: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        if url is None:
            break
        if not url.startswith(web.hub + "/"):
            raise CannotPull("the hub's list goes on at another host, which is not followed")
        page, url = web.json(url)
        if not isinstance(page, list):
            raise CannotPull(f"the hub's list of {repository.name} has an unknown form")
        files += [entry for entry in page if isinstance(entry, dict) and entry.get("type") == "file" and isinstance(entry.get("path"), str)]
    found = _grouped([remote for entry in files if (remote := _remote(web, repository, entry)) is not None])
    if not found:
        kinds = sorted({entry["path"].rpartition(".")[2] for entry in files if "." in entry["path"]})
        what = f"its files are of the kinds {', '.join(kinds[:6])}" if kinds else "it is empty"
        raise CannotPull(f"{repository.name} holds no whole GGUF file ({what}). Look for a repository of the same model whose name ends with -GGUF")
    return sorted(found, key=lambda offer: offer.size)


def chosen(found: Sequence[Offer], repository: Repository) -> tuple[Offer, bool]:
    """The one that is meant, and whether it was chosen here because none was named. Raises Unclear, with a list of what there is."""
    wanted = repository.wanted
    if wanted is None:
        usual = [offer for offer in found if _tagged(offer, USUAL)]
        if len(found) == 1 or len(usual) == 1:
            return (found if len(found) == 1 else usual)[0], len(found) > 1
        raise Unclear(f"{repository.name} holds {len(found)} models; name one of them after a colon", _choices(found, repository))
    plain = wanted.lower().removesuffix(".gguf")
    exact = [offer for offer in found if plain in _names(offer)]
    near = exact or [offer for offer in found if _tagged(offer, wanted)]
    if len(near) == 1:
        return near[0], False
    if near:
        raise Unclear(f"{wanted} could be {len(near)} files of {repository.name}; name one of them", _choices(near, repository))
    raise Unclear(f"{repository.name} has no GGUF file {wanted}", _choices(found, repository))


def size_of(count: int) -> str:
    """`4.7 GB`, `380 MB`, `12 KB`: in powers of ten, as the hub shows them."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 100 * unit else f"{count / unit:.0f} {name}"
    return f"{count} bytes"


def _remote(web: Web, repository: Repository, entry: dict[str, Any]) -> Remote | None:
    path = entry["path"]
    name = path.rpartition("/")[2]
    if not name.lower().endswith(".gguf") or ".." in path.split("/") or any(word in name.lower() for word in SIDE_FILES):
        return None
    told = entry.get("lfs")
    lfs: dict[str, Any] = told if isinstance(told, dict) else {}
    size = lfs.get("size", entry.get("size"))
    oid = str(lfs.get("oid") or lfs.get("sha256") or "").removeprefix("sha256:").lower()
    if not isinstance(size, int) or size <= 0:
        return None
    url = f"{web.hub}/{repository.name}/resolve/{quote(repository.revision, safe='')}/{quote(path)}"
    return Remote(url, path, size, oid if SHA256.fullmatch(oid) else None)


def _grouped(files: list[Remote]) -> list[Offer]:
    """Single files, and split ones of which every part is there."""
    groups: dict[tuple[str, int], dict[int, Remote]] = {}
    found = []
    for file in files:
        split = SPLIT.fullmatch(file.name)
        if split:
            groups.setdefault((split["stem"], int(split["all"])), {})[int(split["part"])] = file
        else:
            found.append(Offer(file.name, (_named(file),)))
    for (_, count), parts in groups.items():
        if 0 < count <= len(parts) and all(number in parts for number in range(1, count + 1)):
            found.append(Offer(parts[1].name, tuple(_named(parts[number]) for number in range(1, count + 1))))
    return found


def _named(file: Remote) -> Remote:
    return file._replace(name=file.name.rpartition("/")[2])


def _names(offer: Offer) -> set[str]:
    """All that a file may be called: with and without its folders, and as any of its parts."""
    folder, slash, _ = offer.path.rpartition("/")
    stem = offer.stem.lower()
    whole = {stem, stem.rpartition("/")[2]}
    for part in offer.parts:
        name = part.name.lower().removesuffix(".gguf")
        whole |= {name, f"{folder.lower()}{slash}{name}"}
    return whole


def _tagged(offer: Offer, tag: str) -> bool:
    """Whether a file's name ends with the name of a quantisation."""
    return re.search(rf"(^|[-._/]){re.escape(tag)}$", offer.stem, re.IGNORECASE) is not None


def _choices(found: Sequence[Offer], repository: Repository) -> list[tuple[str, int]]:
    return [(f"hf.co/{repository.name}:{offer.path}", offer.size) for offer in found]
