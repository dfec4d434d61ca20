"""What is refused before the first energy, on which side it is put, and that nothing was switched on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.cause import EndKind
from drivers import PreflightRefused, Quality
from drivers.capabilities import Setpoints
from sequences import Verdict
from tests.bench.benchtop import World
from tests.bench.small_bench import Ran, Scene, run_small


def nothing_was_energised(ran: Ran) -> None:
    assert "output on" not in ran.world.acts
    assert "output_on" not in ran.kinds
    assert not ran.world.output
    assert "preflight_passed" not in ran.kinds
    assert "do0 on" not in ran.world.acts


def refused(ran: Ran, words: str, kind: EndKind = EndKind.SAMPLE_EVENT) -> None:
    nothing_was_energised(ran)
    assert ran.outcome.verdict is Verdict.ABORTED
    assert ran.outcome.ended_by.kind is kind
    assert isinstance(ran.outcome.error, PreflightRefused)
    assert words in ran.outcome.faults[0].error
    assert all(fault.fix for fault in ran.outcome.faults)


def test_a_reversed_cell(tmp_path: Path) -> None:
    world = World()
    world.reversed = True
    ran = run_small(tmp_path, world=world)
    refused(ran, "reversed: -3.5")
    assert ran.outcome.ended_by.rule == "preflight: polarity"
    assert ran.outcome.ended_by.device == "v1"


def test_a_missing_cell(tmp_path: Path) -> None:
    world = World()
    world.empty_v, world.slope_v_ah = 0.02, 0.0
    refused(run_small(tmp_path, world=world), "no cell")


@pytest.mark.parametrize("ocv_v", [2.45, 4.35])  # the demonstration cell may be used from 2.5 V to 4.3 V
def test_a_cell_outside_its_window(tmp_path: Path, ocv_v: float) -> None:
    world = World()
    world.empty_v, world.slope_v_ah = ocv_v, 0.0
    refused(run_small(tmp_path, world=world), "outside the cell file's operating window")


def test_an_open_thermocouple(tmp_path: Path) -> None:
    world = World()
    world.surface_quality = Quality.OPEN
    ran = run_small(tmp_path, world=world)
    refused(ran, "its reading is open")
    assert [fault.where for fault in ran.outcome.faults] == [f"th1.ai{n}.temperature_c" for n in range(3)]


def test_an_interlock_that_is_not_healthy(tmp_path: Path) -> None:
    world = World()
    world.inputs["di2"] = 0.0
    refused(run_small(tmp_path, world=world), "estop_released", EndKind.INTERLOCK)


def test_a_sample_that_is_too_hot_already(tmp_path: Path) -> None:
    world = World()
    world.surface_c[0] = 75.0
    refused(run_small(tmp_path, world=world), "sample.temperature")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    world = World()
    world.reversed = True
    world.inputs["di1"] = 0.0
    world.surface_quality = Quality.OPEN
    assert len(run_small(tmp_path, world=world).outcome.faults) == 5


def test_a_contactor_that_does_not_open_is_the_bench_s_fault(tmp_path: Path) -> None:
    world = World()
    world.contactor_stuck = True
    ran = run_small(tmp_path, world=world)
    nothing_was_energised(ran)
    assert ran.outcome.verdict is Verdict.ERROR
    assert ran.outcome.ended_by.kind is EndKind.DEVICE
    assert ran.outcome.ended_by.device == "io1"
    assert "says closed although the contactor is commanded open" in ran.outcome.faults[0].error
    assert not ran.outcome.safe_state.isolated


def test_a_contactor_that_does_not_close_is_the_bench_s_fault(tmp_path: Path) -> None:
    world = World()
    world.contactor_stuck = False
    ran = run_small(tmp_path, world=world)
    assert "output on" not in world.acts
    assert ran.outcome.verdict is Verdict.ERROR
    assert "says open although the contactor is commanded closed" in ran.outcome.faults[0].error
    assert not world.contactor


def test_leads_that_show_another_voltage_are_the_bench_s_fault(tmp_path: Path) -> None:
    world = World()
    world.terminal_v = lambda: 3.0 if world.feedback else 0.0  # type: ignore[method-assign]  # a wrong lead

    ran = run_small(tmp_path, world=world)
    assert "output on" not in world.acts
    assert ran.outcome.verdict is Verdict.ERROR
    assert ran.outcome.ended_by.device == "psb"
    assert not world.contactor


def test_what_is_found_energised_is_adopted_and_made_safe_before_anything_else(tmp_path: Path) -> None:
    world = World()
    world.output = world.contactor = True
    world.setpoints = Setpoints(4.2, 10.0, 0.0, 100.0, 0.0)
    ran = run_small(tmp_path, world=world)
    assert len(ran.data("found_energised")[0]["found"]) == 2
    assert world.acts[:3] == ["psb safe", "io1 safe", "arm"]
    assert ran.outcome.verdict is Verdict.PASS


def test_a_device_that_never_answers_is_named(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        scene.station.cell_voltage.hang = True

    ran = run_small(tmp_path, meanwhile=meanwhile)
    nothing_was_energised(ran)
    assert ran.outcome.verdict in {Verdict.ERROR, Verdict.ABORTED}
    assert ran.outcome.ended_by.device == "v1"


def test_device_limits_and_both_watchdogs_are_armed_before_the_contactor_closes(tmp_path: Path) -> None:
    armed: dict[str, object] = {}

    async def meanwhile(scene: Scene) -> None:
        while "do0 on" not in scene.world.acts:
            assert not scene.task.done()
            await asyncio.sleep(0.01)
        armed["limits"] = scene.station.cycler_device.armed
        armed["watchdog_s"] = scene.station.switch_device.watchdog_s
        scene.stop.set()

    run_small(tmp_path, meanwhile=meanwhile)
    assert armed["limits"] is not None
    assert armed["watchdog_s"] == 4.0


@pytest.mark.fault("F34")
def test_a_sensor_that_is_far_from_the_air_of_a_sample_at_rest(tmp_path: Path) -> None:
    world = World()
    world.surface_c[1] = world.surface_c[0] + 20.0  # inside every limit, and not where a resting sample can be
    refused(run_small(tmp_path, world=world), "before anything was energised")
