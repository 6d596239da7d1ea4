"""Notifications: events out of the outbox to apprise URLs, in order, with retry, beside a running gateway."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeport.errors import HomeportError
from homeport.monitor import courier, message
from homeport.rules import notification
from homeport.vocabulary import Event

if TYPE_CHECKING:
    from homeport.monitor.outbox import Outbox

log = logging.getLogger("homeport")

COURIER = Path(courier.__file__)
TIMEOUT_S = 60.0  # for one delivery
GRACE_S = 2.0  # when stopping, for the one under way
ASLEEP_S = 60.0  # how long to sleep within quiet hours before looking at the clock again
WHY = {
    courier.REFUSED: "the receiver did not take it: look at the address, its token, and whether it can be reached from here",
    courier.UNKNOWN: "apprise knows no such address: see its list of services, and compare the part before ://",
    courier.BROKEN: "apprise cannot be loaded: install Homeport anew",
}
Send = Callable[[str, Event, threading.Event], str | None]


class Target:
    """One apprise URL. `key` names it in the outbox, `label` to people; neither tells the URL, which may hold a token."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.key = hashlib.sha256(url.encode()).hexdigest()[:16]
        self.label = f"{url.partition('://')[0]}:// (notify {number})"
        self.failures = 0
        self.again = 0.0  # on the clock of `Messenger.turn`

    def __repr__(self) -> str:
        return f"Target({self.label!r})"


def targets(urls: Sequence[str]) -> list[Target]:
    """A target for each different URL."""
    return [Target(url, number) for number, url in enumerate(dict.fromkeys(urls), 1)]


def deliver(url: str, event: Event, ended: threading.Event | None = None) -> str | None:
    """Send one event by a child process; why it was not taken, or None where it was. `ended` cuts the wait short."""
    fields = msgspec.to_builtins(event)
    plain = url.partition("://")[0].lower() in ("json", "jsons")
    order = {
        "url": url,
        "title": message.title(event),
        "body": json.dumps(fields, ensure_ascii=False) if plain else message.text(event),
        "kind": event.kind,
        "fields": fields if plain else {},
    }
    own: dict[str, Any] = {"start_new_session": True}  # the terminal's Ctrl-C is for the gateway alone
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    command = [sys.executable, "-P", str(COURIER)]  # -P: siblings of the script shadow nothing
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **own) as child:
            try:
                return _sent(child, order, ended)
            finally:
                child.kill()
    except OSError as error:
        return f"no process can be started to send it: {error.strerror}"


def _sent(child: subprocess.Popen[bytes], order: dict[str, Any], ended: threading.Event | None) -> str | None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.close()
    deadline = time.monotonic() + TIMEOUT_S
    while (left := deadline - time.monotonic()) > 0:
        try:
            code = child.wait(min(left, 0.25))
        except subprocess.TimeoutExpired:
            if ended is not None and ended.is_set():
                deadline = min(deadline, time.monotonic() + GRACE_S)
                ended = None
            continue
        return WHY.get(code, f"the sending process ended with status {code}") if code else None
    return "it was not taken in time"


class Messenger:
    """Delivers what the outbox in `folder` holds, in a thread of its own, from `start` to `stop`.

    A target that fails is tried again after a while, its events in their order; others do not wait for it. `quiet` says
    whether to hold everything back now.
    """

    def __init__(
        self,
        folder: Path,
        to: Sequence[Target],
        *,
        quiet: Callable[[], bool] = lambda: False,
        send: Send = deliver,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._folder = folder
        self._targets = to
        self._quiet = quiet
        self._send = send
        self._clock = clock
        self._chance = chance
        self._taken: set[tuple[str, str]] = set()  # (event, target): taken, but the outbox could not be told yet
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    def start(self) -> None:
        """Begin, with what was left over by the run before."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._woken.set()

    def stop(self) -> None:
        """End; what is not taken by then waits in the outbox for the next start."""
        self._ended.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def turn(self, outbox: Outbox) -> float | None:
        """Deliver what is due; after how many seconds to come again, or None where nothing waits. Raises HomeportError."""
        again: list[float] = []
        for target in self._targets:
            waiting = outbox.waiting(target.key)
            if not waiting or self._ended.is_set():
                continue
            if self._quiet():
                again.append(ASLEEP_S)
            elif target.again > self._clock():
                again.append(target.again - self._clock())
            elif not all(self._hand_over(outbox, target, event) for event in waiting):
                again.append(max(0.0, target.again - self._clock()))
        return min(again, default=None)

    def _hand_over(self, outbox: Outbox, target: Target, event: Event) -> bool:
        """Send one event and note that it was taken; whether it was."""
        if (event.id, target.key) not in self._taken:
            why = self._send(target.url, event, self._ended)
            if why is not None:
                target.failures += 1
                target.again = self._clock() + notification.wait_s(target.failures, self._chance())
                if target.failures == 1 and not self._ended.is_set():
                    log.warning("a notification could not be delivered to %s: %s. It is tried again until it is.", target.label, why)
                return False
            self._taken.add((event.id, target.key))
            if target.failures:
                log.warning("notifications are delivered to %s again", target.label)
            target.failures, target.again = 0, 0.0
        outbox.acknowledge(event.id, target.key)
        self._taken.discard((event.id, target.key))
        return True

    def _run(self) -> None:
        from homeport.monitor.outbox import Outbox

        outbox: Outbox | None = None
        while not self._ended.is_set():
            self._woken.clear()
            try:
                if outbox is None:
                    outbox = Outbox(self._folder)
                rest = self.turn(outbox)
            except HomeportError as error:
                log.warning("notifications wait: %s", error)
                rest = ASLEEP_S
            self._woken.wait(rest)
        if outbox is not None:
            outbox.close()
