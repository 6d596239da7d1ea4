"""`homeport pull`: bring a model from the hub, or from an address, and have it served."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.cli import screen
from homeport.cli.bar import Bar
from homeport.cli.console import aside, say
from homeport.cli.failure import Failed, Usage
from homeport.settings import Settings, load

if TYPE_CHECKING:
    from homeport.pull.failure import Unclear
    from homeport.pull.pace import Pace
    from homeport.pull.plan import Plan
    from homeport.storage.shelf import Shelf

HUB = "https://huggingface.co"
RESERVE = 256 * 2**20  # bytes of the disk that stay free, for the journal
NOTICED_S = 5.0  # how long a gateway on this machine may take to see a new model; it looks once a second


def pull(model: str, /, *, name: str | None = None, checksum: str | None = None, yes: bool = False, json: bool = False, config: Path | None = None) -> int:
    """Bring a model from the hub or an address, and serve it.

    Args:
        model: hf.co/ORG/REPO, hf.co/ORG/REPO:FILE (or :Q8_0 and the like), or an address such as https://example.org/model.gguf.
        name: what it is called here; else its file's name.
        checksum: the SHA-256 that the file must have, 64 hexadecimal digits; without it the hub's counts.
        yes: ask no question, also where the memory is short.
        json: print one JSON object at the end.
        config: the homeport.toml that names the data folder.
    """
    from homeport.pull.failure import CannotPull, Unclear
    from homeport.pull.pace import Pace
    from homeport.storage.shelf import Shelf, is_name

    if name is not None and not is_name(name):
        raise Usage(
            "--name takes up to 100 letters, digits, dots, dashes and underscores, and none of default, pilot, pilot-mini, ollama, llama.cpp, vllm, lm-studio"
        )
    if checksum is not None and (len(checksum) != 64 or not set(checksum.lower()) <= set("0123456789abcdef")):
        raise Usage("--checksum takes a SHA-256: 64 hexadecimal digits")
    settings = load(config=config)
    task = Pull(settings, Shelf(settings.server.data / "models"), asks=not (yes or json) and sys.stdin.isatty() and screen.is_terminal(sys.stderr))
    task.silent, task.yes = json, yes
    try:
        return task.run(model, name, checksum.lower() if checksum else None, config, Pace())
    except Unclear as error:
        return _unclear(error, as_json=json)
    except CannotPull as error:
        raise Failed(screen.clean(error)) from None


class Pull:
    """One run of the command."""

    def __init__(self, settings: Settings, shelf: Shelf, *, asks: bool) -> None:
        self.settings = settings
        self.shelf = shelf
        self.asks = asks
        self.silent = False
        self.yes = False
        self.elsewhere = ""  # a gateway that runs, and does not show the model

    def run(self, model: str, name: str | None, sha256: str | None, config: Path | None, pace: Pace) -> int:
        """Plan, ask, bring, and tell. Raises Unclear, CannotPull, Failed, OSError."""
        from homeport.pull.pace import patiently
        from homeport.pull.plan import make
        from homeport.pull.source import read_source
        from homeport.pull.web import Web
        from homeport.storage import locks

        source = read_source(model)
        with Web(os.environ.get("HF_ENDPOINT", "").strip() or HUB, os.environ.get("HF_TOKEN", "").strip() or None) as web:
            plan = patiently(lambda: make(web, source, name, sha256), self.say, pace._replace(tries=4))
            self.shelf.folder.mkdir(parents=True, exist_ok=True)
            with locks.alone(self.shelf.lock(plan.name)) as turn:
                if turn is None:
                    raise Failed(f"{plan.name} is being pulled by another process{self._holder(plan)}. Wait for it, or stop it: what has come is kept")
                os.write(turn, f"{os.getpid()}\n".encode())
                already = self._already(plan)
                if not already:
                    self._consent(plan)
                    self._bring(web, plan, pace)
        path = self.shelf.file(plan.name, 1, len(plan.files))
        served, lines = self._served(plan, path, config)
        self._tell(plan, path, already, served, lines)
        return 0

    def say(self, line: str) -> None:
        """A line for people; none where a program reads."""
        if not self.silent:
            aside(screen.clean(line))

    def _already(self, plan: Plan) -> bool:
        """Whether it is here. Raises Usage where another model has its name."""
        stored = self.shelf.found().get(plan.name)
        if stored is None:
            return False
        record = self.shelf.record(plan.name)
        if plan.is_same(record) and [size for _, size, _ in stored.files] == [file.size for file in plan.files]:
            return True
        if record.get("source") == plan.source:
            self.say(f"{plan.name} has changed there since it was pulled; the new one will replace it")
            return False
        origin = f"from {screen.clean(record['source'])}" if isinstance(record.get("source"), str) else "and nothing says from where"
        raise Usage(f"a model {plan.name} is here already, {origin}. Give this one another name (--name {plan.name}-2), or remove {stored.path}")

    def _consent(self, plan: Plan) -> None:
        """Say what will come and what it needs; ask. Raises Failed where it does not fit, or is not wanted."""
        from homeport.pull import memory
        from homeport.pull.hub import size_of
        from homeport.pull.plan import facts

        self.say(f"{plan.name}: {plan.source}")
        for note in plan.notes:
            self.say(f"  {note}")
        if found := facts(plan):
            self.say(f"  {', '.join(found)}")
        missing = self._room(plan)
        kept = f", {size_of(plan.size - missing)} of it are here already" if missing < plan.size else ""
        self.say(f"  on disk   {size_of(plan.size)}{kept}")
        need, installed, short = plan.need, memory.installed(), False
        if need is not None:
            cache = f"KV cache {size_of(need.cache)} for {memory.SLOTS} × {memory.CONTEXT:,} tokens"
            parts = f"weights {size_of(need.weights)}, {cache}, batch {size_of(need.batch)}, engine {size_of(need.process)}"
            has = f"; this machine has {size_of(installed)}" if installed else ""
            self.say(f"  in memory {size_of(need.total)} at most ({parts}){has}")
            short = installed is not None and need.total > installed
        if self.asks:
            self._ask("It will hardly run here. Pull it all the same? [y/N] " if short else "Pull it? [Y/n] ", default=not short)
        elif short and not self.yes and need is not None and installed is not None:
            told = f"{plan.name} needs up to {size_of(need.total)} of memory, and this machine has {size_of(installed)}"
            raise Failed(f"{told}. Take a smaller file, or fewer slots and less context; --yes pulls it all the same")

    def _ask(self, question: str, *, default: bool) -> None:
        sys.stderr.write(question)
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer or (answer.strip().lower() or ("y" if default else "n")) not in ("y", "yes"):
            raise Failed("nothing was pulled")

    def _room(self, plan: Plan) -> int:
        """Bytes still to come. Raises Failed where the disk has no room for them."""
        from homeport.pull.download import kept
        from homeport.pull.hub import size_of

        missing = plan.size - sum(kept(path, file) for path, file in self._targets(plan))
        free = shutil.disk_usage(self.shelf.folder).free
        if missing + RESERVE > free:
            more = size_of(missing + RESERVE - free)
            raise Failed(
                f"{size_of(missing)} are to come, and {size_of(free)} are free at {self.shelf.folder}. Make room for {more} more, or set HOMEPORT_DATA"
            )
        return missing

    def _bring(self, web: Any, plan: Plan, pace: Pace) -> None:
        from homeport.pull.download import Watcher, bring, finish
        from homeport.pull.hub import size_of

        targets = list(self._targets(plan))
        before = self.shelf.found().get(plan.name)
        try:
            with Bar(plan.name, plan.size, silent=self.silent) as bar:
                watcher = Watcher(bar.came, bar.say)
                for number, (path, file) in enumerate(targets):
                    bring(web, file, path, watcher, head=b"" if number else plan.head, pace=pace)
        except KeyboardInterrupt:
            came = sum(_size(path) for path, _ in targets)
            raise Failed(f"stopped; {size_of(came)} of {size_of(plan.size)} are kept: the same command goes on from there") from None
        self.shelf.note(plan.name, plan.record())
        for path, _ in reversed(targets):  # the first part last: with it the model is there
            finish(path)
        names = {path.name for path, _ in targets}
        for name, _, _ in before.files if before else ():
            if name not in names:
                (self.shelf.folder / name).unlink(missing_ok=True)

    def _targets(self, plan: Plan) -> list[tuple[Path, Any]]:
        count = len(plan.files)
        return [(self.shelf.file(plan.name, number, count), file) for number, file in enumerate(plan.files, 1)]

    def _served(self, plan: Plan, path: Path, config: Path | None) -> tuple[str | None, list[str]]:
        """The gateway on this machine that serves it, or None; and the lines for the configuration, where it has one."""
        if not self.settings.discover:
            named = [backend.name for backend in self.settings.backends.values() if backend.model is not None and backend.model == path.absolute()]
            return None, [] if named else config_lines(plan.name, path, own_names=bool(self.settings.models))
        from homeport.cli.gateway import Gateway

        deadline = time.monotonic() + NOTICED_S
        while True:
            try:
                gateway = Gateway.configured(config).get("/status")
            except (Failed, Usage):
                return None, []
            if any(isinstance(backend, dict) and backend.get("name") == plan.name for backend in gateway.get("backends") or []):
                return str(gateway["url"]), []
            if time.monotonic() > deadline:
                self.elsewhere = str(gateway["url"])
                return None, []
            time.sleep(0.2)

    def _tell(self, plan: Plan, path: Path, already: bool, served: str | None, lines: list[str]) -> None:
        if self.silent:
            screen.print_json(_report(plan, path, already, served, lines))
            return
        say(f"{plan.name} is {'here already' if already else 'here'}: {path}")
        if served:
            say(f'The gateway at {served} serves it. Ask it: homeport run {plan.name} "Where is my parcel?"')
        elif lines:
            say("To serve it, write into homeport.toml and restart the gateway:", "", *lines)
        elif not self.settings.discover:
            say("The configuration names this file: its engine loads it within half a minute.")
        elif self.elsewhere:
            say(f"The gateway at {self.elsewhere} does not show it: it keeps its data in another folder, or its configuration has [backends].")
        else:
            say(f'Once a gateway runs here it serves it: homeport up, then homeport run {plan.name} "Where is my parcel?"')

    def _holder(self, plan: Plan) -> str:
        try:
            told = self.shelf.lock(plan.name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
        return f" ({told})" if told.isdigit() else ""


def config_lines(name: str, path: Path, *, own_names: bool) -> list[str]:
    """What a configuration needs to serve a file: a backend, and where the names are its own, a model."""
    import json

    lines = [f"[backends.{_key(name)}]", 'kind = "engine"', f"model = {json.dumps(str(path))}"]
    return [*lines, f"[models.{_key(name)}]", f"routes = [{{ backend = {json.dumps(name)} }}]"] if own_names else lines


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def _size(target: Path) -> int:
    """Bytes of a file, or of the part that it will be."""
    from homeport.pull.download import part_of

    path = part_of(target)
    return path.stat().st_size if path.exists() else 0


def _unclear(error: Unclear, *, as_json: bool) -> int:
    """Say what could be meant; exit code 2."""
    if not error.choices:
        raise Usage(screen.clean(error))
    from homeport.pull.hub import size_of

    if as_json:
        screen.print_json({"error": str(error), "choices": [{"model": model, "bytes": size} for model, size in error.choices]})
    else:
        wide = max(len(model) for model, _ in error.choices)
        aside(f"homeport: {screen.clean(error)}:", *(f"  {screen.clean(model):<{wide}}  {size_of(size)}" for model, size in error.choices))
    return 2


def _report(plan: Plan, path: Path, already: bool, served: str | None, lines: list[str]) -> dict[str, Any]:
    header, need = plan.header, plan.need
    return {
        "name": plan.name,
        "source": plan.source,
        "path": str(path),
        "files": [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in plan.files],
        "bytes": plan.size,
        "parameters": (header.parameters if header and len(plan.files) == 1 else None) or None,
        "context": (header.whole("context_length") if header else None) or None,
        "memory": {**need._asdict(), "total": need.total} if need else None,
        "already": already,
        "served": served,
        "config": "\n".join(lines) or None,
        "notes": list(plan.notes),
    }
