"""The journey of one request, on one page: read this first."""

from __future__ import annotations

from msgspec import Struct

from homeport.journey.accept import Accept
from homeport.journey.admit import Admit
from homeport.journey.answer import Answers
from homeport.journey.cache import NoCache
from homeport.journey.choose import Choose
from homeport.journey.dispatch import Dispatch, exhausted
from homeport.journey.relay import Relay
from homeport.journey.review import Review
from homeport.journey.tally import Tally
from homeport.ports import Out
from homeport.vocabulary import Request


class Steps(Struct, frozen=True):
    """The nine steps, as `app` put them together."""

    accept: Accept
    admit: Admit
    answer: Answers
    cache: NoCache
    choose: Choose
    dispatch: Dispatch
    relay: Relay
    review: Review
    tally: Tally


async def serve(request: Request, out: Out, step: Steps) -> None:
    """Answer one request.

    The commit point: once content has reached the caller, neither failover nor escalation is honest. A stream commits
    with its first content; a whole reply is held until it is reviewed, so its commit point is its end. Behind it only the
    same model may go on, with the very text that the caller has, where the owner allows it (`on_break = "continue"`).
    """
    with step.accept(request, out) as reception:  # what is raised in here is told to the caller, in the caller's dialect
        ask = reception.ask()
        with step.tally(ask) as account:  # one receipt, whatever happens
            caller = out.caller = account.caller = step.admit(ask)
            ready = step.answer(ask) or step.cache.find(ask, caller)
            if ready is not None:
                return step.relay.release(ready, ask, out, account)
            for route in account.ways(step.choose(ask, caller)):
                if account.attempts and account.gave_up(route.backend):
                    continue
                with step.dispatch(ask, route, account) as attempt:  # the lease lives in here; a failure may end here
                    if not attempt.take():
                        await attempt.wait()  # for a place, in a bounded queue
                    upstream = attempt.send()
                    reply = await step.relay(upstream, ask, out, account)
                    step.review(reply)
                    step.cache.keep(ask, caller, reply)
                    return step.relay.release(reply, ask, out, account)
            raise exhausted(ask, account)
