"""A trip on one channel: who else ends, what stays latched, what the alarms say, and what a person does about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from drivers.errors import PreflightRefused
from tests.daemon.houses import asked, ended, in_house, in_step, plant_of, started

pytestmark = pytest.mark.scenario


def test_smoke_ends_every_run_of_the_chamber_and_latches_the_bench_until_it_is_gone(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        runs = [await started(desk, asked(channel), key=channel) for channel in ("1", "4")]
        for run in runs:
            await in_step(house, run.run_id, "out")
        await asyncio.sleep(10.0)
        plant_of(house).set_input("shelf1", "smoke", 0.0)
        for run in runs:
            over = await ended(house, run.run_id)
            assert (over.verdict, over.ended_by) == ("aborted", "interlock")
        plant = plant_of(house)
        assert not any(plant.terminal(channel).closed for channel in ("1", "4"))
        assert not plant.chamber("shelf1").running  # after smoke off, not to ambient
        assert desk.now().latched
        assert {channel.state for channel in desk.now().channels} == {"latched"}
        with pytest.raises(DeskRefused) as refused:
            await started(desk, asked("2"), key="2")
        assert refused.value.code == "latched"
        alarms = {(alarm.rule, alarm.channel): alarm for alarm in await desk.alarms()}
        assert {alarm.priority for alarm in alarms.values()} == {"high"}
        assert {channel for _, channel in alarms} == {"1", "4", None}
        smoke = alarms["interlock.smoke_clear", "1"]
        assert smoke.state == "returned_unacknowledged"
        assert smoke.action.zh
        with pytest.raises(PreflightRefused, match="smoke"):
            await desk.unlatch(by="wang")
        plant_of(house).set_input("shelf1", "smoke", 1.0)
        (text,) = await desk.unlatch(by="wang", note="aired")
        assert "smoke" in text
        assert not desk.now().latched
        latched = next(alarm for alarm in await desk.alarms() if alarm.rule == "latched")
        assert latched.state == "returned_unacknowledged"
        fresh = await started(desk, asked("2"), key="2")
        assert (await ended(house, fresh.run_id)).verdict == "pass"

    in_house(tmp_path, visit)


def test_a_cycler_that_falls_silent_ends_its_own_run_and_no_other(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        doomed, spared = [await started(desk, asked(channel), key=channel) for channel in ("1", "2")]
        await in_step(house, doomed.run_id, "out")
        await in_step(house, spared.run_id, "out")
        await asyncio.sleep(10.0)
        scene = house.far_side.bench.scene  # type: ignore[attr-defined]
        scene.cut("psb1")
        over = await ended(house, doomed.run_id)
        assert (over.exit_code, over.ended_by) == (4, "device")
        assert not plant_of(house).terminal("1").closed
        assert (await ended(house, spared.run_id)).verdict == "pass"
        await scene.restore("psb1")

    in_house(tmp_path, visit)
