"""The model card: the table of an evaluation, and what stands around it."""

from __future__ import annotations

import sys
from pathlib import Path

import grammar
from homeport import pilot
from homeport.pull.gguf import read_header
from scoring import Score

HERE = Path(__file__).parent
OUT = HERE / "MODEL_CARD.md"
GROUPS = {"own": "texts kept out of training", "hand": "hand-written set"}
_MODES = {"rules": "code alone", "decoder": "decoder alone", "both": "both, as shipped"}


def table(results: dict[tuple[str, str, str], dict[str, Score]], speeds: dict[str, dict[str, str]]) -> str:
    """Tables in Markdown: one a group of texts, a row a figure, a column a way to answer; and the speed."""
    parts = []
    for group, name in GROUPS.items():
        columns = [(mode, model) for one, mode, model in results if one == group]
        rows = list(dict.fromkeys(row for key, scores in results.items() if key[0] == group for row in scores))
        if not rows:
            continue
        heads = [_MODES[mode] if mode == "rules" else f"{model}: {_MODES[mode]}" for mode, model in columns]
        parts.append(f"### On the {name}\n\n| figure | cases | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}")
        for row in rows:
            scores = [results[group, mode, model].get(row) for mode, model in columns]
            cases = max((score.cases for score in scores if score), default=0)
            parts.append(f"| {row} | {cases} | {' | '.join(str(score) if score else '–' for score in scores)} |")
        parts.append("")
    for model, speed in speeds.items():
        parts.append("\n".join([f"### Speed: {model}", "", "| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in speed.items()), ""]))
    return "\n".join(parts)


def write(found: str) -> None:
    """MODEL_CARD.md anew."""
    text = (HERE / "card.md").read_text(encoding="utf-8")
    OUT.write_text(text.replace("{{models}}", _models()).replace("{{data}}", _data()).replace("{{table}}", found), encoding="utf-8")
    print(f"wrote {OUT.relative_to(HERE.parent)}", file=sys.stderr)


def _models() -> str:
    rows = ["| model | parameters | file | width × layers | vocabulary | context |", "|---|---|---|---|---|---|"]
    for name, path in pilot.PATHS.items():
        if not path.exists():
            continue
        header = read_header(path.read_bytes()[: 4 << 20])
        fields = header.fields if hasattr(header, "fields") else {}
        count = getattr(header, "parameters", 0)
        rows.append(
            f"| `{name}` | {count:,} | {path.stat().st_size / 1e6:.1f} MB | {fields.get('llama.embedding_length', '?')} × {fields.get('llama.block_count', '?')} | "
            f"{fields.get('llama.vocab_size', '?')} | {fields.get('llama.context_length', '?')} |"
        )
    for path, what in (
        (pilot.INTENT, "kinds of message: 65,536 places of hashed n-grams and signs of build, four numbers of 8 bits each"),
        (pilot.SPANS, "answers in a text: 16,384 places, 8 bits"),
    ):
        if path.exists():
            rows.append(f"| `{path.name}` ({what}) | {path.stat().st_size:,} | {path.stat().st_size / 1e6:.2f} MB | | | |")
    return "\n".join(rows)


def _data() -> str:
    size = sum(path.stat().st_size for path in (HERE / "phrases").rglob("*.txt"))
    lines = sum(len(grammar.lines(str(path.relative_to(HERE / "phrases")))) for path in (HERE / "phrases").rglob("*.txt"))
    return f"{size / 1e6:.2f} MB of phrases written by hand, in {lines:,} lines"
