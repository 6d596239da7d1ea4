"""The parser that people write first, to stand beside ours: cut the thought, try the whole, the first fence, the first brace to the last."""

from __future__ import annotations

import json
import re
from typing import Any


def parse(text: str) -> Any:
    """JSON from an answer. Raises ValueError where none is found."""
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL).strip()
    tries = [text]
    if fence := re.search(r"```(?:json)?\s*(.*?)```", text, re.DOTALL):
        tries.append(fence[1].strip())
    if "{" in text and "}" in text:
        tries.append(text[text.index("{") : text.rindex("}") + 1])
    for candidate in tries:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    raise ValueError("no JSON found")
