"""Take a lease, send, and fail over until the commit point."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from types import TracebackType

from homeport.errors import BackendError, BrokeMidStream, CallerError, ClientLeft, HomeportError, Looped, NoRouteLeft, NotReplayed, Unauthenticated, Uncarried
from homeport.journey.tally import Account
from homeport.ports import Backend, Lease, Upstream
from homeport.rules import retry, selection
from homeport.vocabulary import Ask, Route
from homeport.wire import needs

log = logging.getLogger("homeport")

FULL_RETRY_S = 2  # where nobody said when there is room
LONGEST_RETRY_S = 60.0  # no caller is told to wait for longer


class Try:
    """One attempt at one route. Leaving it gives the lease back and closes what is not at its end.

    A BackendError inside, before the commit point and with tries left, ends here: the journey goes on to the next route.
    """

    __slots__ = ("_account", "_ask", "_backend", "_lease", "_route", "upstream")

    def __init__(self, ask: Ask, route: Route, backend: Backend, account: Account) -> None:
        self._ask = ask
        self._route = route
        self._backend = backend
        self._account = account
        self._lease: Lease | None = None
        self.upstream: Upstream | None = None

    def __enter__(self) -> Try:
        self._account.begin(self._route, self._backend)
        return self

    def take(self) -> bool:
        """Take a place now; False where there is none."""
        self._lease = self._backend.take(self._route.model)
        return self._lease is not None

    async def wait(self) -> None:
        """Wait for a place. Raises Refused where none comes free in time, or the backend is left out for now."""
        waited = time.perf_counter()
        try:
            self._lease = await self._backend.wait(self._route.model, self._account.caller.key, only=self._account.choices == 1)
        finally:
            self._account.queue_s += time.perf_counter() - waited

    def send(self) -> Upstream:
        """Send the ask to the place taken; it is on record before."""
        self._account.started()
        upstream = self.upstream = self._backend.send(self._ask, self._route)
        return upstream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        account, upstream = self._account, self.upstream
        if upstream is not None:
            if error is None:
                upstream.finish()
            else:
                upstream.close()
        if self._lease is not None:
            if self._backend.seen(self._route.model, error, upstream):
                self._lease.linger()
            else:
                self._lease.release()
        if error is None:
            account.end("ok", "")
            return False
        account.end(_outcome(error), _reason(error))
        if isinstance(error, BackendError):
            if error.outcome in ("unreachable", "full") and not error.one_name:
                account.shut += (self._route.backend,)
            log.warning("%s: attempt %d at %s (%s) failed: %s", self._ask.id, len(account.attempts), self._route.backend, self._route.model, error)
        if isinstance(error, Uncarried):  # another route may speak the caller's dialect
            account.uncarried = error
            return True
        if not isinstance(error, BackendError) or (account.committed and not account.may_continue(error)):
            return False
        if error.gone and needs.constrained(self._ask):
            raise _not_replayed(self._route.backend) from error
        if error.retry_in_s is not None:
            account.retry_in_s = min(account.retry_in_s, error.retry_in_s)
        if not retry.goes_on(attempts=account.sends):
            raise exhausted(self._ask, account) from error
        return True


class Dispatch:
    """Opens one Try after another (step `dispatch`)."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._budget = retry.MOST
        self.held_back = 0  # retries that the budget did not allow

    def __call__(self, ask: Ask, route: Route, account: Account) -> Try:
        """The next attempt. Raises NoRouteLeft where the budget of retries is used up."""
        backend = self._backends[route.backend]
        if not account.sends:
            if self._budget < retry.MOST:
                self._budget = retry.earned(self._budget)
        elif not retry.affordable(self._budget, well=backend.rank(route.model) == selection.WELL):
            self.held_back += 1
            raise exhausted(ask, account)
        else:
            self._budget = max(0.0, self._budget - 1.0)
        return Try(ask, route, backend, account)


def exhausted(ask: Ask, account: Account) -> HomeportError:
    """The error for when no route is left: what each attempt met; or what no backend's dialect could carry; or that the answer stays cut."""
    if account.uncarried is not None and all(attempt.outcome == "rejected" for attempt in account.attempts):
        return account.uncarried
    met = "; ".join(f"{attempt.backend}: {attempt.reason}" for attempt in account.attempts)
    if account.committed:
        return BrokeMidStream(f"the answer was cut, and nobody could go on with it. {met}")
    if account.attempts and all(attempt.outcome == "loop" for attempt in account.attempts):
        return Looped(
            f"`{ask.model}` leads in a circle of Homeports. {met}. Take the route that leads back out of one of their homeport.toml files, and reload."
        )
    error = NoRouteLeft(f"No backend could answer `{ask.model}` just now. {met}. `homeport status` shows how they are.")
    if account.attempts and all(attempt.outcome == "barred" for attempt in account.attempts):
        error.should_retry = False
    elif account.attempts and all(attempt.outcome == "full" for attempt in account.attempts):
        error.code = "queue_full"
        error.retry_after_s = FULL_RETRY_S if account.retry_in_s == math.inf else max(1, math.ceil(min(account.retry_in_s, LONGEST_RETRY_S)))
    elif account.retry_in_s < NoRouteLeft.retry_after_s or (account.attempts and all(attempt.outcome == "open" for attempt in account.attempts)):
        error.retry_after_s = max(1, math.ceil(min(account.retry_in_s, LONGEST_RETRY_S)))
    return error


def _not_replayed(backend: str) -> NotReplayed:
    return NotReplayed(
        f"{backend} went away while it worked on this request, which asks for an answer by a schema or a grammar. Engines have died of such, so it is "
        "not sent to another one. Ask without it, or with a simpler one."
    )


def _outcome(error: BaseException) -> str:
    if isinstance(error, BackendError):
        return error.outcome
    if isinstance(error, ClientLeft):
        return "client_left"
    if isinstance(error, Unauthenticated):
        return "revoked"
    return "rejected" if isinstance(error, CallerError) else "failed"


def _reason(error: BaseException) -> str:
    """A reason fit for receipts: a caller's error may quote the prompt, so only its kind is kept."""
    if isinstance(error, BackendError):
        return str(error)
    return f"HTTP {error.status}" if isinstance(error, CallerError) else type(error).__name__
