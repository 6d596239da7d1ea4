"""Every setting, command, error, endpoint, header and receipt field is documented, and nothing is that does not exist."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from msgspec import Struct
from starlette.routing import Route

from homeport import errors
from homeport.backends.discovery import KNOWN
from homeport.cli.config import written
from homeport.cli.program import COMMANDS, GROUPS
from homeport.front import asgi
from homeport.settings import answers as answer_settings
from homeport.settings import backend as backend_settings
from homeport.settings import fleet as fleet_settings
from homeport.settings import limits as limit_settings
from homeport.settings import monitor as monitor_settings
from homeport.settings import reading, tree
from homeport.settings import tasks as task_settings
from homeport.settings import telemetry as telemetry_settings
from homeport.settings import tunnel as tunnel_settings
from homeport.vocabulary import Attempt, Event, Incident, Receipt, Standing
from tests.docs.pages import ROOT, Page, rows

SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src" / "homeport").rglob("*.py")) if "testing" not in path.parts)
SECTIONS: list[tuple[str, type[Struct], tuple[str, ...]]] = [
    ("[server]", tree.Server, reading.SERVER),
    ("[backends.NAME]", tree.BackendSettings, backend_settings.KEYS),
    ("[models.NAME]", tree.ModelSettings, (*reading.MODEL, *reading.ROUTE)),
    ("[monitor]", tree.MonitorSettings, monitor_settings.KEYS),
    ("[limits]", tree.LimitSettings, limit_settings.KEYS),
    ("[telemetry]", tree.TelemetrySettings, telemetry_settings.KEYS),
    ("[fleet]", tree.FleetSettings, fleet_settings.KEYS),
    ("[tasks]", tree.TaskSettings, task_settings.KEYS),
    ("[answers.NAME]", tree.AnswerSettings, answer_settings.KEYS),
    ("[tunnel]", tree.TunnelSettings, tunnel_settings.KEYS),
]


@pytest.mark.parametrize(("heading", "struct", "keys"), SECTIONS, ids=[section[0] for section in SECTIONS])
def test_every_setting_is_documented_with_its_default(heading: str, struct: type[Struct], keys: tuple[str, ...]) -> None:
    documented = rows(Page("docs/configure.md").section(heading))
    assert set(documented) == set(keys)
    for field in msgspec.structs.fields(struct):
        if field.name in documented and field.default not in (msgspec.NODEFAULT, None):
            assert documented[field.name][0].split("`")[1] == written(field.default), field.name
    assert all(len(cells) == 2 and all(cells) for cells in documented.values())


def test_the_tree_holds_no_setting_that_cannot_be_set() -> None:
    for _, struct, keys in SECTIONS:
        assert {field.name for field in msgspec.structs.fields(struct)} - {"name"} <= set(keys)
    assert {field.name for field in msgspec.structs.fields(tree.RouteSettings)} == set(reading.ROUTE)
    assert {field.name for field in msgspec.structs.fields(tree.KeyLimits)} == set(limit_settings.KEY)


def test_variables_are_documented() -> None:
    assert set(rows(Page("docs/configure.md").section("Environment"))) == set(reading.VARIABLES)


@pytest.mark.parametrize("kind", [*backend_settings.KINDS])
def test_every_kind_of_backend_has_its_heading(kind: str) -> None:
    assert any(title.endswith(f"`{kind}`") for title in Page("docs/engines.md").headings)


def test_discovered_engines_are_documented() -> None:
    section = Page("docs/models-and-routes.md").section("Zero configuration")
    assert sorted(re.findall(r"127\.0\.0\.1:(\d+)", section)) == sorted(str(port) for port in KNOWN.values())


def commands() -> dict[str, Callable[..., Any]]:
    """Every command by its words, and the function that does it."""
    places = {name: place for name, (place, _) in COMMANDS.items()}
    places |= {f"{group} {name}": place for group, (_, inner) in GROUPS.items() for name, (place, _) in inner.items()}
    found = {}
    for words, place in places.items():
        module, _, function = place.partition(":")
        found[words] = getattr(importlib.import_module(f"homeport.cli.{module}"), function)
    return found


def flags(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {"--" + parameter.name.rstrip("_").replace("_", "-") for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}


def test_the_commands_documented_are_those_there_are() -> None:
    headings = [title for title in Page("docs/cli.md").headings if title.startswith("homeport")]
    assert headings == ["homeport", *(f"homeport {words}" for words in commands())]


@pytest.mark.parametrize("words", sorted(commands()))
def test_every_flag_is_documented(words: str) -> None:
    section = Page("docs/cli.md").section(f"homeport {words}")
    assert set(re.findall(r"--[a-z][a-z-]+", section)) == flags(commands()[words])


@pytest.mark.parametrize("page", ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))])
def test_commands_in_examples_exist(page: str) -> None:
    known = commands()
    for block in Page(page).blocks("sh"):
        for line in block.splitlines():
            words = line.split()
            if words[:1] != ["homeport"]:
                continue
            name = " ".join(words[1:3]) if words[1] in GROUPS else words[1]
            assert name in known, line
            assert set(re.findall(r"(?<= )--[a-z-]+", line)) <= flags(known[name]), line


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/install.md", "docs/performance.md"])
def test_make_targets_in_the_pages_exist(page: str) -> None:
    assert set(re.findall(r"(?:^|`| |&)make ([a-z-]+)(?=[` \n])", re.sub(r", make |make and git", " ", Page(page).text), re.MULTILINE)) <= targets()


def error_classes() -> list[type[errors.HomeportError]]:
    return [found for found in vars(errors).values() if inspect.isclass(found) and issubclass(found, errors.HomeportError)]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_is_documented_with_its_status_and_code(error: type[errors.HomeportError]) -> None:
    status, code, text = rows(Page("docs/errors.md").text)[error.__name__]
    assert int(status) == error.status
    assert code.strip("`") == (error.code or "—")
    assert len(text) > 20


def test_the_errors_documented_are_those_there_are() -> None:
    documented = {name for name in rows(Page("docs/errors.md").text) if name[0].isupper()}
    assert documented == {error.__name__ for error in error_classes()}


def test_every_code_an_error_can_carry_is_documented() -> None:
    carried = set(re.findall(r'\bcode ?= ?"([a-z_]+)"', SOURCE)) | set(re.findall(r'\.code, .* = \d+, "([a-z_]+)"', SOURCE)) | {"cut"}
    assert {"invalid_json", "queue_full", "cannot_record", "model_not_found"} <= carried
    assert carried <= {code.strip('"') for code in Page("docs/errors.md").code} | set(re.findall(r'"code": "(\w+)"', Page("docs/errors.md").text))


METHODS = ("POST", "DELETE", "GET")  # one of them names a route


def routes() -> list[Route]:
    found = asgi.app(cast(asgi.Gateway, None)).routes  # the gateway is asked only once a request comes
    return [route for route in found if isinstance(route, Route)]


def test_the_endpoints_documented_are_those_there_are() -> None:
    served = {f"{next(method for method in METHODS if method in (route.methods or ()))} {route.path.replace(':path', '')}" for route in routes()}
    assert set(rows(Page("docs/http.md").section("Endpoints"))) == served


def test_every_response_header_is_documented() -> None:
    sent = set(re.findall(r"(?:\\n|\b)(x-[a-z][a-z-]+)\b", SOURCE)) - {"x-api-key", "x-forwarded-for", "x-ndjson"} | {"retry-after"}
    assert {"x-homeport-backend", "x-tok-per-s", "x-gen-time", "x-tokens", "x-request-id"} <= sent
    assert sent <= set(re.findall(r"`([a-z-]+)", Page("docs/http.md").section("Response headers")))


def test_every_field_of_a_status_is_documented() -> None:
    section = Page("docs/http.md").section("Status")
    assert all(field in section for field in (*Standing.__struct_fields__, *Incident.__struct_fields__))


def test_every_field_of_a_notification_is_documented() -> None:
    assert tuple(rows(Page("docs/notifications.md").section("The event"))) == Event.__struct_fields__


def test_every_field_of_a_receipt_is_documented() -> None:
    page = Page("docs/receipts.md")
    assert tuple(rows(page.section("Fields"))) == Receipt.__struct_fields__
    assert all(f"`{field}`" in page.section("Attempts") for field in Attempt.__struct_fields__)


def test_every_outcome_is_documented() -> None:
    page = Page("docs/receipts.md")
    said = set(re.findall(r'^    outcome = "(\w+)"', SOURCE, re.MULTILINE))  # class attributes of errors
    assert {"unreachable", "full", "failed"} <= said
    assert said | {"ok", "rejected", "revoked", "client_left"} == set(rows(page.section("Attempts")))
    assert set(rows(page.section("Outcomes"))) == {"ok", "cut", "client_left", "refused", "failed", "unsettled"}


def test_every_room_of_the_house_is_on_the_map() -> None:
    section = Page("docs/architecture.md").section("The house")
    rooms = [path for path in (ROOT / "src" / "homeport").iterdir() if not path.name.startswith("_") and path.suffix in ("", ".py")]
    assert rooms
    assert [path.name for path in rooms if f"`{path.name}{'/' if path.is_dir() else ''}`" not in section and path.name != "pilot"] == []


def test_the_files_and_names_of_the_trace_exist() -> None:
    section = Page("docs/architecture.md").section("One request, from socket to receipt")
    files = set(re.findall(r"`([a-z]+/[a-z_]+)(?:\.py|\.[a-zA-Z])", section))
    assert len(files) > 8
    assert [file for file in files if not (ROOT / "src" / "homeport" / f"{file}.py").is_file()] == []
    for owner, member in re.findall(r"`([A-Z]\w+)\.(\w+)`", Page("docs/architecture.md").prose):
        bodies = re.findall(rf"^class {owner}\b.*?(?=^class |\Z)", SOURCE, re.MULTILINE | re.DOTALL)  # two rooms may have a class of one name
        assert any(re.search(rf"\b(def )?{member}\b", body) for body in bodies), f"{owner}.{member}"
