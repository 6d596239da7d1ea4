"""`[answers.NAME]`: what is read, and what is said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport.errors import BadSettings
from homeport.settings import load

HEAD = '[backends.home]\nkind = "openai"\nurl = "http://127.0.0.1:1"\n[models.assistant]\nroutes = [{ backend = "home" }]\n[answers.one]\n'
GOOD = 'models = ["assistant"]\nexact = ["help"]\nreply = "yes"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "data.json").write_text(json.dumps({"projects": {"x": {"summary": "y"}}}), encoding="utf-8")
    (folder / "data.toml").write_text('[projects.x]\nsummary = "y"\n', encoding="utf-8")
    (folder / "bad.json").write_text("{", encoding="utf-8")
    path = folder / "homeport.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


@pytest.mark.parametrize("file", ["data.json", "data.toml"])
def test_read(file: str, tmp_path: Path) -> None:
    text = f'models = ["assistant"]\npattern = \'show (?P<item>\\w+)\'\ndata = "{file}"\nreply = """{{data.projects.item.summary}}\n{{item}}"""\n'
    found = load(config=written(tmp_path, text)).answers["one"]
    assert (found.models, found.exact, found.data) == (("assistant",), (), tmp_path / file)
    assert found.reply == "{data.projects.item.summary}\n{item}"


SHOW = "models = [\"assistant\"]\npattern = 'show (?P<item>\\w+)'\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GOOD.replace("assistant", "asistant"), 7, 'names "asistant", which is no model; did you mean "assistant"'),
        (GOOD.replace("models", "model"), 7, 'has no key "model"'),
        ('models = ["assistant"]\nreply = "x"\n', 6, "has neither exact nor pattern"),
        ('models = ["assistant"]\nexact = ["x"]\n', 6, "has no reply"),
        (GOOD.replace('"yes"', '""'), 9, "reply is empty"),
        (GOOD.replace('["help"]', "[]"), 8, "takes texts"),
        (GOOD.replace('["help"]', "[1]"), 8, "takes texts"),
        (GOOD.replace('["help"]', '"help"'), 8, "takes a list"),
        (GOOD.replace('"help"', '"' + "x" * 201 + '"'), 8, "more than 200 characters"),
        (GOOD.replace('"yes"', '"{yes}"'), 9, "which is no group of the pattern"),
        ('models = ["assistant"]\npattern = \'(a+)+b\'\nreply = "x"\n', 8, "repeats a group"),
        ('models = ["assistant"]\npattern = \'(a\'\nreply = "x"\n', 8, "is no regular expression: missing )"),
        (SHOW + 'reply = "{thing}"\n', 9, "is no group of the pattern; there is item"),
        (SHOW + 'reply = "{item}"\nexact = ["x"]\n', 10, "give exact an answer of its own"),
        (SHOW + 'reply = "{data.projects.item}"\n', 9, "there is no file"),
        (SHOW + 'reply = "{data.project.item}"\ndata = "data.json"\n', 9, 'the file has no project there; did you mean "projects"'),
        (SHOW + 'reply = "{item}"\ndata = "data.json"\n', 10, "is not used"),
        (SHOW + 'reply = "{data.projects.item}"\ndata = "bad.json"\n', 10, "which is no JSON"),
        (SHOW + 'reply = "{data.projects.item}"\ndata = "none.json"\n', 10, "cannot be read"),
        (SHOW + 'reply = "{data.projects.item}"\ndata = "data.yaml"\n', 10, 'ends in ".json" or ".toml"'),
        (SHOW.replace("item", "data") + 'reply = "x"\n', 8, "call it otherwise"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadSettings) as caught:
        load(config=path)
    [problem] = str(caught.value).splitlines()
    assert problem.startswith(f"{path}:{line}: ")
    assert said in problem
