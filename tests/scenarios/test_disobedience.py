"""Devices that do not hold what they were told, and what that may not be taken for. The plant is the oracle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results import RunResult
from bench.simulated import SimulatedBench
from simulators.spec import SignalKind
from tests.scenarios.runs import Watched, order, run
from tests.scenarios.test_faults import at
from tests.scenarios.test_interrupted import fill_disk

pytestmark = pytest.mark.scenario

#: Of the short sequence: in the discharge (2.5 A), in the rest after it, in the charge.
DISCHARGING_S, RESTING_S, CHARGING_S = 300.0, 800.0, 1200.0


def told(*lines: bytes) -> Callable[[SimulatedBench], None]:
    """Another master speaks to the cycler."""

    def act(bench: SimulatedBench) -> None:
        for line in lines:
            bench.scene.personality("psb").answer(line, asyncio.get_running_loop().time())

    return act


def kinds(result: RunResult) -> list[str]:
    return [json.loads(line)["kind"] for line in (Path(result.bundle) / "events.jsonl").read_text().splitlines()]


def is_a_device_error(result: RunResult, watched: Watched) -> None:
    assert (result.exit_code, result.verdict, result.ended_by.kind) == (4, "error", "device")
    assert watched.made_safe()


@pytest.mark.fault("F23", "I7")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"SINK:CURR 9"], id="three times the current"),
        pytest.param([b"SINK:CURR 2.2"], id="a little less current"),
        pytest.param([b"SINK:CURR 0"], id="no current"),
        pytest.param([b"VOLT 4.15", b"CURR 2"], id="the other direction"),
        pytest.param([b"OUTP OFF"], id="output off"),
        pytest.param([b"SYST:LOCK OFF"], id="remote control lost"),
    ],
)
def test_a_discharge_whose_set_values_change_is_no_result_of_the_sample(tmp_path: Path, lines: list[bytes]) -> None:
    """F23, F39: acknowledged, then no longer effective. It must end neither as a pass nor as a failed sample."""
    result, watched = run(order(tmp_path), arrange=at(DISCHARGING_S, told(*lines)))
    is_a_device_error(result, watched)
    assert "capacity_ah" not in result.results


@pytest.mark.fault("H3", "F23")
def test_a_charge_at_more_than_its_set_current_ends_within_seconds(tmp_path: Path) -> None:
    result, watched = run(order(tmp_path), arrange=at(CHARGING_S, told(b"CURR 4.9")))
    is_a_device_error(result, watched)
    assert result.test_s < CHARGING_S + 10.0


@pytest.mark.fault("F32", "H14")
def test_a_cycler_whose_reading_is_frozen_does_not_pass(tmp_path: Path) -> None:
    def freeze(bench: SimulatedBench) -> None:
        bench.scene.personality("psb").stuck = True

    result, watched = run(order(tmp_path), arrange=at(DISCHARGING_S, freeze))
    assert (result.exit_code, result.verdict) == (4, "error")
    assert watched.made_safe()


@pytest.mark.fault("H14")
def test_a_contactor_that_drops_under_current_is_the_bench_s_fault(tmp_path: Path) -> None:
    arrange = at(DISCHARGING_S, lambda bench: bench.scene.plant.stick_contactor("1", closed=False))
    result, watched = run(order(tmp_path), arrange=arrange)
    is_a_device_error(result, watched)
    assert "contactor" in (result.ended_by.rule or "")


@pytest.mark.parametrize("at_s", [RESTING_S + offset_s for offset_s in (0.0, 90.0, 98.0, 99.5, 100.2)])
def test_a_contactor_that_drops_at_rest_is_never_a_failed_sample(tmp_path: Path, at_s: float) -> None:
    """Charge or discharge into an open contactor ends at once, "full" or "empty", with nothing moved."""
    arrange = at(at_s, lambda bench: bench.scene.plant.stick_contactor("1", closed=False))
    result, watched = run(order(tmp_path), arrange=arrange)
    assert result.verdict in ("error", "aborted")
    assert watched.made_safe()


@pytest.mark.fault("H4")
def test_a_contactor_that_welds_is_no_pass(tmp_path: Path) -> None:
    arrange = at(DISCHARGING_S, lambda bench: bench.scene.plant.stick_contactor("1", closed=True))
    result, watched = run(order(tmp_path), arrange=arrange)
    assert (result.exit_code, result.verdict, result.ended_by.kind) == (4, "error", "device")
    assert watched.bench is not None
    assert watched.bench.scene.plant.terminal("1").current_a == 0.0
    assert any("NOT PROVEN OPEN" in fault.error for fault in result.faults)


@pytest.mark.fault("F42")
def test_an_output_found_on_is_told_and_made_safe_even_at_no_current(tmp_path: Path) -> None:
    result, _ = run(order(tmp_path), arrange=told(b"SYST:LOCK ON", b"VOLT 3", b"OUTP ON"))
    assert "found_energised" in kinds(result)
    assert kinds(result).index("found_energised") < kinds(result).index("arming")
    assert result.verdict == "pass"


@pytest.mark.fault("F66", "H7")
@pytest.mark.parametrize("when_s", [0.0, DISCHARGING_S])
@pytest.mark.parametrize("also", [(), ("door_closed",)], ids=["alone", "with the door"])
def test_smoke_leaves_the_chamber_off_whenever_and_with_whatever_it_comes(
    tmp_path: Path, when_s: float, also: tuple[SignalKind, ...]
) -> None:
    def smoke(bench: SimulatedBench) -> None:
        bench.scene.plant.chamber("chamber1").running = True
        for kind in also:
            bench.scene.plant.set_input("chamber1", kind, 0.0)
        bench.scene.plant.set_input("chamber1", "smoke", 0.0)

    result, watched = run(order(tmp_path), arrange=at(when_s, smoke) if when_s else smoke)
    assert (result.exit_code, result.verdict, result.ended_by.kind) == (3, "aborted", "interlock")
    assert watched.bench is not None
    assert not watched.bench.scene.plant.chamber("chamber1").running
    assert watched.made_safe()


@pytest.mark.fault("F67")
def test_a_disk_that_fills_up_in_mid_run_is_code_4_with_nothing_on(tmp_path: Path) -> None:
    result, watched = run(order(tmp_path), arrange=at(DISCHARGING_S, lambda _: fill_disk(tmp_path)))
    assert (result.exit_code, result.verdict) == (4, "error")
    assert watched.made_safe()
    assert any("No space left" in fault.error for fault in result.faults)
