"""Faults of the host, the operator and the machines that no other module covers. The plant is the oracle."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import record
from bench.answers import simulated_operator
from bench.host_room import HANDLES, HostRoom
from bench.latch import Latches
from bench.results import RunResult
from bench.run import carry_out, far_end_of, prepare
from bench.shipped import examples
from bench.simulated import SimulatedBench, in_virtual_time, scene_spec, virtual_bench
from drivers import Clock, ConfigError, RecordError
from simulators.plant.chamber import HEATING_K_S
from tests.scenarios.runs import START_UTC_S, edited, order, run
from tests.scenarios.test_faults import at
from tests.scenarios.test_nail_faults import NAIL, OBSERVED_S

pytestmark = pytest.mark.scenario


@pytest.mark.fault("F46", "H9")
def test_a_chamber_whose_heater_is_welded_on_ends_the_run_with_the_cell_isolated(tmp_path: Path) -> None:
    """The heat itself is for the chamber's own limiter: what is ours is off, the bench is latched, and it is said."""
    kept: list[SimulatedBench] = []

    def weld(bench: SimulatedBench) -> None:
        kept.append(bench)
        bench.scene.plant.chamber("chamber1").forced_k_s = HEATING_K_S

    result, watched = run(order(tmp_path), arrange=at(30.0, weld))
    assert result.ended_by.kind in ("sample_event", "bench_limit")
    assert result.verdict == "aborted"
    assert "temperature" in (result.ended_by.rule or "")
    assert watched.made_safe()
    chamber = kept[0].scene.plant.chamber("chamber1")
    assert chamber.end_c > 55.0, "it went on heating although the regulator was told otherwise"


@pytest.mark.fault("F49", "H11")
@pytest.mark.parametrize("polled", [True, False], ids=["the polls show it", "the buffer alone shows it"])
def test_a_load_cell_at_its_rail_does_not_let_the_nail_go_on_for_ever_and_voids_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, polled: bool
) -> None:
    """The force that should stop it never shows; the depth does. What it showed at the rail is no good reading."""
    kept: list[SimulatedBench] = []

    def clip(bench: SimulatedBench) -> None:
        kept.append(bench)
        bench.scene.plant.press("rig1").clip_force_n = 200.0

    if not polled:  # a stroke that is over between two polls
        monkeypatch.setattr("drivers.penetration_rig.PenetrationRig._force_at_rail", lambda *_: False)
    asked = order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'})
    result, watched = run(asked, arrange=clip)
    press = kept[0].scene.plant.press("rig1")
    assert press.velocity_mm_s == 0.0
    assert press.depth_mm == pytest.approx(13.5 + 10.0, abs=0.5)
    assert result.results["observation_s"].value >= OBSERVED_S
    assert watched.made_safe()
    bundle = record.load(Path(result.bundle))
    ended = next(event.data for event in bundle.of("stroke_ended"))
    assert (ended["reason"], ended["load_cell_rail_n"], ended["peak_force_n"]) == ("target", 200.0, None)
    if polled:
        trip = next(event.data for event in bundle.of("trip"))
        assert trip["rule"] == "bench.force: no good reading of rig.nail.force_n"
        assert trip["readings"]["rig.nail.force_n"] is None
        assert result.verdict == "aborted"
    else:
        assert (result.verdict, result.ended_by.kind) == ("error", "device")
        assert any("at its rail of 200 N" in fault.error for fault in result.faults)


@pytest.mark.fault("F49")
@pytest.mark.parametrize("drift_n", [25.0, -25.0])
def test_a_load_cell_whose_zero_has_drifted_begins_no_stroke(tmp_path: Path, drift_n: float) -> None:
    """More than the 20 N that contact counts from: the rig would meet the sample in the air, or too late."""
    kept: list[SimulatedBench] = []

    def drift(bench: SimulatedBench) -> None:
        kept.append(bench)
        bench.scene.plant.press("rig1").drift_n = drift_n

    asked = order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'})
    result, watched = run(asked, arrange=drift)
    assert (result.verdict, result.ended_by.kind, result.ended_by.device) == ("error", "device", "rig")
    assert any("with nothing touched" in fault.error for fault in result.faults)
    assert kept[0].scene.plant.press("rig1").deepest_mm == 0.0
    assert watched.made_safe()


@pytest.mark.fault("F57", "I5", "H12")
def test_a_person_who_stops_during_the_observation_does_not_shorten_it(tmp_path: Path) -> None:
    import signal

    async def stop_in_observation(bench: SimulatedBench) -> None:
        loop = asyncio.get_running_loop()
        press = bench.scene.plant.press("rig1")
        while not press.depth_mm > 0.0:
            await asyncio.sleep(0.5)
            bench.scene.plant.advance(loop.time())
        await asyncio.sleep(60.0)
        signal.raise_signal(signal.SIGINT)

    tasks: list[asyncio.Task[None]] = []

    def arrange(bench: SimulatedBench) -> None:
        tasks.append(asyncio.get_running_loop().create_task(stop_in_observation(bench), name="stop"))

    asked = order(tmp_path, sequence=NAIL, cell="lfp-blade", edits={"start_soc": '"100 %"'})
    result, watched = run(asked, arrange=arrange)
    assert result.results["observation_s"].value >= OBSERVED_S
    assert watched.made_safe()
    lines = (Path(result.bundle) / "events.jsonl").read_text().splitlines()
    kinds = [event["kind"] for event in map(json.loads, lines)]
    assert kinds.index("stop_asked") < kinds.index("observation_ended")


