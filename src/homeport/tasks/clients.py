"""The client of tasks that were given none: one for each place that the environment names, kept while the process lives."""

from __future__ import annotations

import functools
import os

from homeport.client import Client

APP = "homeport-task"  # in the receipts


def standing() -> Client:
    """By $HOMEPORT_URL and $HOMEPORT_KEY as they are now. Raises BadSettings for an address that is none."""
    return _standing(os.environ.get("HOMEPORT_URL", ""), os.environ.get("HOMEPORT_KEY", ""))


@functools.lru_cache(maxsize=8)
def _standing(urls: str, key: str) -> Client:
    return Client(urls.split(",") if urls.strip() else None, key or None, app=APP)
