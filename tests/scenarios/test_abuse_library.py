"""Each abuse test of the library with a sample that passes it and one that fails it.

What to expect comes from the sample, not from the sequence: 1000 times a weight, 1.1 times a voltage, a short that
never heats a blade, gas that was told to burn. A run takes half a minute, so a quarter of them is drawn by a
seed that is printed, unless CELLBENCH_ALL is set, which ``scripts/soak`` does.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.results import RunResult
from tests.scenarios.runs import order, run

SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))
GRAVITY = 9.80665


def value(result: RunResult, name: str) -> float:
    return result.results[name].value


@dataclass(frozen=True)
class Sample:
    """A cell, how it differs from its file, what becomes of it, and what else must hold then."""

    sequence: str
    cell: str
    verdict: str
    edits: Mapping[str, str] = field(default_factory=dict)
    holds: Callable[[RunResult], bool] = lambda _: True

    def __str__(self) -> str:
        return f"{self.sequence.split('/')[1]}-{self.cell}-{self.verdict}"


def _burns(result: RunResult) -> bool:
    """It burnt and did not burst: level 5, and the requirement that says so is the one that failed."""
    failed = {row.id for row in result.criteria if row.verdict == "fail"}
    return value(result, "hazard_level") == 5.0 and failed == {"no-fire"}


SAMPLES = (
    # 3.3 V into 155 mohm are 70 W, on 0.2 m2 at 10 W/m2K 35 K at most
    Sample(
        "gbt31485-2015/nail-penetration", "lfp-blade", "pass", holds=lambda r: value(r, "peak_temperature_c") < 60.0
    ),
    Sample("gbt31485-2015/nail-penetration", "nmc-25ah", "fail", {"ignites": "true"}, _burns),
    Sample("gb38031-2025/needle-trigger", "lfp-block", "pass", holds=lambda r: value(r, "runaway_confirmed") == 0.0),
    Sample("gb38031-2025/needle-trigger", "nmc-25ah", "fail", {"ignites": "true"}, _burns),
    # 1.1 times 4.2 V, less a step of the display, or 115 % of the charge that it took
    Sample(
        "gb38031-2025/overcharge",
        "nmc-25ah",
        "pass",
        holds=lambda r: value(r, "overcharge_voltage_v") >= 4.62 - 0.02 or value(r, "overcharge_soc") >= 1.15,
    ),
    Sample("gb38031-2025/overcharge", "nmc-25ah", "fail", {"ignites": "true", "short_resistance_ohm": "0.005"}, _burns),
    Sample("gb38031-2025/heating", "lfp-block", "pass", holds=lambda r: value(r, "peak_temperature_c") < 140.0),
    Sample("gb38031-2025/heating", "nmc-21700", "fail", {"ignites": "true"}, _burns),
    Sample(
        "gb38031-2025/crush",
        "nmc-25ah",
        "pass",
        holds=lambda r: value(r, "peak_force_n") == pytest.approx(1000 * 0.7189 * GRAVITY, rel=0.03),
    ),
    # a heavier cell is pressed harder, to 14 % of its thickness
    Sample("gb38031-2025/crush", "nmc-25ah", "fail", {"ignites": "true", "mass": '"1.6 kg"'}, _burns),
    Sample("gb38031-2025/external-short", "lfp-block", "pass", holds=lambda r: value(r, "short_s") >= 600.0),
    Sample("gb38031-2025/external-short", "nmc-25ah", "fail", {"ignites": "true"}, _burns),
)


def _drawn() -> list[Sample]:
    if os.environ.get("CELLBENCH_ALL"):
        return list(SAMPLES)
    return random.Random(SEED).sample(SAMPLES, k=len(SAMPLES) // 4)


@pytest.mark.fault("F44", "F45", "H7", "H8")
@pytest.mark.parametrize("sample", _drawn(), ids=str)
def test_a_sample_passes_or_fails_as_its_physics_says(tmp_path: Path, sample: Sample) -> None:
    result, watched = run(order(tmp_path, sequence=sample.sequence, cell=sample.cell, edits=sample.edits))
    said = f"{sample} (CELLBENCH_SEED={SEED}): {result}"
    assert result.verdict == sample.verdict, said
    assert sample.holds(result), said
    assert value(result, "observation_s") >= 3600.0, said
    assert watched.made_safe()
