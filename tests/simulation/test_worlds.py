"""Seeded worlds: a part drawn by a printed seed in every run of the tests, all ten thousand under CELLBENCH_ALL."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests.simulation import plans
from tests.simulation.seeds import drawn
from tests.simulation.sweep import Folder, swept

pytestmark = pytest.mark.scenario

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
ALL = bool(os.environ.get("CELLBENCH_ALL"))
SEEDS = 10_000
PARTS, EACH = 4, 12


def _seeds(part: int) -> list[int]:
    if ALL:
        return list(range(part, SEEDS, PARTS))
    return Random(f"{SEED}/{part}").sample(range(SEEDS), EACH)


@pytest.mark.fault(
    "F1", "F2", "F3", "F4", "F5", "F7", "F8", "F9", "F10", "F11", "F12", "F14", "F15", "F16", "F19", "F22", "F23",
    "F24", "F26", "F27", "F31", "F32", "F33", "F34", "F35", "F38", "F39", "F41", "F42", "F45", "F46", "F47", "F54",
    "F55", "F56", "F62", "F64", "F66", "F67", "F68", "F69", "F70", "F71", "F72", "H1", "H3", "H4", "H6", "H9", "H13",
)  # fmt: skip
@pytest.mark.parametrize("part", range(PARTS))
def test_no_promise_is_broken(part: int) -> None:
    seeds = _seeds(part)
    sweep = swept(seeds)
    print(f"CELLBENCH_SEED={SEED}: {sweep.text(len(seeds))}")
    assert sweep.runs == len(seeds)
    assert sweep.broken == {}, sweep.text(len(seeds))


def test_the_same_seed_does_the_same_again() -> None:
    folder = Folder()
    try:
        for seed in Random(f"{SEED}/twice").sample(range(SEEDS), 3):
            world = drawn(seed, folder.scene)
            first, second = (folder.tried(world)[0] for _ in range(2))
            assert first.looks == second.looks, f"seed {seed}"
            assert first.struck == second.struck, f"seed {seed}"
    finally:
        folder.close()


@pytest.mark.parametrize("plan", sorted(plans.FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_was_found_once_is_not_found_again(plan: Path) -> None:
    folder = Folder()
    try:
        assert folder.tried(plans.read(plan, folder.scene))[1].findings == []
    finally:
        folder.close()
