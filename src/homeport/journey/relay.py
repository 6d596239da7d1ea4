"""Upstream → client: streamed as it comes, or held until it is whole; back-pressure, and the commit point."""

from __future__ import annotations

import time

from homeport.errors import BrokeMidStream, Refused
from homeport.journey.tally import Account
from homeport.ports import Out, Upstream
from homeport.vocabulary import NOTHING, Ask, Reply, Usage
from homeport.wire import node
from homeport.wire.bridge import BRIDGES
from homeport.wire.crossing import Bridge

_JSON = "application/json"
MOST_HEADS = 1024  # that are kept made
_ERROR_BYTES = 64 * 1024  # of a refusal's body that are read
_STREAM = "content-type: %s\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"


class Relay:
    """Carries one answer to its caller (step `relay`)."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, str, str], str] = {}

    async def __call__(self, upstream: Upstream, ask: Ask, out: Out, account: Account) -> Reply:
        """Stream an answer to its end, or read it whole and hold it.

        Raises BackendError: before content reached the caller the next route may be tried; after that the answer is cut.
        """
        bridge = BRIDGES[account.dialect][ask.surface]
        body = await upstream.head()
        if upstream.status != 200:
            refusal = await _some(upstream)
            if account.committed:  # it was to go on with a begun answer, which is no fault of the caller's
                raise Refused(f"HTTP {upstream.status}, and does not go on with the answer")
            instead = bridge.instead(upstream.status, ask)
            if instead is None:
                raise node.refusal(upstream.status, upstream.headers, bridge.refusal(upstream.status, refusal))
            return Reply(200, _JSON, instead, NOTHING, None, False, 0.0)
        if b"x-homeport-model" in upstream.headers:
            account.hear(upstream.headers)
        content_type = upstream.headers.get(b"content-type", b"").decode("latin-1")
        if not content_type.startswith(bridge.stream_type):
            if account.committed:
                raise BrokeMidStream("it answered with a whole where a stream was to go on")
            body, usage, finish, empty = bridge.whole(await upstream.whole() if body is None else body, ask, int(account.ts))
            return Reply(200, content_type, body, usage, finish, empty, account.generation_s())
        if ask.stream:
            return await self._stream(upstream, bridge, ask, out, account)
        return await self._assemble(upstream, bridge, ask, account)

    def release(self, reply: Reply, ask: Ask, out: Out, account: Account) -> None:
        """Show a held reply; its receipt is on record before."""
        body = reply.body
        if body is None:  # it was streamed
            return
        usage = reply.usage
        if ask.stream:
            spoken = "openai" if account.dialect == "responses" else account.dialect  # answered without a model: that dialect no backend speaks
            bridge = BRIDGES[spoken][ask.surface]
            events = bridge.unfold(body, ask, int(account.ts), account.figures(usage, reply.generation_s))
            account.settle("ok", reply)
            out.begin(200, (self._head(account) + _STREAM % bridge.out_type).encode("latin-1", "replace"))
            out.end(events)
            return
        if ask.dialect == "ollama" and account.backend is not None:
            body = BRIDGES[account.dialect][ask.surface].timed(body, account.figures(usage, reply.generation_s))
        speed, spent = account.settle("ok", reply), int(reply.generation_s * 1_000_000)
        figures = f"x-tok-per-s: {speed}\r\nx-gen-time: {spent // 1_000_000}.{spent % 1_000_000:06d}\r\nx-tokens: {usage.completion}\r\n"
        head = f"{self._head(account)}{figures}content-type: {reply.content_type}\r\n"
        out.whole(200, head.encode("latin-1", "replace"), body)

    async def _stream(self, upstream: Upstream, bridge: Bridge, ask: Ask, out: Out, account: Account) -> Reply:
        stream = bridge.stream(ask, int(account.ts)) if account.resumption is None else account.resume(bridge)
        events = 0

        def take(data: bytes) -> bool:
            nonlocal events
            passed = stream.feed(data)
            if stream.events != events:
                events = stream.events
                upstream.progress()
            if passed:
                if not account.committed:
                    self._begin(out, account, bridge)
                out.write(passed)
            return stream.done or out.paused

        try:
            while await upstream.pump(take) and not stream.done:
                upstream.wait()
                await out.drained()
                upstream.progress()
        finally:
            account.usage = stream.usage or Usage(completion=stream.events, estimated=True)
        if not stream.begun:
            raise BrokeMidStream("the stream ended without an answer")
        reply = Reply(200, bridge.out_type, None, account.usage, stream.finish, False, account.generation_s())
        last = stream.close(account.figures(reply.usage, reply.generation_s))
        if not account.committed:
            self._begin(out, account, bridge)
        account.settle("ok", reply)
        out.end(last)
        return reply

    async def _assemble(self, upstream: Upstream, bridge: Bridge, ask: Ask, account: Account) -> Reply:
        whole = bridge.assembly(ask, int(account.ts))
        events = 0

        def take(data: bytes) -> bool:
            nonlocal events
            whole.feed(data)
            if whole.events != events:
                if not events:
                    account.first_token_at = time.perf_counter()
                events = whole.events
                upstream.progress()
            return whole.done

        await upstream.pump(take)
        body, finish, empty = whole.whole()
        return Reply(200, _JSON, body, whole.usage or Usage(completion=events, estimated=True), finish, empty, account.generation_s())

    def _begin(self, out: Out, account: Account, bridge: Bridge) -> None:
        """The commit point."""
        account.commit()
        out.begin(200, (self._head(account) + _STREAM % bridge.out_type).encode("latin-1", "replace"))

    def _head(self, account: Account) -> str:
        """The header lines that every answer of a model carries."""
        route, backend = account.route, account.backend
        if route is None or backend is None:  # answered without a model
            also = f"request-id: {account.ask.id}\r\n" if account.ask.dialect == "anthropic" else ""
            return f"x-homeport-attempts: 0\r\nx-request-id: {account.ask.id}\r\n{also}"
        model, location = account.answered or (route.model, backend.location)
        head = self._heads.get((backend.name, model, location))
        if head is None:
            lines = (("x-homeport-backend", backend.name), ("x-homeport-model", model), ("x-homeport-location", location))
            head = "".join(f"{field}: {_clean(value)}\r\n" for field, value in lines)
            if len(self._heads) < MOST_HEADS:
                self._heads[backend.name, model, location] = head
        ask = account.ask
        also = f"request-id: {ask.id}\r\n" if ask.dialect == "anthropic" else ""  # where its SDK looks for it
        return f"{head}x-homeport-attempts: {account.tries}\r\nx-request-id: {ask.id}\r\n{also}"


async def _some(upstream: Upstream) -> bytes:
    """The beginning of a refusal's body."""
    body = bytearray()

    def take(data: bytes) -> bool:
        body.extend(data)
        return len(body) > _ERROR_BYTES

    await upstream.pump(take)
    return bytes(body)


def _clean(value: str) -> str:
    """A header value: one line of printable characters."""
    return "".join(character for character in value if character.isprintable())
