"""One thing breaks at one moment of the stroke. The oracle is the plant: where the nail is, what flows, what runs.

Twenty moments of each fault; a run takes a tenth of them, drawn by the seed that is printed, unless CELLBENCH_ALL is
set, which ``scripts/soak`` does.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.simulated import SimulatedBench
from simulators.spec import Signal
from tests.scenarios.runs import Watched, order, run

NAIL = Path(__file__).parent / "nail.yaml"
MOMENTS = 20
OBSERVED_S = 600.0
LOOK_S = 0.005
#: Of the cell, and how far the nail goes beyond it.
THICKNESS_MM, BEYOND_MM = 13.5, 10.0
#: At 25 mm/s: the rig's own 10 ms, and what a commanded stop takes on its way.
STOPPING_MM = 6.0
#: The rig looks every 10 ms.
TICK_MM = 0.25
SEED = int(os.environ.get("CELLBENCH_SEED", "20261123"))


@dataclass(frozen=True)
class Case:
    """A fault, what it does to the nail in contact, and what the run may say of it."""

    name: str
    strike: Callable[[SimulatedBench], object]
    finishes: bool
    kinds: frozenset[str]
    verdicts: frozenset[str]


def _input(kind: Any) -> Callable[[SimulatedBench], object]:
    return lambda bench: bench.scene.plant.set_input("rig1", kind, 0.0)


def _cut(device: str) -> Callable[[SimulatedBench], object]:
    return lambda bench: bench.scene.cut(device)


CASES = (
    Case("door", _input("door_closed"), False, frozenset({"interlock", "device"}), frozenset({"aborted", "error"})),
    Case("estop", _input("estop_released"), False, frozenset({"interlock", "device"}), frozenset({"aborted", "error"})),
    Case(
        "gas",
        _input("gas"),
        True,
        frozenset({"completed", "sample_event", "interlock"}),
        frozenset({"pass", "inconclusive", "aborted"}),
    ),
    Case("exhaust", _input("exhaust_flow"), True, frozenset({"interlock"}), frozenset({"aborted"})),
    Case("person", lambda _: signal.raise_signal(signal.SIGINT), False, frozenset({"person"}), frozenset({"aborted"})),
    Case("wire cut", _cut("th1"), True, frozenset({"device", "staleness"}), frozenset({"error", "aborted"})),
    Case("link lost", _cut("rig"), True, frozenset({"device", "staleness"}), frozenset({"error", "aborted"})),
    Case("cycler lost", _cut("psb"), True, frozenset({"device", "staleness"}), frozenset({"error", "aborted"})),
    Case(
        "rig power",
        lambda bench: bench.scene.personality("rig").power_off(),
        False,
        frozenset({"device", "staleness"}),
        frozenset({"error", "aborted"}),
    ),
    Case(
        "jam",
        lambda bench: bench.scene.plant.press("rig1").jam(bench.scene.plant.press("rig1").position_mm),
        False,
        frozenset({"device"}),
        frozenset({"error"}),
    ),
    Case(
        "overtravel",
        lambda bench: bench.scene.personality("rig").overtravel(),
        False,
        frozenset({"device"}),
        frozenset({"error"}),
    ),
)


def _drawn() -> list[tuple[Case, int]]:
    every = [(case, moment) for case in CASES for moment in range(MOMENTS)]
    if os.environ.get("CELLBENCH_ALL"):
        return every
    return [
        (case, moment)
        for case in CASES
        for moment in sorted(random.Random(f"{SEED}/{case.name}").sample(range(MOMENTS), k=-(-MOMENTS // 10)))
    ]


class Stroke:
    """Watches the press, and strikes once it has gone so far."""

    def __init__(self, case: Case | None = None, moment: int = 0) -> None:
        self.case = case
        self.moment = moment
        self.start_mm = self.struck_mm = float("nan")
        self.depth_at_strike_mm = 0.0
        self.bench: SimulatedBench | None = None
        self._task: asyncio.Task[None] | None = None

    def arrange(self, bench: SimulatedBench) -> None:
        self.bench = bench
        press = bench.scene.plant.press("rig1")
        self.start_mm = press.position_mm
        if self.case is not None:
            self._task = asyncio.get_running_loop().create_task(self._strike(bench, self.case), name="strike")

    async def _strike(self, bench: SimulatedBench, case: Case) -> None:
        plant = bench.scene.plant
        loop = asyncio.get_running_loop()
        press = plant.press("rig1")
        while not press.velocity_mm_s > 0.0:
            await asyncio.sleep(LOOK_S)
            plant.advance(loop.time())
        surface_mm = press.surface_mm
        assert surface_mm is not None
        travel_mm = surface_mm + THICKNESS_MM + BEYOND_MM - self.start_mm
        wanted_mm = self.start_mm + travel_mm * (self.moment + 0.5) / MOMENTS
        while press.position_mm < wanted_mm and press.velocity_mm_s > 0.0:
            await asyncio.sleep(LOOK_S)
            plant.advance(loop.time())
        self.struck_mm, self.depth_at_strike_mm = press.position_mm, press.depth_mm
        case.strike(bench)


def _ran(folder: Path, stroke: Stroke) -> tuple[Any, Watched]:
    asked = order(folder, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'})
    return run(asked, arrange=stroke.arrange)


def test_nothing_breaks(tmp_path: Path) -> None:
    stroke = Stroke()
    result, watched = _ran(tmp_path, stroke)
    assert result.verdict == "pass", result
    assert result.results["penetration_speed_mm_s"].value == pytest.approx(25.0, rel=0.02)
    assert result.results["observation_s"].value >= OBSERVED_S
    _bench_is_safe(watched)


@pytest.mark.fault("F48", "F54", "F55", "H11", "I1")
@pytest.mark.parametrize(("case", "moment"), [pytest.param(c, m, id=f"{c.name}-{m}") for c, m in _drawn()])
def test_a_fault_in_the_stroke(tmp_path: Path, case: Case, moment: int) -> None:
    stroke = Stroke(case, moment)
    result, watched = _ran(tmp_path, stroke)
    assert stroke.bench is not None
    said = f"{case.name} at moment {moment} (CELLBENCH_SEED={SEED}), {stroke.depth_at_strike_mm:.1f} mm deep: {result}"
    assert result.ended_by.kind in case.kinds, said
    assert result.verdict in case.verdicts, said
    press = stroke.bench.scene.plant.press("rig1")
    assert press.velocity_mm_s == 0.0, said
    assert press.position_mm >= stroke.struck_mm - 0.1, f"the tool was pulled back: {said}"
    if stroke.depth_at_strike_mm > 0.0:
        assert result.results["observation_s"].value >= OBSERVED_S, said
        through = press.depth_mm >= THICKNESS_MM
        stopped = press.position_mm <= stroke.struck_mm + STOPPING_MM
        # in the very tick of its first force the rig itself has no contact yet, and stops for its own interlock
        in_the_tick = case.finishes and stroke.depth_at_strike_mm <= TICK_MM
        assert through or (in_the_tick and stopped) if case.finishes else stopped, said
    elif case.finishes:  # found before contact it stops short of it; found later the rig has gone through
        assert press.depth_mm == 0.0 or press.depth_mm >= THICKNESS_MM, said
    else:
        assert press.position_mm <= stroke.struck_mm + STOPPING_MM, said
    assert result.plant_truth is not None
    _bench_is_safe(watched)


def _bench_is_safe(watched: Watched) -> None:
    """No current, both contactors and the short open, exhaust on."""
    assert watched.made_safe()
    assert watched.bench is not None
    plant = watched.bench.scene.plant
    for closed in (Signal("feedback", "1"), Signal("feedback", "1", "rig1"), Signal("short_feedback", "1", "rig1")):
        assert plant.signal(closed) == 0.0
    assert plant.signal(Signal("exhaust", "rig1")) == 1.0
