"""How often the patterns are right on generated texts, and where not: FIELD or "all", a seed, how many to show, "own" for layouts kept out."""

from __future__ import annotations

import collections
import random
import sys
from pathlib import Path

from homeport.skills import extraction as skill

sys.path.insert(0, str(Path(__file__).parents[1]))

import extraction
import prompts


def main(only: str = "all", seed: str = "5", show: str = "10", *more: str) -> int:
    """Print shares by field."""
    rng = random.Random(int(seed))
    own, other = "own" in more, "other" in more
    hits: collections.Counter[str] = collections.Counter()
    cases: collections.Counter[str] = collections.Counter()
    shown = 0
    for _ in range(1500):
        text, fields, answer = extraction.case(rng, own=own)
        if (tuple(fields) == prompts.FIELDS) == other:
            continue
        got = skill.extract(text, fields)
        for name in fields:
            key = "other" if other else name
            right = got[name].value == answer[name]
            cases[key], hits[key] = cases[key] + 1, hits[key] + right
            if not right and only in ("all", name) and shown < int(show):
                shown += 1
                print(f"{name}: {answer[name]!r} got {got[name]}\n    {text[:300]!r}")
    print({name: round(hits[name] / cases[name], 3) for name in cases}, "all", round(sum(hits.values()) / sum(cases.values()), 4))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
