"""Calls to Homeport from Python, over several gateways: none of them is the one that must not die.

    client = homeport.Client(urls=["http://box:8461", "https://vps.example"], key="hp_…")
    client.chat("Where is my parcel?").text

    openai.OpenAI(base_url="http://homeport/v1", api_key="none", http_client=httpx2.Client(transport=homeport.client.Transport(urls=[…])))

Its rooms: `calls` and `calls_async` (what is asked), `events` and `answer` (what comes back), `transport` and `transport_async`
(one request over several gateways), which `attempts` and `roster` decide for; `lines`, `watch` and `probe` (one connection, and
whether what is behind it lives); `addresses` and `failure`. Of the rest of Homeport it needs nothing but `errors`.
"""

from homeport.client.answer import Answer
from homeport.client.attempts import Timeouts
from homeport.client.calls import Client
from homeport.client.calls_async import AsyncClient
from homeport.client.events import AsyncStream, Stream
from homeport.client.failure import Cut, NoGateway, TimedOut
from homeport.client.transport import Transport
from homeport.client.transport_async import AsyncTransport

__all__ = ["Answer", "AsyncClient", "AsyncStream", "AsyncTransport", "Client", "Cut", "NoGateway", "Stream", "TimedOut", "Timeouts", "Transport"]
