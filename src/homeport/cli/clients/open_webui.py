"""Open WebUI: it reads environment variables at its first start, mostly those of a container, so they are shown and not written."""

from __future__ import annotations

from urllib.parse import urlsplit

from homeport.cli.clients.client import NO_KEY, Client, Place, Wanted, is_local
from homeport.vocabulary import Surface

KEY = "HOMEPORT_KEY"
HOST = "host.docker.internal"  # a container's name for the machine it runs on


def _variables(wanted: Wanted) -> dict[str, str]:
    return {"OPENAI_API_BASE_URLS": wanted.v1, "OPENAI_API_KEYS": wanted.key_value}


def _form(place: Place, wanted: Wanted) -> list[str]:
    local = is_local(wanted.url)
    port = urlsplit(wanted.url).port or 80
    base = f"http://{HOST}:{port}/v1" if local else wanted.v1
    variable = wanted.key or (KEY if local else None)  # beyond loopback there is always one
    key = f"${{{variable}}}" if variable else NO_KEY
    return [
        "With Docker Compose, in compose.yaml:",
        "  services:",
        "    open-webui:",
        "      image: ghcr.io/open-webui/open-webui:main",
        '      ports: ["3000:8080"]',
        "      environment:",
        f"        OPENAI_API_BASE_URLS: {base}",
        f"        OPENAI_API_KEYS: {key}",
        *(["      extra_hosts:", f'        - "{HOST}:host-gateway"'] if local else []),
        "      volumes: [open-webui:/app/backend/data]",
        "  volumes:",
        "    open-webui:",
        "",
        "Without a container:",
        *(f"  export {name}={value}" for name, value in _variables(wanted).items()),
        "  open-webui serve",
    ]


def _notes(place: Place, wanted: Wanted, text: str) -> list[str]:
    notes = []
    if is_local(wanted.url):
        port = urlsplit(wanted.url).port or 80
        notes.append(
            f"A container reaches this machine, but not its loopback address: the gateway must listen beyond it, and then wants a key "
            f"(homeport keys add open-webui; homeport up --listen :{port})."
        )
    notes.append("Open WebUI reads these only at its first start. Later, use its Admin Panel: Settings, Connections, OpenAI API.")
    return notes


OPEN_WEBUI = Client(
    name="open-webui",
    title="Open WebUI",
    about="what its container's environment needs; nothing is written",
    surface=Surface.CHAT,
    found=lambda place: place.program("open-webui"),
    form=_form,
    notes=_notes,
    nowhere="Open WebUI takes this from the environment of its container",
)
