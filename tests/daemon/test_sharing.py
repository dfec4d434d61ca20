"""What one run does to a shared module or chamber touches no other run: the oracle is the plant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from tests.daemon.houses import asked, ended, in_house, in_step, plant_of, started

pytestmark = pytest.mark.scenario


def test_a_stopped_run_opens_its_own_contactor_and_leaves_chamber_and_neighbour_alone(tmp_path: Path) -> None:
    """Channels 1 and 2 hang on one I/O module; both want 40 degC of the one chamber."""

    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        first = await started(desk, asked("1", air="40 degC"), key="1")
        second = await started(desk, asked("2", air="40 degC", length="20 min"), key="2")
        await in_step(house, first.run_id, "out")
        await in_step(house, second.run_id, "out")
        await asyncio.sleep(30.0)  # both outputs are on by now
        assert house.runs.leases.holders("ch1") == (first.run_id, second.run_id)
        await desk.stop(first.run_id, by="wang")
        stopped = await ended(house, first.run_id)
        plant = plant_of(house)
        assert (stopped.verdict, stopped.ended_by) == ("aborted", "person")
        assert not plant.terminal("1").closed
        assert plant.terminal("2").closed
        assert plant.terminal("2").current_a < -1.0  # 0.5 I1 of a 5 Ah cell, discharging
        assert plant.chamber("shelf1").setpoint_c == pytest.approx(40.0)
        passed = await ended(house, second.run_id)
        plant = plant_of(house)
        assert (passed.verdict, passed.faults) == ("pass", ())
        assert not plant.terminal("2").closed
        assert plant.chamber("shelf1").setpoint_c == pytest.approx(24.0)  # the last one sends it to ambient

    in_house(tmp_path, visit)


def test_a_run_that_wants_another_temperature_waits_and_says_why(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        warm = await started(desk, asked("1", air="40 degC"), key="1")
        await in_step(house, warm.run_id, "soak")
        cool = await started(desk, asked("3"), key="3")
        await asyncio.sleep(60.0)
        waiting = await desk.run(cool.run_id)
        assert waiting.state == "waiting"
        assert waiting.queue_why is not None
        assert waiting.queue_why.en.startswith(f"ch1 holds 40 degC for run {warm.run_id} until about ")
        channel = next(channel for channel in desk.now().channels if channel.name == "3")
        assert (channel.state, channel.why) == ("waiting", waiting.queue_why)
        assert plant_of(house).chamber("shelf1").setpoint_c == pytest.approx(40.0)
        assert (await ended(house, warm.run_id)).verdict == "pass"
        late = await ended(house, cool.run_id)
        assert (late.verdict, late.faults) == ("pass", ())  # its condition is that the air never passed 27 degC

    in_house(tmp_path, visit)


def test_a_stop_takes_a_waiting_run_out_of_the_queue(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        warm = await started(desk, asked("1", air="40 degC"), key="1")
        await in_step(house, warm.run_id, "soak")
        cool = await started(desk, asked("3"), key="3")
        await desk.stop(cool.run_id, by="wang")
        gone = await ended(house, cool.run_id)
        assert (gone.state, gone.verdict, gone.exit_code) == ("closed", None, 3)
        assert not (tmp_path / "runs" / cool.run_id).exists()
        views = await desk.abort_all(by="wang")
        assert [(view.run_id, view.verdict) for view in views] == [(warm.run_id, "aborted")]
        assert not plant_of(house).terminal("1").closed

    in_house(tmp_path, visit)


def test_the_same_key_starts_one_run_and_a_changed_plan_none(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        once = await started(desk, asked("1"), key="k")
        again = await started(desk, asked("1"), key="k")
        assert again.run_id == once.run_id
        assert len(house.runs.all) == 1
        approved = await desk.check(asked("3"))
        assert approved.plan_hash is not None
        with pytest.raises(Exception, match="not what was approved"):
            await desk.start(asked("3", length="3 min"), plan_hash=approved.plan_hash, key="other", by="lin")
        assert len(house.runs.all) == 1

    in_house(tmp_path, visit)
