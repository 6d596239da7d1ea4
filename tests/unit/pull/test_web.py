"""Where requests go, what they carry there, and where they do not."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx2
import pytest

from homeport.pull.failure import Again, CannotPull
from homeport.pull.web import Web

Answer = Callable[[httpx2.Request], httpx2.Response]


def over(hub: str, answer: Answer, token: str | None = "hf_x") -> tuple[Web, list[httpx2.Request]]:
    """A Web whose requests are answered here, and those requests."""
    web, seen = Web(hub, token), []

    def note(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answer(request)

    web._client = httpx2.Client(transport=httpx2.MockTransport(note), follow_redirects=False)
    return web, seen


def redirects(**places: str) -> Answer:
    """A redirect for each host that has one, else "here"."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        target = places.get(request.url.host.replace(".", "_"))
        return httpx2.Response(302, headers={"location": target}) if target else httpx2.Response(200, stream=httpx2.ByteStream(b"here"))

    return answer


def sent(seen: list[httpx2.Request]) -> list[tuple[str, str | None]]:
    return [(request.url.host, request.headers.get("authorization")) for request in seen]


def test_the_token_stays_with_the_hub() -> None:
    web, seen = over("https://hub.example", redirects(hub_example="https://cdn.example/x?Signature=y"))
    with web, web.get("https://hub.example/o/r/resolve/main/a.gguf") as reply:
        assert b"".join(reply.pieces()) == b"here"
    assert sent(seen) == [("hub.example", "Bearer hf_x"), ("cdn.example", None)]


def test_the_token_returns_to_the_hub_only() -> None:
    web, seen = over("https://hub.example", redirects(hub_example="/o/r/elsewhere"))
    with web, pytest.raises(CannotPull, match=r"hub\.example redirects in circles"), web.get("https://hub.example/a"):
        pass
    assert {authorization for _, authorization in sent(seen)} == {"Bearer hf_x"}
    assert len(seen) == 8


@pytest.mark.parametrize("url", ["https://hub.example:8443/a", "http://hub.example/a", "https://hub.example.evil/a", "https://other.example/a"])
def test_the_token_goes_to_no_other_origin(url: str) -> None:
    web, seen = over("https://hub.example", redirects())
    with web, web.get(url):
        pass
    assert sent(seen)[0][1] is None


def test_the_token_is_not_sent_where_others_could_read_it() -> None:
    web, seen = over("http://mirror.example", redirects())
    with web, web.get("http://mirror.example/a"):
        pass
    assert sent(seen) == [("mirror.example", None)]


@pytest.mark.parametrize(("target", "told"), [("http://cdn.example/x", "without https"), ("ftp://cdn.example/x", "to nowhere"), ("", "to nowhere")])
def test_redirects_that_are_not_followed(target: str, told: str) -> None:
    web, _ = over("https://hub.example", lambda request: httpx2.Response(302, headers={"location": target} if target else {}))
    with web, pytest.raises(CannotPull, match=told), web.get("https://hub.example/a?Signature=y"):
        pass


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [(429, {"retry-after": "7"}, 7.0), (503, {}, None), (500, {"retry-after": "soon"}, None), (429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0)],
)
def test_busy_servers_may_do_later(status: int, headers: dict[str, str], after: float | None) -> None:
    web, _ = over("https://hub.example", lambda request: httpx2.Response(status, headers=headers))
    with web, pytest.raises(Again) as error, web.get("https://hub.example/a"):
        pass
    assert error.value.after_s == after


def test_a_certificate_that_is_not_trusted_is_no_matter_of_time() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        cause = ssl.SSLCertVerificationError(1, "x")
        cause.verify_message = "self-signed certificate"
        raise httpx2.ConnectError("x") from cause

    web, _ = over("https://hub.example", fail)
    with web, pytest.raises(CannotPull, match=r"certificate of hub\.example is not trusted: self-signed"), web.get("https://hub.example/a"):
        pass


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"])
def test_a_list_that_is_no_json(body: bytes) -> None:
    web, _ = over("https://hub.example", lambda request: httpx2.Response(200, stream=httpx2.ByteStream(body)))
    with web, pytest.raises(CannotPull, match="is no JSON"):
        web.json("https://hub.example/a")


def test_what_is_sent_compressed_is_refused() -> None:
    web, _ = over("https://hub.example", lambda request: httpx2.Response(200, headers={"content-encoding": "zstd"}, stream=httpx2.ByteStream(b"x")))
    with web, pytest.raises(CannotPull, match="compressed"), web.get("https://hub.example/a") as reply:
        list(reply.pieces())
