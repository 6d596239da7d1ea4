"""What a command ends with when it could not do its work."""

from __future__ import annotations

from homeport.errors import HomeportError


class Failed(HomeportError):
    """Exit code 1: the command was understood, but could not be done."""


class Usage(HomeportError):
    """Exit code 2: the command was not understood."""


class NoGateway(Failed):
    """No gateway answers at any of the addresses."""
