"""A receiver of notifications: what apprise's `json://` posts to it, and what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Receiver:
    """`with Receiver() as receiver:` then `receiver.url` for `notify`, `receiver.http` for anything else.

    `status` is what it answers; `held`, while set to an event, keeps answers back until the event is set. `posts` and
    `gets` are what came, answered with 2xx or not; `taken` the events among the posts that were answered with 2xx.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.status = 200
        self.held: threading.Event | None = None
        self.posts: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.gets: list[str] = []
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with receiver._changed:
                    receiver.posts.append(body)
                    receiver._changed.notify_all()
                if receiver.held is not None:
                    receiver.held.wait(30)
                status = receiver.status
                with receiver._changed:
                    if status < 300:
                        receiver.taken.append(json.loads(body["message"]))
                    receiver._changed.notify_all()
                self.answer(status)

            def do_GET(self) -> None:
                with receiver._changed:
                    receiver.gets.append(self.path)
                    receiver._changed.notify_all()
                self.answer(receiver.status)

            def answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def until(self, predicate: Callable[[], bool], timeout_s: float = 20.0) -> bool:
        """Whether it holds within so many seconds."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    @property
    def kinds(self) -> list[tuple[str, str | None]]:
        """(kind, backend) of what was taken, in order."""
        return [(event["kind"], event["backend"]) for event in self.taken]
