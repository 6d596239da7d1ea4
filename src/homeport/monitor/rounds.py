"""Rounds: other Homeports are looked at, and the dead man's switch is pinged while this one is well.

A gateway that is dead cannot say so. So two of them may watch each other, and a service elsewhere may raise the alarm
when its URL is no longer asked for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from homeport.settings import from_here
from homeport.vocabulary import Finding

log = logging.getLogger("homeport")

TIMEOUT_S = 5.0
Get = Callable[[str], int]


def get(url: str) -> int:
    """The status of what answers there. Raises OSError where nothing does."""
    import urllib.error  # only here: most gateways go no rounds
    import urllib.request
    from http.client import HTTPException

    direct = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if direct else []))
    request = urllib.request.Request(url, headers={"user-agent": "homeport"})  # noqa: S310 - http or https: checked by the settings
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(0, "no connection") from None
    except (HTTPException, ValueError):
        raise OSError(0, "what answers is no HTTP") from None


def name(peer: str) -> str:
    """What a watched Homeport is called in events."""
    return f"Homeport at {urlsplit(peer).netloc.rpartition('@')[2]}"


class Rounds:
    """Goes round every `period_s` seconds, in a thread of its own, from `start` to `stop`.

    `peers` are addresses of other Homeports, `own` is this one's; `saw` is told what was found at each peer. `dead_man_url` is asked for
    after this gateway has served itself: its `/ready` said that a backend can answer. `looks` are other things to look at, by the names that events have.
    """

    def __init__(
        self,
        peers: Sequence[str],
        dead_man_url: str | None,
        own: Callable[[], str],
        saw: Callable[[str, Finding], None],
        *,
        period_s: float,
        fetch: Get = get,
        looks: Mapping[str, Callable[[], Finding]] | None = None,
    ) -> None:
        self._peers = peers
        self._dead_man_url = dead_man_url
        self._own = own
        self._saw = saw
        self._period_s = period_s
        self._fetch = fetch
        self._looks = looks or {}
        self._trouble = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin, with the first round at once."""
        self._thread.start()

    def stop(self) -> None:
        """End. A request under way is not waited for."""
        self._ended.set()

    def round(self) -> None:
        """Ping, where this gateway is well, then look at all else, and at each peer."""
        if self._dead_man_url is not None and self._status(f"{from_here(self._own())}/ready")[0] == 200:
            self._ping(self._dead_man_url)
        for what, look in self._looks.items():
            self._saw(what, look())
        for peer in self._peers:
            if self._ended.is_set():
                return
            self._saw(name(peer), self._look(peer))

    def _ping(self, url: str) -> None:
        status, why = self._status(url)
        trouble = why or ("" if status < 400 else f"HTTP {status}")
        if trouble and not self._trouble:
            log.warning("dead_man_url could not be pinged: %s", trouble)
        self._trouble = trouble

    def _look(self, peer: str) -> Finding:
        status, why = self._status(f"{peer}/health")
        if status == 200:
            return Finding(True)
        return Finding(False, why or f"no Homeport answers there: HTTP {status}")

    def _status(self, url: str) -> tuple[int, str]:
        """The status at `url`, or 0 and why there is none; the words never hold the URL."""
        try:
            return self._fetch(url), ""
        except TimeoutError:
            return 0, "no answer in time"
        except OSError as error:
            return 0, (error.strerror or type(error).__name__).lower()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.round()
            self._ended.wait(self._period_s)
