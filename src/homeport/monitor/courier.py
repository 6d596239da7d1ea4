"""The courier: a child process that delivers one event by apprise, and ends.

It runs as a script and imports nothing of Homeport's. One line of JSON on stdin: `{"url", "title", "body", "kind", "fields"}`.
It ends with 0 where the receiver has taken the event, 1 where it has not, 2 where apprise makes nothing of the URL, and 3
where apprise cannot be loaded. It says nothing: what apprise logs may hold the URL, which is a secret.

apprise's `json://` sends `{"version", "title", "message", "type", …}`; `fields` stand beside these.
"""

from __future__ import annotations

import json
import logging
import sys

TAKEN, REFUSED, UNKNOWN, BROKEN = 0, 1, 2, 3
TYPES = {"down": "failure", "up": "success"}


def main() -> int:
    """Deliver what stdin says."""
    order = json.loads(sys.stdin.readline())
    logging.disable()
    try:
        import apprise
    except ImportError:
        return BROKEN
    service = apprise.Apprise.instantiate(order["url"], suppress_exceptions=True)
    if service is None:
        return UNKNOWN
    extras = getattr(service, "payload_extras", None)
    if isinstance(extras, dict) and order["fields"]:
        for name, value in order["fields"].items():
            extras.setdefault(name, value)
    sender = apprise.Apprise()
    sender.add(service)
    kind = apprise.NotifyType(TYPES.get(order["kind"], "info"))
    return TAKEN if sender.notify(title=order["title"], body=order["body"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT) else REFUSED


if __name__ == "__main__":
    sys.exit(main())
