"""Every command in one list; its file is imported only when it is asked for."""

from __future__ import annotations

import difflib

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from homeport.cli.failure import Usage
from homeport.cli.help import Columns
from homeport.cli.screen import clean

ABOUT = """The front door for models you host yourself.

Without a command: how things stand, and the next three things to do."""
ENDING = "Every command takes --json and --help. Exit codes: 0 done, 1 failed, 2 bad usage or configuration."
COMMANDS = {
    "up": ("up:up", "Run the gateway in the foreground."),
    "status": ("status:status", "What is up, and what is not."),
    "doctor": ("doctor:doctor", "What is wrong, why, and how to put it right."),
    "models": ("models:models", "The models that can be asked for, and what answers them."),
    "pull": ("pull:pull", "Bring a model from the hub or an address, and serve it."),
    "run": ("run:run", "Ask a model or a task, and see the answer as it comes."),
    "logs": ("logs:logs", "What happened: a line for each request, oldest first."),
    "drift": ("drift:drift", "Are the models and their answers those that were recorded?"),
    "connect": ("connect:connect", "Point an app at this gateway: Aider, Codex, Zed and others."),
}
HABITS = {
    "serve": "up",
    "start": "up",
    "ps": "status",
    "ls": "models",
    "list": "models",
    "ask": "run",
    "chat": "run",
    "log": "logs",
    "diagnose": "doctor",
    "check": "doctor",
    "download": "pull",
    "get": "pull",
    "rm": "revoke",
    "remove": "revoke",
}
GROUPS = {
    "keys": (
        "Who may ask: add, list and revoke keys.",
        {
            "add": ("keys:add", "Make a key; it is shown once."),
            "list": ("keys:show", "The names of the keys."),
            "revoke": ("keys:revoke", "Take a key back; it stops working at once."),
        },
    ),
    "config": (
        "Check, show or apply the configuration.",
        {
            "check": ("config:check", "Say what is wrong with the configuration, and where."),
            "show": ("config:show", "Every value and where it comes from: flag, environment, file or default."),
            "reload": ("reload:reload", "Apply the configuration to the running gateway."),
        },
    ),
    "tunnel": (
        "Reach this home from a machine that the world sees.",
        {
            "key": ("tunnel:key", "Make the tunnel's key, and show what lets it in on the VPS."),
            "up": ("tunnel:up", "Hold the tunnel open, in the foreground."),
            "status": ("tunnel:status", "How the tunnel stands."),
        },
    ),
    "service": (
        "Run the gateway and the tunnel at boot.",
        {
            "install": ("service:install", "Have the gateway or the tunnel run, now and at boot."),
            "status": ("service:status", "How they stand, as the system tells it."),
            "remove": ("service:remove", "End one, and remove what install wrote."),
        },
    ),
    "notify": ("Who is told when a backend goes down.", {"test": ("notify:send_test", "Send a test message.")}),
    "ledger": ("The table of all receipts.", {"rebuild": ("ledger:rebuild", "Make the ledger anew from the journal.")}),
}


def program() -> App:
    """The parser with all commands."""
    app = _app("homeport", ABOUT, version=_version, help_epilogue=ENDING)
    app.default(_overview)
    for order, (name, (place, text)) in enumerate(COMMANDS.items()):
        app.command(f"homeport.cli.{place}", name=name, help=text, help_epilogue="", sort_key=order)
    for group, (about, commands) in GROUPS.items():
        inner = _app(group, about, help_epilogue="", sort_key=len(COMMANDS))
        app.command(inner)
        for order, (name, (place, text)) in enumerate(commands.items()):
            inner.command(f"homeport.cli.{place}", name=name, help=text, help_epilogue="", sort_key=order)
    return app


def run(words: list[str]) -> int:
    """Run one command and return its exit code. Raises Usage where it is not understood."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    _known(words)
    app = program()
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        told = " ".join(str(error).split())
        if isinstance(error, UnusedCliTokensError):
            told = f"there is nothing to do with {' '.join(map(repr, error.unused_tokens or []))} here"
        told = told.rstrip(".") + ("" if told.endswith("?") else ".")
        raise Usage(f"{told} See: {' '.join(['homeport', *_path(words), '--help'])}") from None
    return code if isinstance(code, int) else 0


def _known(words: list[str]) -> None:
    """Raises Usage where the first word is no command, or the second none of its group."""
    if words and not words[0].startswith("-"):
        _check(words[0], [*COMMANDS, *GROUPS], "homeport")
        if words[0] in GROUPS and len(words) > 1 and not words[1].startswith("-"):
            _check(words[1], list(GROUPS[words[0]][1]), f"homeport {words[0]}")


def _check(word: str, commands: list[str], before: str) -> None:
    if word not in commands:
        near = [name for name in (HABITS.get(word.lower()),) if name in commands] or difflib.get_close_matches(word.lower(), commands, n=1)
        hint = f"did you mean: {before} {near[0]}" if near else f"there are {', '.join(commands)}"
        raise Usage(f'there is no command "{before} {clean(word)}"; {hint}')


def _path(words: list[str]) -> list[str]:
    """The command among the words, such as `keys add`."""
    if not words or words[0] not in {*COMMANDS, *GROUPS}:
        return []
    return words[: 2 if words[0] in GROUPS and words[1:2] and words[1] in GROUPS[words[0]][1] else 1]


def _app(name: str, about: str, **more: object) -> App:
    return App(
        name=name,
        help=about,
        help_format="plaintext",
        help_formatter=Columns(),
        default_parameter=Parameter(negative=(), show_default=False),
        version_flags=["--version"] if "version" in more else [],
        suppress_keyboard_interrupt=False,
        **more,  # type: ignore[arg-type]
    )


def _overview(*, json: bool = False) -> int:
    """How things stand, and the next three things to do.

    Args:
        json: print JSON.
    """
    from homeport.cli.overview import overview

    return overview(json=json)


def _version() -> str:
    from homeport import __version__

    return f"homeport {__version__}"
