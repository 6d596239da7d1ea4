"""Are the bundled models as they were made?"""

from __future__ import annotations

from collections.abc import Iterator

from homeport import pilot
from homeport.doctor.diagnosis import Diagnosis, well, wrong

FILES = "pilot.files"


def look() -> Iterator[Diagnosis]:
    """Every bundled file against its SHA-256."""
    problems = [found for path in (*pilot.PATHS.values(), pilot.INTENT, pilot.SPANS) if (found := pilot.problem(path)) is not None]
    for problem in problems:
        yield wrong(FILES, problem, "a model whose file is spoilt is not served", pilot.FIX.removeprefix("Install Homeport anew: ").rstrip("."))
    if not problems:
        yield well(FILES, f"Bundled models: {' and '.join(pilot.PATHS)}, as they were made")
