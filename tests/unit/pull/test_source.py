"""What can be pulled, as people write it."""

from __future__ import annotations

import pytest

from homeport.pull.failure import Unclear
from homeport.pull.source import Link, Repository, read_source


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf.co/org/repo", Repository("org/repo")),
        ("hf.co/org/repo/", Repository("org/repo")),
        ("HF.co/org/repo:Q8_0", Repository("org/repo", "main", "Q8_0")),
        ("hf.co/org/repo:sub/a.gguf", Repository("org/repo", "main", "sub/a.gguf")),
        ("https://huggingface.co/org/repo", Repository("org/repo")),
        ("https://huggingface.co/org/repo/blob/main/a%20b.gguf", Repository("org/repo", "main", "a b.gguf")),
        ("https://huggingface.co/org/repo/resolve/v1/sub/a.gguf?download=true", Repository("org/repo", "v1", "sub/a.gguf")),
        ("huggingface.co/org/repo/tree/v1", Repository("org/repo", "v1")),
        ("https://example.org/a.gguf?token=x#part", Link("https://example.org/a.gguf?token=x")),
        ("http://[::1]:8000/a.gguf", Link("http://[::1]:8000/a.gguf")),
    ],
)
def test_it_is_understood(text: str, meant: Repository | Link) -> None:
    assert read_source(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qwen",
        "a/b/c",
        "hf.co",
        "hf.co/org",
        "hf.co/../x",
        "hf.co/org/repo/a.gguf",
        "ftp://a/b",
        "http://",
        "https://u:p@h/a",
        "http://h:99999/x",
        "hf.co/ä/b",
    ],
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(Unclear):
        read_source(text)


def test_what_is_shown_of_an_address_has_no_secret() -> None:
    link = read_source("https://example.org/a.gguf?token=x")
    assert isinstance(link, Link)
    assert link.shown == "https://example.org/a.gguf"
