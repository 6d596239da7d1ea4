"""Home goes away in every way there is, amid asks: the spare answers meanwhile, nobody sees an error, and home is back by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import figures
from tests.chain import places, vps
from tests.chain.chain import Chain
from tests.chain.outages import FAULTS, Trial

WHY_NOT = places.lacking() or vps.lacking()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
TIMES = 20 if figures.THOROUGH else 1
RARE = {"dead line", "stale port", "address change, Unix socket", "stale Unix socket"}  # much like others, so not in every run
SEED = 7


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if figures.THOROUGH or fault not in RARE])
def test_home_goes_away(tmp_path: Path, fault: str) -> None:
    with Chain(tmp_path, socket="Unix" in fault) as chain:
        trial = Trial(chain, fault, SEED)
        trial.run(TIMES)
        trial.note(vps.CLOCKS["first_token_timeout_s"])
        print(f"{fault}: {[round(took, 1) for took in trial.recovery_s]}")
        assert [one for one in trial.whole if one.outcome != "answered"] == [], "a visitor saw an error"
        assert [one for one in trial.streams if one.outcome not in ("answered", "told")] == [], "a cut that was not told"
        assert [one for one in trial.amid(trial.streams) if one.outcome != "answered"] == [], "a stream that began while home was away"
