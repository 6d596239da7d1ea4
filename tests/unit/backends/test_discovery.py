"""The bundled models in the settings: named by a route alone, or as a section."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport import pilot
from homeport.backends import discovery
from homeport.backends.catalogue import Catalogue
from homeport.errors import BadSettings
from homeport.settings import Settings, load


def told(folder: Path, text: str) -> Settings:
    path = folder / "homeport.toml"
    path.write_text(text, encoding="utf-8")
    return load(config=path, environ={"HOME": str(folder)})


def test_a_route_may_name_either_without_a_section(tmp_path: Path) -> None:
    settings = told(tmp_path, '[models.x]\nroutes = [{ backend = "pilot-mini" }, { backend = "pilot" }]\n')
    assert {name: (one.kind, discovery.weights(one)) for name, one in settings.backends.items()} == {
        name: ("pilot", pilot.PATHS[name]) for name in ("pilot", "pilot-mini")
    }
    served = Catalogue(settings).find("x")
    assert served is not None and [(route.backend, route.model) for route in served.routes] == [("pilot-mini", "pilot-mini"), ("pilot", "pilot")]


def test_neither_is_there_unless_it_is_named(tmp_path: Path) -> None:
    assert not told(tmp_path, "").backends
    assert list(told(tmp_path, '[models.x]\nroutes = [{ backend = "pilot" }]\n').backends) == ["pilot"]


def test_a_section_may_name_the_smaller_one(tmp_path: Path) -> None:
    sections = '[backends.tiny]\nkind = "pilot"\nmodel = "pilot-mini"\n[backends.one]\nkind = "pilot"\n'
    settings = told(tmp_path, sections + '[models.x]\nroutes = [{ backend = "tiny" }, { backend = "one" }]\n')
    assert [discovery.weights(settings.backends[name]) for name in ("tiny", "one")] == [pilot.PATHS["pilot-mini"], pilot.PATH]
    served = Catalogue(settings).find("x")
    assert served is not None and [route.model for route in served.routes] == ["pilot-mini", "pilot"]


def test_another_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r'backends.p.model takes pilot or pilot-mini, not "pilot-maxi"; use kind = "engine" for another file'):
        told(tmp_path, '[backends.p]\nkind = "pilot"\nmodel = "pilot-maxi"\n')
    with pytest.raises(BadSettings, match='did you mean "pilot-mini"'):
        told(tmp_path, '[models.x]\nroutes = [{ backend = "pilot-min" }]\n')


def test_only_bundled_files_have_a_sum(tmp_path: Path) -> None:
    settings = told(tmp_path, '[backends.p]\nkind = "pilot"\n')
    assert discovery.digest(settings.backends["p"]) == pilot.checksums()["pilot.gguf"]
    other = tmp_path / "x.gguf"
    other.write_bytes(b"GGUF")
    assert discovery.digest(told(tmp_path, f'[backends.p]\nkind = "engine"\nmodel = "{other}"\n').backends["p"]) is None
