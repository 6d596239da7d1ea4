"""`[tasks]`: paths of Python files, relative to the file they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import Settings, load


def read(folder: Path, section: str) -> Settings:
    path = folder / "homeport.toml"
    path.write_text(section, encoding="utf-8")
    return load(config=path, environ={"HOMEPORT_DATA": str(folder / "data")})


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").touch()
    settings = read(tmp_path, '[tasks]\npaths = ["tasks.py"]\n')
    assert settings.tasks.paths == (tmp_path / "tasks.py",)
    assert settings.origins["tasks.paths"] == "file"
    assert settings.notices == ()
    assert read(tmp_path, "").tasks.paths == ()


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ('paths = "tasks.py"', "takes a list"),
        ("paths = [1]", "not a whole number"),
        ('paths = [" "]', "not an empty text"),
        ('paths = ["tasks.txt"]', 'end in ".py"'),
        ('paths = ["none.py"]', "is no file"),
        ('path = ["tasks.py"]', 'did you mean "paths"'),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, section: str, what: str) -> None:
    with pytest.raises(BadSettings, match=f"homeport.toml:2: .*{what}"):
        read(tmp_path, f"[tasks]\n{section}\n")
