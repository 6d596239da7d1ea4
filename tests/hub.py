"""A hub for tests: the file API with its redirects to a storage host of another origin, and the faults of both."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit


@dataclass
class Asked:
    """One request that came."""

    host: str  # "hub" or "storage"
    path: str
    headers: dict[str, str]


@dataclass
class Hub:
    """`with Hub({"ORG/REPO": {"model.gguf": data}}) as hub:`, then `HF_ENDPOINT=hub.url`. Plain files are at `hub.storage_url`/ORG/REPO/FILE too."""

    repos: dict[str, dict[str, bytes]]
    cuts: list[int] = field(default_factory=list)  # of the next answers of the storage: bytes until the connection is reset
    refusals: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)  # the next answers: host, status, headers
    ranges: bool = True
    etags: bool = True
    page: bytes | None = None  # what the storage says instead of a file
    spoil: bool = False  # the storage sends a byte that is not the file's
    listed: dict[str, str] = field(default_factory=dict)  # checksums that the list tells instead of the true ones
    plain_list: bool = False  # the list has no checksums
    per_page: int = 1000
    pause: threading.Event | None = None  # the storage sends half of a file, then waits for it
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._servers = [_server(self, "hub"), _server(self, "storage")]
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        return self

    def __exit__(self, *_: object) -> None:
        if self.pause is not None:
            self.pause.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def to(self, host: str) -> list[Asked]:
        """The requests that came to one host."""
        return [asked for asked in self.asked if asked.host == host]

    @property
    def ranges_asked(self) -> list[str | None]:
        """The Range of each request to the storage."""
        return [asked.headers.get("range") for asked in self.to("storage")]


class Door(BaseHTTPRequestHandler):
    """One of the two hosts."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    host: str

    def do_GET(self) -> None:
        self.hub.asked.append(Asked(self.host, self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.hub.refusals and self.hub.refusals[0][0] == self.host:
            _, status, headers = self.hub.refusals.pop(0)
            self.say(status, b"<html>no</html>", headers)
        elif self.host == "hub":
            self.tell()
        else:
            self.store()

    def tell(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[4:5] == ["tree"]:
            files = self.hub.repos.get("/".join(parts[2:4]))
            if files is None:
                self.say(401, b"{}", {"x-error-code": "RepoNotFound"})
            else:
                self.enumerate(files)
        elif parts[2:3] == ["resolve"]:
            repo, name = "/".join(parts[:2]), "/".join(parts[4:])
            data = self.hub.repos[repo][name]
            headers = {
                "location": f"{self.hub.storage_url}/{repo}/{quote(name)}?Signature=SECRET",
                "x-linked-etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "x-linked-size": str(len(data)),
            }
            self.say(302, b"", headers)
        else:
            self.say(404, b"{}", {"x-error-code": "EntryNotFound"})

    def enumerate(self, files: dict[str, bytes]) -> None:
        query = urlsplit(self.path).query
        start = int(query.rpartition("cursor=")[2]) if "cursor=" in query else 0
        rows: list[dict[str, Any]] = [{"type": "directory", "path": "q", "size": 0, "oid": "0"}]
        for name, data in [*files.items()][start : start + self.hub.per_page]:
            row: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": "1" * 40}
            if name.endswith(".gguf") and not self.hub.plain_list:
                digest = self.hub.listed.get(name) or hashlib.sha256(data).hexdigest()
                row["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
            rows.append(row)
        more = {"link": f'<{self.hub.url}{urlsplit(self.path).path}?recursive=true&cursor={start + self.hub.per_page}>; rel="next"'}
        self.say(200, json.dumps(rows).encode(), more if start + self.hub.per_page < len(files) else {})

    def store(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        found = self.hub.repos.get("/".join(parts[:2]), {}).get("/".join(parts[2:]))
        if self.hub.page is not None:
            self.say(200, self.hub.page, {"content-type": "text/html"})
        elif found is None:
            self.say(404, b"nothing", {})
        else:
            self.file(found)

    def file(self, data: bytes) -> None:
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        start, end, status = 0, len(data) - 1, 200
        told = self.headers.get("range", "")
        if told and self.hub.ranges and self.headers.get("if-range", etag) == etag:
            first, _, last = told.removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last or end), end), 206
        if start > end:
            self.say(416, b"", {"content-range": f"bytes */{len(data)}"})
            return
        body = data[start : end + 1]
        if self.hub.spoil and start <= len(data) // 2 <= end:
            place = len(data) // 2 - start
            body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        headers = {"etag": etag} if self.hub.etags else {}
        if status == 206:
            headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
        whole = end == len(data) - 1 and len(body) > 8  # a download, not a first look
        cut = self.hub.cuts.pop(0) if whole and self.hub.cuts else None
        self.say(status, body, headers, cut=cut, pause=self.hub.pause if whole else None)

    def say(self, status: int, body: bytes, headers: dict[str, str], *, cut: int | None = None, pause: threading.Event | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if pause is not None:
                self.wfile.write(body[: len(body) // 2])
                pause.wait(30)
                body = body[len(body) // 2 :]
            self.wfile.write(body if cut is None else body[:cut])
        except OSError:
            return
        if cut is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of callers that left."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def _server(hub: Hub, host: str) -> Server:
    server = Server(("127.0.0.1", 0), type("Door", (Door,), {"hub": hub, "host": host}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
