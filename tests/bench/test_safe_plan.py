"""The safe plan as data: it survives JSON, its order is the issue's, and a bench file becomes one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.run import prepare
from bench.safe_plan import (
    CYCLER_DEADLINE_S,
    ISOLATE_BY_S,
    OwedObservation,
    SafeDevice,
    SafePlan,
    SafeStep,
    longest_s,
    steps_for,
)
from bench.safe_planning import contactors, safe_plan
from drivers import ConfigError
from drivers.capabilities import DeviceKind
from tests.scenarios.runs import order

WHOLE = SafePlan(
    bench="demo",
    channel="1",
    devices=(SafeDevice("psb", "ea-psb10000", "tcp://h:1", 3, "A1", {"voltage_v": 60.0}, ("out",), 60, "p", "w"),),
    steps=(SafeStep("io1", "outputs", 2.0, ("psb",), 0.15),),
    feedbacks=("io1.di0.on",),
    contactors=("io1",),
    detectors=("io1.di3.on",),
    surfaces=("th1.ai0.temperature_c",),
    distributions=("theirs",),
    observation=OwedObservation(3600.0, 7200.0, 60.0, 0.01),
    mode="simulated",
)


def test_it_survives_the_way_through_text() -> None:
    assert SafePlan.of(json.loads(WHOLE.text())) == WHOLE


@pytest.mark.parametrize("slip", [{"schema": "cellbench/safe-plan/2"}, {"steps": 3}, {"more": 1}, {"devices": [{}]}])
def test_what_is_no_plan_of_this_version_is_refused(slip: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="no safe plan"):
        SafePlan.of({**WHOLE.document(), **slip})
    with pytest.raises(ConfigError):
        SafePlan.of({})


def test_cyclers_begin_at_once_and_the_contactors_module_follows_them_or_its_own_clock() -> None:
    steps = {step.device: step for step in steps_for(
        {"th": DeviceKind.INPUTS, "a": DeviceKind.CYCLER, "io": DeviceKind.SWITCHES, "b": DeviceKind.CYCLER,
         "ch": DeviceKind.CHAMBER, "rig": DeviceKind.RIG}
    )}  # fmt: skip
    assert steps["io"].after == ("a", "b")
    assert steps["io"].latest_s == ISOLATE_BY_S
    assert all(not steps[name].after and steps[name].latest_s == 0.0 for name in ("th", "a", "b", "ch", "rig"))
    assert steps["a"].deadline_s == CYCLER_DEADLINE_S
    (alone,) = steps_for({"io": DeviceKind.SWITCHES})
    assert (alone.after, alone.latest_s) == ((), 0.0)


def test_a_stop_meets_its_three_quarters_of_a_second_behind_a_hung_exchange_on_its_own_line() -> None:
    # 0.5 s: the deadline of the exchange under way; 0.05 s: the silence after it
    assert ISOLATE_BY_S + 0.5 + 0.05 < 0.75


def test_the_longest_way_holds_the_slowest_device_its_proof_and_the_chambers_once_more() -> None:
    switches = steps_for({"psb": DeviceKind.CYCLER, "io": DeviceKind.SWITCHES})
    assert longest_s(switches) == pytest.approx(ISOLATE_BY_S + 2.0 + 3.0 + 1.0 + 6.0)
    assert longest_s(steps_for({"ch": DeviceKind.CHAMBER}), detectors=2) == pytest.approx(6.0 + 1.0 + 2.0 + 6.0)


def test_the_demonstration_benchs_plan_names_all_that_a_guardian_needs(tmp_path: Path) -> None:
    plan = prepare(order(tmp_path, sequence="gb38031-2025/needle-trigger", cell="nmc-25ah"), {}).plan
    safe = safe_plan(plan, {"psb": "tcp://127.0.0.1:9"})
    assert [device.name for device in safe.devices] == list(plan.devices)
    by_name = {device.name: device for device in safe.devices}
    assert by_name["psb"].url == "tcp://127.0.0.1:9"
    assert by_name["io1"].url == plan.bench.devices["io1"].url
    assert by_name["io2"].profile is not None
    assert "registers" in by_name["io2"].profile or "point" in by_name["io2"].profile
    assert safe.contactors == contactors(plan) == ("io1", "io2")
    assert {"io1.di0.on", "io2.sample_closed.on"} <= set(safe.feedbacks)
    assert {"io1.di3.on", "io2.gas_clear.on"} <= set(safe.detectors)
    assert safe.observation is not None
    assert safe.observation.duration_s >= 3600.0  # the standard's hour
    assert SafePlan.of(json.loads(safe.text())) == safe
