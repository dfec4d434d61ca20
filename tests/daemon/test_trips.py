"""A trip on one channel: who else ends, what stays latched, what the alarms say, and what a person does about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import record
from bench.daemon.desk import DeskRefused
from bench.daemon.front_desk import FrontDesk
from bench.daemon.house import BenchHouse
from drivers.errors import PreflightRefused
from tests.daemon.houses import LINE, asked, ended, in_house, in_step, plant_of, started

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


def blind_shelf(folder: Path) -> Path:
    """The line with a third shelf whose run reads a flame detector of its own and none of the others' detectors, though
    it is in the one chamber with them."""
    text = LINE.read_text()
    begin = text.index("interlocks", text.index("[places.shelf3]"))
    path = folder / "blind.toml"
    own = 'interlocks = { flame_clear = "io2.di3" }\n'
    path.write_text(text[:begin] + own + text[text.index("\n", begin) + 1 :])
    return path


def test_a_fire_ends_every_run_of_its_zone_even_one_that_cannot_see_it(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        seeing, blind = [await started(desk, asked(channel), key=channel) for channel in ("1", "3")]
        for run in (seeing, blind):
            await in_step(house, run.run_id, "out")
        await asyncio.sleep(10.0)
        tenancy = house.runs.of(blind.run_id)
        assert tenancy is not None
        assert not any("io1.di4" in points for points in tenancy.plan.points.values()), "it does not read the detector"
        plant_of(house).set_input("shelf1", "smoke", 0.0)
        for run in (seeing, blind):
            over = await ended(house, run.run_id)
            assert (over.verdict, over.ended_by) == ("aborted", "interlock")
        plant = plant_of(house)
        assert not any(plant.terminal(channel).closed for channel in ("1", "3"))
        assert not plant.chamber("shelf1").running, "after a fire the chamber is off, whoever made it safe last"
        kept = record.load(await desk.bundle(blind.run_id))
        (trip,) = kept.of("trip")
        first = record.load(await desk.bundle(seeing.run_id))
        (seen,) = first.of("trip")
        assert trip.data["rule"] == "zone.shelf1.fire"
        assert 0.0 <= trip.utc_s - seen.utc_s < 0.1, "at once, not when it gets warm there"
        assert desk.now().latched
        plant_of(house).set_input("shelf1", "smoke", 1.0)
        await desk.unlatch(by="wang", note="aired")
        assert not desk.now().latched

    in_house(tmp_path / "data", visit, bench=blind_shelf(tmp_path))


def test_a_run_that_waits_does_not_begin_on_a_bench_that_tripped_meanwhile(tmp_path: Path) -> None:
    async def visit(house: BenchHouse, desk: FrontDesk) -> None:
        warm = await started(desk, asked("1", air="40 degC"), key="1")
        await in_step(house, warm.run_id, "out")
        cool = await started(desk, asked("3"), key="3")
        await asyncio.sleep(10.0)
        assert (await desk.run(cool.run_id)).state == "waiting"
        plant_of(house).set_input("shelf1", "smoke", 0.0)
        await asyncio.sleep(5.0)
        plant_of(house).set_input("shelf1", "smoke", 1.0)  # gone again, but nobody has looked
        assert (await ended(house, warm.run_id)).ended_by == "interlock"
        gone = await ended(house, cool.run_id)
        assert gone.verdict is None
        assert gone.exit_code == 4
        assert "nobody has acknowledged it" in gone.faults[0].error
        assert not plant_of(house).terminal("3").closed
        assert plant_of(house).totals("3").discharged_ah == 0.0

    in_house(tmp_path, visit)
