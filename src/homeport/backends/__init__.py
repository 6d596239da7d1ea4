"""Adapters of the Backend port: what answers, and the places at it."""
