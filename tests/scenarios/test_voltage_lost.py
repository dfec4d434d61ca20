"""The sample's voltage goes to zero as the nail goes in: the record tells a broken lead from a shorted cell."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench import record
from bench.results import RunResult
from bench.simulated import SimulatedBench
from tests.scenarios.runs import order, run
from tests.scenarios.test_nail_faults import LOOK_S, NAIL, OBSERVED_S

pytestmark = [pytest.mark.scenario, pytest.mark.fault("F50")]


def _told(result: RunResult) -> list[Any]:
    kept = record.load(Path(result.bundle))
    return [(event.data["why"], event.data["channel"]) for event in kept.of("voltage_lost")]


def test_a_lead_that_breaks_at_penetration_is_told_and_recording_goes_on(tmp_path: Path) -> None:
    """The cell keeps its voltage, in plant truth; only the input module's lead is off. The rig's own is not."""
    tasks: list[asyncio.Task[None]] = []
    kept: list[SimulatedBench] = []

    async def breaking(bench: SimulatedBench) -> None:
        plant, loop = bench.scene.plant, asyncio.get_running_loop()
        while not plant.press("rig1").depth_mm > 0.0:
            await asyncio.sleep(LOOK_S)
            plant.advance(loop.time())
        bench.scene.personality("v1").force("ai1", 0.0)

    def arrange(bench: SimulatedBench) -> None:
        kept.append(bench)
        tasks.append(asyncio.get_running_loop().create_task(breaking(bench)))

    asked = order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'})
    result, watched = run(asked, arrange=arrange)
    assert kept[0].scene.plant.terminal("1").cell_voltage_v > 2.0
    assert _told(result) == [("a lead broke", "v1.ai1.voltage_v")]
    assert result.results["observation_s"].value >= OBSERVED_S
    assert watched.made_safe()


def test_a_cell_that_shorts_at_penetration_is_told_by_its_heat(tmp_path: Path) -> None:
    edits = {"start_soc": '"100 %"', "ignites": "true"}
    result, watched = run(order(tmp_path, sequence=NAIL, cell="nmc-25ah", edits=edits))
    assert _told(result) == [("the cell has shorted", "v1.ai1.voltage_v")]
    assert result.results["observation_s"].value >= OBSERVED_S
    assert watched.made_safe()


def test_a_cell_that_keeps_its_voltage_has_lost_none(tmp_path: Path) -> None:
    result, _ = run(order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'}))
    assert _told(result) == []
