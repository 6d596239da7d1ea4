"""What the way a stream arrived says of the proxies before the gateway, with the fix for those most used."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.doctor.diagnosis import Diagnosis, unsure, well, wrong
from homeport.doctor.public import LONG_ENOUGH_S, Public, Stream

REACHABLE, BUFFERING, GZIP, IDS, BODY, ANSWER = (f"public.{name}" for name in ("reachable", "buffering", "compression", "request_id", "body", "answer"))
AT_ONCE = 0.3  # of the time it was made in: what arrives within that was held back
SOME = 4  # moments, from where a stream that was not seen to its end was seen to flow
MANY = 16  # events, from where lumps mean something
LUMP = 8  # events that come at one moment …
PAUSE_S = 0.1  # … with such a silence before the next: no engine works so, and people see it
UNBUFFER = (
    "nginx: proxy_http_version 1.1; proxy_buffering off; without proxy_ignore_headers X-Accel-Buffering; "
    "Caddy: no encode for text/event-stream, and no flush_interval; "
    "Cloudflare: no compression or page rules on this host; Apache: SetEnv proxy-sendchunked, and no mod_deflate there"
)


def judge(seen: Public, *, keyed: bool) -> Iterator[Diagnosis]:
    """What follows. `keyed`: whether a key was sent."""
    url = seen.url
    if seen.fault:
        fix = "see that the proxy runs, its port is open to the world, and the name leads to it"
        yield wrong(REACHABLE, f"{url} does not answer: {seen.fault}", "nobody outside reaches the gateway", fix)
    elif seen.status in (401, 403):
        told = "does not take the key in HOMEPORT_KEY" if keyed else "wants a key"
        yield unsure(
            REACHABLE, f"{url} {told} (HTTP {seen.status}), so streaming through it was not tried", "", "set HOMEPORT_KEY to a key: homeport keys add NAME"
        )
    elif seen.status in (502, 503, 504):
        fix = "see that the gateway runs where the proxy sends to (proxy_pass), and the proxy's error log"
        yield wrong(REACHABLE, f"{url} answers for a gateway that it does not reach (HTTP {seen.status})", "nobody outside reaches the gateway", fix)
    elif not seen.is_homeport:
        fix = "see which path the proxy sends to the gateway; the address given is the one before /v1"
        yield wrong(REACHABLE, f"What answers at {url} is no Homeport (HTTP {seen.status})", "nobody outside reaches the gateway", fix)
    elif seen.stream is not None:
        yield from _streamed(seen, seen.stream)
    if seen.largest_refused:
        mib = seen.largest_refused // (1024 * 1024)
        what = f"Something before the gateway refuses requests of {mib} MiB"
        yield wrong(BODY, what, "long talks and images fail with HTTP 413", "nginx: client_max_body_size 32m; (its default is 1m)")


def _streamed(seen: Public, stream: Stream) -> Iterator[Diagnosis]:
    if stream.fault or stream.status != 200:
        told = stream.fault or f"HTTP {stream.status}"
        yield wrong(ANSWER, f"{seen.model} was asked through {seen.url} and did not answer: {told}", "apps outside get the same", "homeport logs --last 5")
        return
    flow = _buffering(seen, stream)
    yield flow
    if stream.encoding:
        fix = "nginx: take text/event-stream out of gzip_types; Caddy: exclude it from encode; Cloudflare: no compression on this host"
        what, why = f"The stream through {seen.url} is compressed ({stream.encoding})", "compression waits for more text before it passes any on"
        yield unsure(GZIP, what, why + ", though it did not now", fix) if flow.ok else wrong(GZIP, what, why, fix)
    if not stream.request_id:
        fix = "nginx: no proxy_hide_header x-request-id;"
        yield wrong(IDS, f"x-request-id does not come through {seen.url}", "what an app reports cannot be found in the logs", fix)


def _buffering(seen: Public, stream: Stream) -> Diagnosis:
    made, came = stream.generated_s, stream.spread_s
    if not stream.whole:
        if stream.moments > SOME:
            return well(BUFFERING, f"A stream through {seen.url} comes as it is made")
        fix = "ask again when it is idle; if it stays so: " + UNBUFFER
        return unsure(BUFFERING, f"No answer of {seen.model} came through {seen.url} in time", "it is slow, or a proxy holds its stream back", fix)
    if made is None or made < LONG_ENOUGH_S:
        return unsure(BUFFERING, f"{seen.model} answered too quickly to tell whether a proxy holds streams back", "", "")
    if came < AT_ONCE * made:
        what = f"Streams are held back on the way to {seen.url}: made in {made:.1f} s, they arrive within {came:.2f} s"
    elif stream.events >= MANY and 1 < stream.moments <= stream.events / LUMP and came / (stream.moments - 1) >= PAUSE_S:
        what = f"Streams come in lumps through {seen.url}: {stream.events} pieces arrive at {stream.moments} moments"
    else:
        return well(BUFFERING, f"A stream through {seen.url} comes as it is made (made in {made:.1f} s, arrives over {came:.1f} s)")
    return wrong(BUFFERING, what, "people wait before a blank page, and clients give up on long answers", UNBUFFER)
