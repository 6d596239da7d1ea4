"""`homeport keys`: who may ask; works while no gateway runs, and a running one obeys at once."""

from __future__ import annotations

import difflib
from pathlib import Path

from homeport.cli import screen
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed
from homeport.settings import load
from homeport.storage.keys import Keys


def add(name: str, /, *, json: bool = False, config: Path | None = None) -> int:
    """Make a key; it is shown once, and only its hash is kept.

    Args:
        name: whose key it is, such as laptop or phone.
        json: print JSON.
        config: the homeport.toml whose data folder is used.
    """
    keys = _keys(config)
    first = not keys.exist
    key = keys.add(name)
    if json:
        screen.print_json({"name": name, "key": key})
        return 0
    say(key)
    aside("", f"This is the key of {name}. It is shown only now; keep it somewhere safe.")
    aside("Apps send it as their API key; the command line takes it from HOMEPORT_KEY.")
    if first:
        aside("It is the first one: from now on nobody is answered without a key, on this machine either.")
    return 0


def show(*, json: bool = False, config: Path | None = None) -> int:
    """The names of the keys, and when they were made.

    Args:
        json: print JSON.
        config: the homeport.toml whose data folder is used.
    """
    found = _keys(config).kept()
    if json:
        screen.print_json([{"name": key.name, "created": key.created} for key in found])
    elif not found:
        say("No key: everyone on this machine may ask, and nobody else. Make one with: homeport keys add NAME")
    else:
        say(*screen.table(("KEY", "MADE"), ((key.name, screen.moment(key.created)) for key in found)))
    return 0


def revoke(name: str, /, *, json: bool = False, config: Path | None = None) -> int:
    """Take a key back; it stops working at once.

    Args:
        name: as in `homeport keys list`.
        json: print JSON.
        config: the homeport.toml whose data folder is used.
    """
    keys = _keys(config)
    if not keys.revoke(name):
        near = difflib.get_close_matches(name, keys.names(), n=1)
        raise Failed(f'there is no key "{screen.clean(name)}"' + (f'; did you mean "{near[0]}"?' if near else ". See: homeport keys list"))
    if json:
        screen.print_json({"name": name, "revoked": True})
        return 0
    say(f"The key {name} is revoked.")
    if not keys.exist:
        say("No key is left: everyone on this machine may ask again without one.")
    return 0


def _keys(config: Path | None) -> Keys:
    """The keys of the data folder. Raises Failed where they cannot be read."""
    keys = Keys(load(config=config).server.data)
    if keys.trouble:
        raise Failed(keys.trouble)
    return keys
