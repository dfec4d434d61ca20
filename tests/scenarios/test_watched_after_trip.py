"""A trip before contact, and contact all the same: the observation that is owed then is watched, and said to be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench.answers import simulated_operator
from bench.guardian.channel import SILENCE_S
from bench.run import carry_out, far_end_of, prepare
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from tests.guardian.test_engine_link import Told
from tests.scenarios.runs import START_UTC_S, order
from tests.scenarios.test_nail_faults import LOOK_S, NAIL, OBSERVED_S

pytestmark = pytest.mark.scenario

#: The rig's link is lost so near to the sample that nobody hears of the contact: it cannot be excluded then.
BEFORE_CONTACT_MM = 0.5


async def _strike(bench: SimulatedBench) -> float:
    """When it was."""
    plant, loop = bench.scene.plant, asyncio.get_running_loop()
    press = plant.press("rig1")
    while not press.velocity_mm_s > 0.0:
        await asyncio.sleep(LOOK_S)
        plant.advance(loop.time())
    assert press.surface_mm is not None
    while press.position_mm < press.surface_mm - BEFORE_CONTACT_MM:
        await asyncio.sleep(LOOK_S)
        plant.advance(loop.time())
    bench.scene.cut("rig")
    return loop.time()


@pytest.mark.fault("F48", "H11")
def test_a_guard_that_tripped_before_contact_beats_through_the_observation(tmp_path: Path) -> None:
    async def main() -> None:
        prepared = prepare(order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'}), {})
        plan, link = prepared.plan, Told()
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            striking = asyncio.create_task(_strike(bench))
            answers = simulated_operator(plan.bench.simulation.operator)
            result = await carry_out(prepared, replace(far_end_of(bench), link=link), answers)
        struck_s = await striking
        assert (result.ended_by.kind, result.ended_by.device) == ("device", "rig")
        assert result.results["observation_s"].value >= OBSERVED_S
        during = [at_s for at_s in link.beats_s if at_s > struck_s]
        assert during[-1] >= struck_s + OBSERVED_S
        assert max(later - earlier for earlier, later in pairwise(during)) < SILENCE_S

    in_virtual_time(main(), speed=None)
