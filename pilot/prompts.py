"""The one prompt format of the tasks: Homeport's own file, read here without Homeport being installed."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("shipped_prompts", Path(__file__).resolve().parents[1] / "src" / "homeport" / "tasks" / "shipped" / "prompts.py")
assert _spec is not None and _spec.loader is not None
_found = module_from_spec(_spec)
_spec.loader.exec_module(_found)

LABELS, FIELDS, BANDS, PLACEHOLDERS, TONES = _found.LABELS, _found.FIELDS, _found.BANDS, _found.PLACEHOLDERS, _found.TONES
classify, extract, scatter, draft, ask, packed = _found.classify, _found.extract, _found.scatter, _found.draft, _found.ask, _found.packed
