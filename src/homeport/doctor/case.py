"""What is examined: the settings, and where the gateway and the engines may be."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from homeport.settings import BackendSettings, Settings


class Case(Struct, frozen=True, kw_only=True):
    """One examination's givens."""

    version: str  # of this command
    settings: Settings
    fault: str | None = None  # why the configuration cannot be used; the settings are then the defaults
    gateway: str | None = None  # address of the gateway, as this machine reaches it; None where that is not known
    here: bool = True  # whether that is where the settings let it listen, so that its port is on this machine
    key: str | None = None  # to ask the gateway with
    public_url: str | None = None  # the gateway as the world reaches it
    usual: tuple[BackendSettings, ...] = ()  # engines that may be on this machine
    holder: Callable[[int], tuple[str, int] | None] = lambda port: None  # who holds a port: name and process id

    def __repr__(self) -> str:
        """Without the key, so that it reaches no log."""
        return f"Case(gateway={self.gateway!r}, public_url={self.public_url!r})"
