"""Killed or cancelled wherever a task of the program can be suspended: nothing stays on."""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.simulation.oracle import judge
from tests.simulation.sites import REFERENCES, interrupted, interruptions
from tests.simulation.sweep import Folder

pytestmark = pytest.mark.scenario

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
ALL = bool(os.environ.get("CELLBENCH_ALL"))
#: Seeded visits between the first and the last of each site.
BETWEEN = 2000
DRAWN = 24


@pytest.mark.fault("F64", "F56", "H4", "H13", "T6", "T22", "T24")
def test_nothing_stays_on_wherever_it_is_interrupted() -> None:
    folder = Folder()
    try:
        every = interruptions(folder.path, between=BETWEEN)
        folder.clear()
        sites = {(at.reference, at.site) for at in every}
        assert len(sites) > 100
        assert {at.reference for at in every} == set(range(len(REFERENCES)))
        chosen = every if ALL else Random(SEED).sample(every, DRAWN)
        broken: list[str] = []
        for at in chosen:
            found = interrupted(at, folder.path)
            assert [it.strike.fault for it in found.struck][-1:] != [], at
            broken += [f"{at}: {line}" for line in judge(found).findings]
            folder.clear()
        print(f"CELLBENCH_SEED={SEED}: {len(chosen)} of {len(every)} interruptions at {len(sites)} sites")
        assert broken == []
    finally:
        folder.close()
