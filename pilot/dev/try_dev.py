"""How code alone does on the small sets to develop with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from homeport.skills import classification, extraction

HERE = Path(__file__).parent


def main() -> int:
    """Print what is wrong, and how much is right."""
    right = cases = 0
    for line in (HERE / "labels.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        label, labels, text = line.split(" | ")
        shares = classification.proposed(text, labels.split(", "))
        best = max(shares, key=lambda name: shares[name])
        right, cases = right + (best == label), cases + 1
        if best != label:
            print("label", label, {name: round(share, 2) for name, share in shares.items()}, text)
    print(f"labels: {right} of {cases}")
    right = cases = 0
    for line in (HERE / "fields.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        got = extraction.extract(case["text"], list(case["values"]))
        for name, value in case["values"].items():
            right, cases = right + (got[name].value == value), cases + 1
            if got[name].value != value:
                print("field", name, repr(value), got[name], case["text"][:90])
    print(f"fields: {right} of {cases}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
