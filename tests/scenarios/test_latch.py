"""A trip is latched with its first cause, and a minute of everything is kept before and after it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench import record
from bench.answers import simulated_operator
from bench.latch import Latches
from bench.report import first_out
from bench.results import RunResult
from bench.run import Prepared, carry_out, far_end_of, prepare
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from drivers import BenchHeld
from tests.scenarios.runs import START_UTC_S, order
from tests.scenarios.test_nail_faults import NAIL

pytestmark = pytest.mark.scenario

STRUCK_S = 130.0


def _ran(prepared: Prepared, strike: str | None) -> RunResult:
    """As a live run would be: the bench does not go with the run, so a trip is latched."""

    async def main() -> RunResult:
        plan = prepared.plan
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            if strike is not None:
                asyncio.get_running_loop().call_later(STRUCK_S, _strike, bench, strike)
            return await carry_out(prepared, replace(far_end_of(bench), truth=None), simulated_operator({}))

    return in_virtual_time(main(), speed=None)


def _strike(bench: SimulatedBench, kind: str) -> None:
    bench.scene.plant.set_input("chamber1", kind, 0.0)  # type: ignore[arg-type]


@pytest.mark.fault("F54", "F55", "F66")
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("door_closed", "interlock.door_closed"),
        ("estop_released", "interlock.estop_released"),
        ("smoke", "interlock.smoke_clear"),
        ("flame", "interlock.flame_clear"),
    ],
)
def test_an_interlock_latches_the_bench_with_its_first_cause(tmp_path: Path, kind: str, rule: str) -> None:
    prepared = prepare(order(tmp_path), {})
    result = _ran(prepared, kind)
    assert result.ended_by.rule == rule
    latches = Latches(prepared.data.path)
    latch = latches.of("demo")
    assert latch is not None
    assert (latch.rule, latch.run_id, latch.safe) == (rule, result.run_id, True)
    assert {limit.rule for limit in latch.limits} >= {rule, "contactor open"}
    with pytest.raises(BenchHeld, match="acknowledged"):
        latches.refuse("demo")


@pytest.mark.fault("F55")
def test_the_first_out_record_holds_a_minute_before_and_after(tmp_path: Path) -> None:
    prepared = prepare(order(tmp_path), {})
    kept = record.load(Path(_ran(prepared, "door_closed").bundle))
    parts = [event.data for event in kept.events if event.kind == "first_out"]
    for side in ("before", "after"):
        its = [part for part in parts if part["side"] == side]
        assert [part["part"] for part in its] == list(range(1, its[0]["parts"] + 1))
        assert {"psb.out.voltage_v", "psb.out.current_a", "io1.di1.on", "th1.ai0.temperature_c"} <= {
            *its[0]["channels"]
        }
    tripped_s = parts[0]["tripped_mono_s"]
    rows = [(part["channels"][row[0]], *row[1:]) for part in parts for row in part["rows"]]
    door = "io1.di1.on"
    times = [row[1] for row in rows if row[0] == door]
    before = [event.n for event in kept.events if event.kind == "first_out" and event.data["side"] == "before"]
    latched = next(event for event in kept.events if event.kind == "latched")
    assert before[-1] < latched.n, "what came before the trip is kept while the minute after it goes on"
    assert times[0] <= tripped_s - 59.0
    assert times[-1] >= tripped_s + 58.0
    assert max(later - earlier for earlier, later in pairwise(times)) <= 1.5, "the full rate"
    assert {row[2] for row in rows if row[0] == door and row[1] < tripped_s - 0.5} == {1.0}

    told = {row.channel: row for row in first_out.inputs(kept)}
    assert (told["io1.di1.on"].at_trip, told["io1.di1.on"].low, told["io1.di1.on"].high) == (0.0, 0.0, 1.0)
    page = (kept.folder / "report.html").read_text()
    assert "First cause" in page
    assert "60 s before and 60 s after the trip" in page


def test_a_run_that_nothing_disturbs_latches_nothing_and_keeps_no_minute(tmp_path: Path) -> None:
    prepared = prepare(order(tmp_path), {})
    result = _ran(prepared, None)
    assert result.verdict == "pass", result
    assert Latches(prepared.data.path).of("demo") is None
    assert not [event for event in record.load(Path(result.bundle)).events if event.kind == "first_out"]


@pytest.mark.fault("F45", "H7")
def test_a_fire_in_a_test_that_went_to_its_end_latches_too(tmp_path: Path) -> None:
    """It is what the test was for, and still nobody uses the bench before a person has looked."""
    asked = order(tmp_path, sequence=NAIL, cell="nmc-25ah", edits={"start_soc": '"100 %"', "ignites": "true"})
    prepared = prepare(asked, {})
    plan = prepared.plan

    async def main() -> RunResult:
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            far = far_end_of(bench)
            answers = simulated_operator(plan.bench.simulation.operator)
            return await carry_out(prepared, replace(far, truth=None), answers)

    result = in_virtual_time(main(), speed=None)
    assert result.ended_by.kind == "completed", result
    latch = Latches(prepared.data.path).of("demo")
    assert latch is not None
    assert any(word in (latch.rule or "") for word in ("runaway", "smoke", "flame", "gas"))
