"""Every client that can be connected, by the name that is typed."""

from __future__ import annotations

from homeport.cli.clients.aider import AIDER
from homeport.cli.clients.claude_code import CLAUDE_CODE
from homeport.cli.clients.cline import CLINE
from homeport.cli.clients.codex import CODEX
from homeport.cli.clients.continue_dev import CONTINUE
from homeport.cli.clients.open_webui import OPEN_WEBUI
from homeport.cli.clients.openai_sdk import OPENAI_SDK
from homeport.cli.clients.zed import ZED

CLIENTS = {client.name: client for client in (AIDER, CLAUDE_CODE, CLINE, CODEX, CONTINUE, OPEN_WEBUI, OPENAI_SDK, ZED)}
