"""Whole runs on small devices: results against the world's own sums, and every way out."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from bench.cause import EndKind
from bench.disk import RealDisk
from bench.observing import Message, Progress, StepEnded, StepStarted
from drivers import PreflightRefused, Quality, RecordError, WireClosed
from sequences import Verdict
from tests.bench.benchtop import World
from tests.bench.small_bench import ONE_CYCLE, Ran, Scene, energised, run_small


def is_safe(world: World) -> bool:
    return not world.output and not world.contactor and world.acts[-1] == "release"


def test_a_cycle_passes_and_measures_what_flowed(tmp_path: Path) -> None:
    ran = run_small(tmp_path)
    outcome = ran.outcome
    assert outcome.verdict is Verdict.PASS, outcome
    assert outcome.ended_by.kind is EndKind.COMPLETED
    assert outcome.faults == ()
    # OCV from 3.8 V - 10 mV (one resolution step) - 20 mV (20 A, 1 mohm) to 3.3 V + 10 mV + 20 mV, at 0.1 V/Ah
    assert outcome.results["capacity_ah"] == pytest.approx(4.4, abs=0.02)
    assert outcome.plant_truth is not None
    assert outcome.results["capacity_ah"] == pytest.approx(outcome.plant_truth["capacity_ah"], rel=1e-4)
    assert outcome.results["energy_wh"] == pytest.approx(outcome.plant_truth["energy_wh"], rel=2e-4)
    assert outcome.results["peak_temperature_c"] == 25.0
    assert outcome.safe_state.confirmed
    assert is_safe(ran.world)


def test_commands_come_in_the_order_that_never_energises_with_old_set_values(tmp_path: Path) -> None:
    acts = [act for act in run_small(tmp_path).world.acts if not act.startswith("th1") and not act.startswith("v1")]
    assert acts[:4] == ["arm", "arm watchdog", "apply 3.5 V +0 -0 A", "do0 on"]
    assert acts[4:13] == [
        "run at 25",
        "apply 3.8 V +20 -0 A",
        "output on",
        "output off",
        "apply 3.8 V +0 -0 A",
        "apply 3.3 V +0 -20 A",
        "output on",
        "output off",
        "apply 3.3 V +0 -0 A",
    ]
    assert set(acts[13:]) == {"psb safe", "io1 safe", "ch1 safe", "release"}
    assert acts.index("psb safe") < acts.index("io1 safe")


def test_every_command_is_on_the_log_before_it_leaves(tmp_path: Path) -> None:
    ran = run_small(tmp_path)
    at = {kind: [event["mono_s"] for event in ran.events if event["kind"] == kind] for kind in ran.kinds}
    done = dict.fromkeys(ran.world.acts, 0.0)
    for act, time_s in reversed(list(zip(ran.world.acts, ran.world.times_s, strict=True))):
        done[act] = time_s
    for event, act in (
        ("arming", "arm"),
        ("contactor_close", "do0 on"),
        ("output_on", "output on"),
        ("output_off", "output off"),
        ("safe_state_begun", "psb safe"),
    ):
        assert at[event][0] <= done[act] - 0.001 + 1e-9, event
    order = [
        kind for kind in ran.kinds if kind in {"step_started", "setpoint", "output_on", "output_off", "step_ended"}
    ]
    start = order.index("output_on") - 2
    assert order[start : start + 6] == [
        "step_started",
        "setpoint",
        "output_on",
        "output_off",
        "setpoint",
        "step_ended",
    ]
    assert ran.kinds.index("safe_state") < ran.kinds.index("verdict")


@pytest.mark.fault("I3")
def test_polls_are_at_p_only_while_something_is_energised(tmp_path: Path) -> None:
    counts: dict[str, int] = {}

    async def meanwhile(scene: Scene) -> None:
        await asyncio.sleep(20.0)  # the soak: contactor closed, output off, chamber holding
        before = scene.station.cycler_device.reads
        await asyncio.sleep(10.0)
        counts["rest"] = scene.station.cycler_device.reads - before
        await energised(scene)
        before = scene.station.cycler_device.reads
        await asyncio.sleep(10.0)
        counts["energised"] = scene.station.cycler_device.reads - before

    run_small(tmp_path, meanwhile=meanwhile)
    assert counts == {"rest": 5, "energised": 10}


def test_the_observer_hears_steps_progress_and_what_will_end_them(tmp_path: Path) -> None:
    seen = run_small(tmp_path).seen
    started = [one for one in seen if isinstance(one, StepStarted)]
    assert [one.kind for one in started] == ["chamber", "soak", "charge", "rest", "discharge"]
    assert [one.path for one in started] == ["1", "2", "3", "4", "5"]
    assert "3.800 V" in started[2].ends
    assert len([one for one in seen if isinstance(one, StepEnded)]) == 5
    assert any(isinstance(one, Progress) and one.voltage_v is not None for one in seen)
    assert not [one for one in seen if isinstance(one, Message) and one.loud]


def ended(ran: Ran, kind: EndKind, verdict: Verdict) -> None:
    assert ran.outcome.ended_by.kind is kind, ran.outcome
    assert ran.outcome.verdict is verdict
    assert ran.outcome.faults
    assert not ran.world.output
    assert "safe_state" in ran.kinds
    assert any(isinstance(one, Message) and one.loud for one in ran.seen)


@pytest.mark.fault("F56")
def test_a_person_stops_it_once_and_for_all(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        for _ in range(3):  # pressing Ctrl-C again changes nothing
            scene.stop.set()
            await asyncio.sleep(0.01)

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.PERSON, Verdict.ABORTED)
    assert is_safe(ran.world)
    assert ran.outcome.ended_by.phase == "conditioning"
    assert ran.world.acts.count("psb safe") == 1


def test_the_guard_stops_it_on_a_hot_sample(tmp_path: Path) -> None:
    hot_s: list[float] = []

    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.world.surface_c[1] = 75.0
        hot_s.append(asyncio.get_running_loop().time())

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.SAMPLE_EVENT, Verdict.ABORTED)
    assert ran.outcome.ended_by.rule == "sample.temperature"
    assert ran.outcome.ended_by.device == "th1"
    assert ran.outcome.ended_by.value == 75.0
    assert is_safe(ran.world)
    off_s = next(at for act, at in zip(ran.world.acts, ran.world.times_s, strict=True) if act == "psb safe")
    assert off_s - hot_s[0] <= 1.0 + 0.01  # one poll of the thermocouples, and the command itself
    assert ran.data("trip")[0]["readings"]["th1.ai1.temperature_c"] == 75.0


def test_an_open_door_is_an_interlock(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.world.inputs["di1"] = 0.0

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.INTERLOCK, Verdict.ABORTED)
    assert ran.outcome.ended_by.rule == "interlock.door_closed"


def test_smoke_switches_the_chamber_off(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.world.inputs["di3"] = 0.0

    assert "ch1 safe after fire" in run_small(tmp_path, meanwhile=meanwhile).world.acts


def test_smoke_after_a_stop_has_begun_still_switches_the_chamber_off(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.stop.set()
        await asyncio.sleep(0.0015)  # the cycler has been made safe, the contactor's module has not
        assert scene.world.acts[-1] != "io1 safe"
        scene.world.inputs["di3"] = 0.0

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.PERSON, Verdict.ABORTED)
    acts = ran.world.acts
    assert acts.index("ch1 safe") < acts.index("ch1 safe after fire")
    assert "fire_in_safe_state" in ran.kinds


def test_a_thermocouple_that_opens_is_stale_after_three_polls(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.world.surface_quality = Quality.OPEN

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.STALENESS, Verdict.ABORTED)
    assert ran.outcome.ended_by.device == "th1"
    assert ran.outcome.ended_by.limit == 3.0


def test_a_cut_wire_is_the_device_s_fault_and_the_contactor_isolates(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        scene.station.cycler_device.fail = WireClosed("psb", "reading", "the far end is gone")

    ran = run_small(tmp_path, meanwhile=meanwhile)
    assert ran.outcome.ended_by.kind is EndKind.DEVICE
    assert ran.outcome.verdict is Verdict.ERROR
    assert ran.outcome.ended_by.device == "psb"
    assert "the far end is gone" in ran.outcome.faults[0].error
    assert not ran.world.contactor
    assert ran.outcome.safe_state.isolated
    assert not ran.outcome.safe_state.confirmed
    assert any("SAFE STATE NOT CONFIRMED" in one.text for one in ran.seen if isinstance(one, Message) and one.loud)


def test_a_command_that_fails_names_its_device(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        scene.station.chamber_device.run_at = _refuse  # type: ignore[method-assign]  # the test's own refusal

    async def _refuse(temperature_c: float) -> None:
        raise WireClosed("ch1", "setting the temperature", "the far end is gone")

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.DEVICE, Verdict.ERROR)
    assert (ran.outcome.ended_by.device, ran.outcome.ended_by.rule) == ("ch1", "setting the temperature")
    assert is_safe(ran.world)


def _full(_disk: RealDisk, _handle: int, _data: memoryview) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_run_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)
        monkeypatch.setattr(RealDisk, "write", _full)

    ran = run_small(tmp_path, meanwhile=meanwhile)
    assert ran.outcome.ended_by.kind is EndKind.HOST
    assert ran.outcome.verdict is Verdict.ERROR
    assert isinstance(ran.outcome.error, RecordError)
    assert is_safe(ran.world)


def test_a_crash_in_a_poller_ends_the_run_safely(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        await energised(scene)

        async def crash() -> tuple[()]:
            raise ZeroDivisionError("a slip in a driver")

        scene.station.thermocouples.read = crash  # type: ignore[method-assign]  # the test's own slip

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.HOST, Verdict.ERROR)
    assert "ZeroDivisionError" in (ran.outcome.ended_by.rule or "")
    assert "a slip in a driver" in ran.data("crash")[0]["trace"]
    assert is_safe(ran.world)


def test_cancelling_the_run_makes_safe_first(tmp_path: Path) -> None:
    worlds: list[World] = []

    async def meanwhile(scene: Scene) -> None:
        worlds.append(scene.world)
        await energised(scene)
        for _ in range(4):
            scene.task.cancel()
            await asyncio.sleep(0.002)

    with pytest.raises(asyncio.CancelledError):
        run_small(tmp_path, meanwhile=meanwhile)
    assert is_safe(worlds[0])


@pytest.mark.fault("F56")
@pytest.mark.parametrize("delay_ms", range(0, 40, 3))
def test_a_stop_at_any_moment_of_the_start_leaves_nothing_on(tmp_path: Path, delay_ms: int) -> None:
    async def meanwhile(scene: Scene) -> None:
        while not any(act.startswith("apply 3.8") for act in scene.world.acts):
            assert not scene.task.done()
            await asyncio.sleep(0.001)
        await asyncio.sleep(delay_ms / 1000)
        scene.stop.set()

    ran = run_small(tmp_path, meanwhile=meanwhile)
    assert is_safe(ran.world)
    acts = ran.world.acts
    assert "output on" not in acts[acts.index("psb safe") :]


def test_a_step_that_never_ends_is_an_error_with_its_name(tmp_path: Path) -> None:
    steps = ONE_CYCLE.replace("current: 1 I3, timeout: 5 h", "current: 1 I3, timeout: 2 min")
    ran = run_small(tmp_path, steps)
    ended(ran, EndKind.DEVICE, Verdict.ERROR)
    assert "timeout" in (ran.outcome.ended_by.rule or "")
    assert "no end within 2 min" in ran.outcome.faults[0].error
    assert is_safe(ran.world)


@pytest.mark.fault("F41")
def test_an_output_that_goes_off_by_itself_is_no_empty_cell(tmp_path: Path) -> None:
    async def meanwhile(scene: Scene) -> None:
        while scene.world.current_a() > -1.0:  # the discharge
            assert not scene.task.done()
            await asyncio.sleep(0.25)
        await asyncio.sleep(60.0)
        scene.world.output = False

    ran = run_small(tmp_path, meanwhile=meanwhile)
    ended(ran, EndKind.DEVICE, Verdict.ERROR)
    assert ran.outcome.ended_by.device == "psb"
    assert "capacity_ah" not in ran.outcome.results
    assert is_safe(ran.world)


@pytest.mark.fault("F47")
def test_a_soak_that_is_never_reached_times_out(tmp_path: Path) -> None:
    steps = ONE_CYCLE.replace("soak: {temperature: 25 degC", "soak: {temperature: 40 degC")
    ran = run_small(tmp_path, steps)
    ended(ran, EndKind.DEVICE, Verdict.ERROR)
    assert ran.outcome.ended_by.device == "ch1"


def test_a_refused_preflight_comes_back_as_aborted_with_its_faults(tmp_path: Path) -> None:
    world = World()
    world.reversed = True
    ran = run_small(tmp_path, world=world)
    ended(ran, EndKind.SAMPLE_EVENT, Verdict.ABORTED)
    assert isinstance(ran.outcome.error, PreflightRefused)
    assert "reversed" in ran.outcome.faults[0].error
    assert "output on" not in world.acts
    assert "do0 on" not in world.acts


def test_without_a_plant_there_is_no_truth(tmp_path: Path) -> None:
    assert run_small(tmp_path, truth=False).outcome.plant_truth is None
