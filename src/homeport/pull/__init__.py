"""Bringing a model from the hub, or from any address, into the data folder: what is there, what it needs, and the way here."""
