"""Homeport is the front door for models you host yourself.

A request's way through the package, from the socket to the receipt:

    cli          one file a command
    embedded     a gateway inside this process
    workers      several worker processes and their parent: started, looked after, reloaded, replaced one by one
    worker       one of them
    foreground   a gateway in the foreground: its signals, and what commands tell it
    app          the composition root: settings → adapters → steps → server
    reloading    what a running gateway can take over, and what only a restart can
    upstreams    the backends of one gateway: made from its settings, looked after, and the names they serve
    skills       what code does better than the bundled model, code does: its answers to the tasks, and to chats beyond it
    front        how callers come in: a protocol for the model routes, ASGI for all other pages
    tasks        typed functions whose body a model is: asked, read, checked; and the library of those that ship
    serve        the journey on one page: read this first
    client       calls to gateways from Python, over several of them: Client, and transports for the SDKs
    pull         models from the hub or any address, to the data folder: what is there, what it needs, the way here
    service      at boot: what systemd, launchd or the Task Scheduler is given, and how it is told that the gateway is well
    doctor       what is wrong, and how to put it right: looks at engines, clocks, disk, permissions and proxies
    journey      its steps: accept · admit · answer · cache · choose · dispatch · relay · review · tally
    backends     what answers: engines over HTTP, one in a child process, the bundled pilot
    fleet        what several workers share, and several gateways: places at backends, what they tell each other, what is done by one of them
    tunnel       how this home is reached from elsewhere: ssh or cloudflared, looked after
    storage      what is kept: the journal and the ledger made from it
    monitor      who is told when a backend goes down and comes back, and by which way; what is counted, and its page for Prometheus
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
    from homeport.tasks import Quote, task

__all__ = ["AsyncClient", "Client", "Gateway", "Quote", "__version__", "task"]

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
    if name in ("Quote", "task"):
        import importlib

        return getattr(importlib.import_module("homeport.tasks"), name)
    raise AttributeError(f"module 'homeport' has no attribute {name!r}")