@pytest.mark.fault("F52", "F61")
def test_files_that_are_edited_once_a_run_is_prepared_change_nothing_of_it(tmp_path: Path) -> None:
    """What was read is what runs, and stands in the bundle; no limit can be moved in a run."""
    bench = edited(tmp_path, "benches", "demo", {})
    asked = order(tmp_path, bench=bench)
    prepared = prepare(asked, {})
    before = bench.read_text()
    bench.write_text(before.replace('high = "5 V"', 'high = "50 V"'))
    assert prepared.plan.bench.limits.cell_voltage.high_v == 5.0
    assert prepared.plan.bench.origin.text == before
    with pytest.raises((AttributeError, ValueError)):
        prepared.plan.bench.limits.current_a = 1000.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        prepared.plan.limits[0].high = 1000.0  # type: ignore[misc]


@pytest.mark.fault("F63", "I3")
def test_a_bench_in_maintenance_runs_nothing(tmp_path: Path) -> None:
    text = (examples() / "benches" / "demo.toml").read_text()
    bench = tmp_path / "demo.toml"
    bench.write_text(text.replace('mains = "50 Hz"', 'mains = "50 Hz"\nmaintenance = "door switch is being replaced"'))
    with pytest.raises(ConfigError, match="maintenance") as refused:
        prepare(order(tmp_path, bench=bench), {})
    assert "door switch" in refused.value.faults[0].error


def _with_clock(folder: Path, clock: Callable[[Clock], Clock]) -> RunResult:
    prepared = prepare(order(folder), {})
    plan = prepared.plan
    spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)

    async def main() -> RunResult:
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            far = far_end_of(bench)
            return await carry_out(prepared, replace(far, clock=clock(far.clock)), simulated_operator({}))

    return in_virtual_time(main(), speed=None)


JUMPS_S = 200.0


@pytest.mark.fault("F62", "F69", "F70")
@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 10.0])
def test_a_wall_clock_that_jumps_is_told_and_changes_nothing(tmp_path: Path, by_s: float) -> None:
    def jumping(clock: Clock) -> Clock:
        return replace(clock, utc_s=lambda: clock.utc_s() + (by_s if clock.mono_s() > JUMPS_S else 0.0))

    result = _with_clock(tmp_path, jumping)
    assert result.verdict == "pass", result
    events = record.load(Path(result.bundle)).events
    steps = [event.data["step_s"] for event in events if event.kind == "clock_step"]
    assert steps == [pytest.approx(by_s, abs=0.01)]
    assert [event.mono_s for event in events] == sorted(event.mono_s for event in events)


@pytest.mark.fault("F71")
def test_a_pc_that_was_suspended_trips(tmp_path: Path) -> None:
    """Nobody watched the bench meanwhile: the monotonic clock stood still, the one that counts from boot did not."""

    def sleepy(clock: Clock) -> Clock:
        return replace(clock, boot_s=lambda: clock.mono_s() + (30.0 if clock.mono_s() > JUMPS_S else 0.0))

    result = _with_clock(tmp_path, sleepy)
    assert (result.ended_by.kind, result.ended_by.rule) == ("host", "suspended")
    assert result.ended_by.value == pytest.approx(30.0, abs=0.01)
    assert result.verdict == "error"


@pytest.mark.fault("F75")
def test_a_process_that_runs_out_of_files_ends_with_a_code_and_words(tmp_path: Path) -> None:
    """Eight more descriptors than a fresh interpreter has: too few for the bench's six wires and the record."""
    program = (
        "import resource, sys\n"
        "from bench.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (12, {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}))\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ["run", "gbt31486-2024/room-capacity", "--bench", str(examples() / "benches" / "demo.toml")]
    arguments += ["--cell", str(examples() / "cells" / "nmc-21700.toml"), "--simulate", "--yes", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1])["exit_code"] == 4
    assert "Too many open files" in done.stdout + done.stderr


@pytest.mark.fault("F75")
def test_a_run_near_the_limit_of_files_is_refused_before_anything_is_energised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.run_record.measured", lambda: HostRoom(HANDLES - 1, float("inf")))
    kept: list[SimulatedBench] = []
    with pytest.raises(RecordError, match="file handles"):
        run(order(tmp_path), arrange=kept.append)
    totals = kept[0].scene.plant.totals("1")
    assert (totals.charged_ah, totals.discharged_ah) == (0.0, 0.0)
    assert not list((tmp_path / "data" / "runs").glob("*/events.jsonl"))


@pytest.mark.fault("F75")
def test_a_run_leaves_neither_a_task_nor_an_open_file_behind(tmp_path: Path) -> None:
    """Twice in one process: what the first one opened for good (libraries) is open before the second."""
    left: list[set[str]] = []
    prepared = prepare(order(tmp_path), {})
    plan = prepared.plan

    async def main() -> None:
        spec = scene_spec(plan.bench, plan.cell, channel=plan.channel.name, mass_kg=plan.cell.mass_kg, seed=1)
        async with virtual_bench(spec, start_utc_s=START_UTC_S) as bench:
            before = asyncio.all_tasks()
            result = await carry_out(prepared, far_end_of(bench), simulated_operator({}))
            assert result.verdict == "pass"
            left.append({task.get_name() for task in asyncio.all_tasks() - before if "bench: " not in task.get_name()})

    open_files = []
    for _ in range(2):
        in_virtual_time(main(), speed=None)
        open_files.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
    assert left == [set(), set()]
    assert open_files[1] <= open_files[0]


@pytest.mark.fault("F76")
def test_a_latch_that_cannot_be_read_is_a_latch(tmp_path: Path) -> None:
    latches = Latches(tmp_path)
    latches.folder.mkdir()
    latches.path("demo").write_text('{"schema": "cellbench/latch/1", "ben')
    with pytest.raises(RecordError, match="cannot be read"):
        latches.refuse("demo")
