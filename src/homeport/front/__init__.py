"""How callers come in: a protocol for the model routes, ASGI for every other page."""
