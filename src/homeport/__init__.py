"""Homeport is the front door for models you host yourself.

A request's way through the package, from the socket to the receipt:

    cli          one file a command
    embedded     a gateway inside this process
    app          the composition root: settings → adapters → steps → server
    front        how callers come in: a protocol for the model routes, ASGI for all other pages
    serve        the journey on one page: read this first
    client       calls to gateways from Python, over several of them: Client, and transports for the SDKs
    pull         models from the hub or any address, to the data folder: what is there, what it needs, the way here
    journey      its steps: accept · admit · answer · cache · choose · dispatch · relay · review · tally
    backends     what answers: engines over HTTP, one in a child process, the bundled pilot
    storage      what is kept: the journal and the ledger made from it
    monitor      who is told when a backend goes down and comes back, and by which way
    testing      public fakes: scripted backends, a fault proxy, a manual clock, a talking model
    rules        decisions as pure functions
    wire         dialects, bytes to vocabulary and back
    ports        what the steps need of the world
    runner       drives a journey from the callbacks of its sockets
    settings     one frozen tree, read once
    vocabulary   Ask → Caller → Route → Reply → Receipt
    errors       whose fault it is, and whether a retry helps
    pilot        the bundled model

Each may import what stands below it, never what stands above. Importing `homeport` loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport import client as client
    from homeport.client import AsyncClient, Client
    from homeport.embedded import Gateway

__all__ = ["AsyncClient", "Client", "Gateway", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562), so that importing the package costs nothing."""
    if name == "Gateway":
        from homeport.embedded import Gateway

        return Gateway
    if name in ("AsyncClient", "Client", "client"):
        import importlib

        client = importlib.import_module("homeport.client")
        return client if name == "client" else getattr(client, name)
    raise AttributeError(f"module 'homeport' has no attribute {name!r}")
