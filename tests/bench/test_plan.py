"""Binding: every rule about points, limits, polling, watchdogs, steps, samples - and all faults at once."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.config import BenchFile, CellFile, load_bench, load_cell, read_bench, read_cell
from bench.config.profiles import configured
from bench.plan import Plan, bind
from bench.samples import Sample
from drivers import ConfigError
from drivers.capabilities import DriverModel, OnCommLoss, Setpoints, Span
from drivers.models import driver_model
from sequences import Sequence
from sequences.language import Charge, Discharge, Phase, Repeat
from tests.bench.sequences_of_ours import CAPACITY, NAIL, REST, abuse, one_step
from tests.bench.stand_ins import (
    CELLS,
    CHAMBER,
    CYCLER,
    DEMO,
    POINT_LIST,
    RIG,
    SWITCHES,
    THERMOCOUPLES,
    VOLTS,
    edited,
    models,
)

GEN1 = CELLS / "solid-state-gen1.toml"
SAMPLE = Sample(id="S-1", type="solid-state-gen1", mass_kg=0.81)


def bench(*changes: tuple[str, str]) -> BenchFile:
    return read_bench(edited(DEMO, *changes), "bench.toml")


def cell(*changes: tuple[str, str], path: Path = GEN1) -> CellFile:
    return read_cell(edited(path, *changes), "cell.toml")


def bound(sequence: Sequence = CAPACITY, on: BenchFile | None = None, of: CellFile | None = None, **more: Any) -> Plan:
    given = {"mode": "simulated", "models": models(), **more}
    return bind(sequence, on or load_bench(DEMO), of or load_cell(GEN1), **given)


def refused(
    sequence: Sequence = CAPACITY, on: BenchFile | None = None, of: CellFile | None = None, **more: Any
) -> list[str]:
    """Every fault as where, error and fix in one text."""
    with pytest.raises(ConfigError) as caught:
        bound(sequence, on, of, **more)
    assert all(fault.fix and fault.where for fault in caught.value.faults)
    return [f"{fault.where}: {fault.error} | {fault.fix}" for fault in caught.value.faults]


def only(faults: list[str]) -> str:
    assert len(faults) == 1, faults
    return faults[0]


def line_of(text: str, what: str) -> str:
    return f"bench.toml:{next(n for n, line in enumerate(text.splitlines(), start=1) if what in line)}"


# What is decided


def test_roles_become_reading_channels() -> None:
    channel = bound().channel
    assert (channel.voltage, channel.current) == ("psb.out.voltage_v", "psb.out.current_a")
    assert channel.cell_voltage == "v1.ai0.voltage_v"
    assert (channel.contactor.device, channel.contactor.point) == ("io1", "do0")
    assert channel.contactor_feedback == "io1.di0.on"
    assert channel.surface == tuple(f"th1.ai{n}.temperature_c" for n in range(3))
    assert (channel.ambient, channel.chamber_air) == ("th1.ai3.temperature_c", "ch1.air.temperature_c")
    assert channel.interlocks["door_closed"] == "io1.di1.on"
    assert (channel.cycler_device, channel.chamber_device) == ("psb", "ch1")


def test_only_used_devices_and_points_take_part() -> None:
    plan = bound()
    assert plan.devices == ("psb", "io1", "ch1", "th1", "v1")
    assert plan.points["io1"] == ("di0", "di1", "di2", "di3", "di4", "do0")
    assert plan.points["v1"] == ("ai0",)
    extra = '\n[devices.spare]\nmodel = "icpdas-m-7017"\nurl = "modbus-rtu:///dev/ttyUSB9?baud=9600"\n[places.rig1]'
    assert "spare" not in bound(on=bench(("\n[places.rig1]", extra))).devices


def test_what_the_cell_file_says_has_its_names() -> None:
    values = bound().values
    assert values["cell.rated_capacity"] == 60.0
    assert values["cell.charge_current"] == pytest.approx(20.0)
    assert (values["cell.v_min"], values["cell.v_max"]) == (2.5, 4.3)
    assert values["param.rate"] == pytest.approx(20.0)


def test_a_claim_that_is_not_made_is_no_number() -> None:
    plan = bound(of=cell(('claimed_energy_density = "300 Wh/kg"\n', "")))
    assert math.isnan(plan.values["cell.claimed_energy_density"])
    assert plan.document()["values"]["cell.claimed_energy_density"] is None


def test_a_plan_is_plain_data_that_json_can_hold() -> None:
    plan = bound()
    text = json.dumps(plan.document(), allow_nan=False)
    assert json.loads(text)["schema"] == "cellbench/plan/1"
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.__setattr__("mode", "live")


def test_time_and_rows_are_estimated_from_capacity_and_current() -> None:
    # Twice: charge 60 Ah at 20 A (3 h and a tail of at most a third), 1 h rest, discharge 3 h; before it a 30 min soak.
    plan = bound()
    assert 2 * 7.0 + 0.5 < plan.estimate_s / 3600 < 2 * 8.0 + 1.0
    assert plan.estimated.rows == pytest.approx(plan.estimate_s / 10, rel=0.02)  # log every 10 s
    assert plan.estimated.bytes > plan.estimated.rows * 20 * 8


# Limits


def by_rule(plan: Plan) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    return {(limit.rule, limit.channel): (limit.low, limit.high) for limit in plan.limits}


def test_the_guard_gets_the_cells_limits_with_their_margins() -> None:
    # a = 30 mV and 170 mA by the certificate, r = 10 mV and 10 mA; input: five steps of 1 mV, r = 1 mV.
    limits = by_rule(bound())
    assert limits["sample.voltage", "psb.out.voltage_v"] == pytest.approx((2.5 - 0.060, 4.3 + 0.060))
    assert limits["sample.cell_voltage", "v1.ai0.voltage_v"] == pytest.approx((2.5 - 0.047, 4.3 + 0.047))
    # charge positive: 60 A + 1 % + 0.17 + 0.03; discharge 120 A likewise
    assert limits["sample.current", "psb.out.current_a"] == pytest.approx((-121.4, 60.8))
    assert limits["sample.temperature", "th1.ai0.temperature_c"] == pytest.approx((-11.0, 61.0))


def test_the_guard_gets_the_benchs_limits_as_they_are() -> None:
    limits = by_rule(bound())
    assert limits["bench.voltage", "psb.out.voltage_v"] == (-0.5, 5.0)
    assert limits["bench.current", "psb.out.current_a"] == (-170.0, 170.0)
    assert limits["bench.place_temperature", "th1.ai3.temperature_c"] == (-45.0, 120.0)
    assert limits["bench.surface_temperature", "th1.ai2.temperature_c"] == (None, 130.0)
    for number, name in enumerate(("door_closed", "estop_released", "smoke_clear", "flame_clear"), start=1):
        low, high = limits[f"interlock.{name}", f"io1.di{number}.on"]
        assert low is not None
        assert 0.0 < low < 1.0
        assert high is None


def test_without_a_certificate_five_steps_stand_in_for_the_accuracy() -> None:
    text = edited(DEMO)
    start, end = text.index('[calibration."psb.out"]'), text.index('[calibration."th1.ai3"]')
    plan = bound(on=read_bench(text[:start] + text[end:], "bench.toml"))
    low, high = by_rule(plan)["sample.voltage", "psb.out.voltage_v"]
    assert (low, high) == pytest.approx((2.5 - 0.080, 4.3 + 0.080))  # 50 + 10 + 20 mV


@pytest.mark.parametrize("seed", range(3))
def test_holding_the_limit_for_hours_never_trips(seed: int) -> None:
    """A cell held at its limit: noise of 5 mV and 50 mA (1 sigma) and the last digit, 100 000 readings."""
    limits = {limit.rule: limit for limit in bound().limits}
    volts, amps = limits["sample.voltage"], limits["sample.current"]
    assert volts.high is not None
    assert amps.high is not None
    draw = random.Random(f"{seed}/psb/1")
    read_v = [round(4.3 + draw.gauss(0, 0.005), 2) for _ in range(100_000)]
    read_a = [round(60.0 + draw.gauss(0, 0.05), 2) for _ in range(100_000)]
    assert max(read_v) <= volts.high
    assert max(read_a) <= amps.high


def test_the_instrument_stands_between_the_guard_and_the_bench() -> None:
    plan = bound()
    guard = {limit.rule: limit for limit in plan.limits}
    volts, amps = guard["sample.voltage"].high, guard["sample.current"].low
    assert volts is not None
    assert amps is not None
    assert 4.3 < volts < plan.device_limits.over_voltage_v < 5.0
    assert 120.0 < -amps < plan.device_limits.over_current_a < 170.0
    assert plan.device_limits.watchdog_s == 4.0


def test_the_instruments_own_limit_is_pulled_in_to_the_benchs() -> None:
    # 40 mV between the guard's limit and the bench's are enough for a cell that cannot move 10 mV/s within 3.25 s.
    slow = cell(("[charge]", 'max_rate_v_s = "10 mV/s"\n\n[charge]'))
    plan = bound(on=bench(('high = "5 V"', 'high = "4.4 V"')), of=slow)
    assert plan.device_limits.over_voltage_v == 4.4
    faults = refused(on=bench(('high = "5 V"', 'high = "4.35 V"')), of=slow)
    assert any("no room for the instrument's own limit" in fault for fault in faults)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('current = "170 A"\n', 'current = "171 A"\n', "outside the range of psb"),
        ('high = "5 V"', 'high = "5.1 V"', "outside the range of v1"),
        ('low = "-0.5 V"', 'low = "-6 V"', "outside the range of v1"),
        ('high = "120 degC"', 'high = "151 degC"', "outside the range of ch1"),
    ],
)
def test_a_bench_limit_that_could_never_trip_is_refused(old: str, new: str, words: str) -> None:
    text = edited(DEMO, (old, new))
    fault = only(refused(on=read_bench(text, "bench.toml")))
    assert fault.startswith(line_of(text, new.strip()))
    assert words in fault


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('voltage = { low = "2.5 V", high = "4.3 V" }', 'voltage = { low = "2.5 V", high = "5.2 V" }'),
        ('discharge_current = "120 A"', 'discharge_current = "171 A"'),
        ('high = "60 degC"', 'high = "131 degC"'),
    ],
)
def test_a_cell_limit_looser_than_the_benchs_is_refused(old: str, new: str) -> None:
    faults = refused(of=cell((old, new)))
    assert any("looser than the bench's" in fault and fault.startswith("cell.toml:") for fault in faults)


def test_an_instrument_too_coarse_for_the_cell_is_refused() -> None:
    coarse = dataclasses.replace(CYCLER, spans=_spans(voltage_v=Span(0.0, 60.0, 0.1)))
    on = read_bench(edited(DEMO, ('accuracy = { voltage = "30 mV", current = "170 mA" }', "")), "bench.toml")
    faults = refused(on=on, models=models(coarse))
    assert any("too coarse" in fault for fault in faults)  # 5 + 1 + 2 steps of 100 mV against a window of 1.8 V


def _spans(**changed: Span) -> Callable[[Mapping[str, float]], Mapping[str, Span]]:
    return lambda rating: {**CYCLER.spans(rating), **changed}


# Set values of steps

CHARGE = "charge: {{mode: cccv, voltage: {v}, current: {i}, end: 'current <= 1 A', timeout: 6 h}}"
DISCHARGE = "discharge: {{mode: cc, voltage: {v}, current: {i}, timeout: 6 h}}"


@pytest.mark.fault("F61")
@pytest.mark.parametrize(
    ("step", "v", "i", "words"),
    [
        (CHARGE, "4.31 V", "1 I3", ["charge voltage 4.31 V is looser than the cell's limits"]),
        (CHARGE, "4.3 V", "60.1 A", ["charge current 60.1 A is looser than the cell's limits"]),
        (CHARGE, "5.1 V", "1 I3", ["the cell's limits", "the bench's limits"]),
        (DISCHARGE, "2.49 V", "1 I3", ["discharge voltage 2.49 V is looser than the cell's limits"]),
        (DISCHARGE, "2.5 V", "2.01 I1", ["discharge current 120.6 A is looser than the cell's limits"]),
        (DISCHARGE, "2.5 V", "171 A", ["the cell's limits", "the bench's limits", "the range of psb"]),
        (DISCHARGE, "2.5 V", "1 mA", ["outside the range of psb"]),
        (
            DISCHARGE,
            "2.5 V",
            "cell.charge_current - 25 A",
            ["the cell's limits", "the bench's limits", "the range of psb"],
        ),
    ],
)
def test_a_set_value_looser_than_what_is_outside_it_is_refused(step: str, v: str, i: str, words: list[str]) -> None:
    faults = refused(one_step(step.format(v=v, i=i)))
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault
        assert fault.startswith("test/one: step 1")


def test_the_limits_themselves_may_be_set() -> None:
    assert bound(one_step(CHARGE.format(v="4.3 V", i="60 A")))
    assert bound(one_step(DISCHARGE.format(v="cell.v_min", i="2 I1")))


def test_power_beyond_the_device_is_refused() -> None:
    step = "discharge: {mode: cp, voltage: 2.5 V, current: 1 I1, power: 6 kW, timeout: 6 h}"
    assert "power 6000 W" in only(refused(one_step(step)))


def test_an_end_current_that_cannot_be_told_from_nothing_is_refused() -> None:
    step = "charge: {mode: cccv, voltage: 4.3 V, current: 1 I3, end: 'current <= 15 mA', timeout: 6 h}"
    assert "cannot be told from 0" in only(refused(one_step(step)))


@pytest.mark.parametrize(
    ("temperature", "words"),
    [("61 degC", "the cell's limits"), ("-11 degC", "the cell's limits")],
)
def test_a_chamber_temperature_outside_the_cells_limits_is_refused(temperature: str, words: str) -> None:
    assert words in only(refused(one_step(f"chamber: {{temperature: {temperature}}}")))


def test_a_chamber_temperature_outside_the_chambers_range_is_refused() -> None:
    narrow = bench(
        ('high = "150 degC", low = "-40 degC"', 'high = "130 degC", low = "-5 degC"'),
        ('high = "148 degC"', 'high = "130 degC"'),
    )
    fault = only(refused(one_step("chamber: {temperature: -8 degC}"), on=narrow))
    assert "the range of ch1" in fault


def test_a_chamber_step_wants_a_chamber() -> None:
    no_chamber = bench(('chamber = "ch1.air"\n', ""), ('kind = "chamber"', 'kind = "position"'))
    assert "no chamber" in only(refused(one_step("chamber: {temperature: 25 degC}"), on=no_chamber))


def test_what_only_the_run_knows_is_checked_at_the_steps_start() -> None:
    steps = (
        "repeat:\n      count: 1\n      steps:\n"
        "        - measure: {duration: 10 s, results: {rest_v: voltage}}\n"
        "        - charge: {mode: cc, voltage: result.rest_v + 100 mV, current: 1 I3, timeout: 1 h}"
    )
    plan = bound(one_step(steps))
    repeat = plan.sequence.steps[0]
    assert isinstance(repeat, Repeat)
    charge = repeat.steps[1]
    assert isinstance(charge, Charge)
    assert plan.evaluate(charge.voltage, {"result.rest_v": 3.9}) == pytest.approx(4.0)
    assert plan.check_setpoints(charge, Setpoints(4.0, 20.0, 0.0, 5000.0, 0.0)) == []
    (fault,) = plan.check_setpoints(charge, Setpoints(4.4, 20.0, 0.0, 5000.0, 0.0))
    assert "4.4 V is looser than the cell's limits" in fault.error
    assert "step 1.2" in fault.where
    (fault,) = plan.check_setpoints(charge, Setpoints(math.nan, 20.0, 0.0, 5000.0, 0.0))
    assert "no number" in fault.error
    assert len(plan.check_setpoints(charge, 200.0)) == 3  # cell, bench, chamber


def test_a_step_without_a_current_gets_the_most_that_all_allow() -> None:
    plan = bound(one_step("charge: {mode: cv, voltage: 4.2 V, end: 'current <= 1 A', timeout: 1 h}"))
    (step,) = plan.sequence.steps
    assert isinstance(step, Charge | Discharge)
    assert plan.max_current_a(step) == 60.0
    assert (plan.max_power_w, plan.voltage_resolution_v) == (5000.0, 0.01)


def test_single_cells_near_the_bottom_of_the_range_are_warned_about_not_refused() -> None:
    big = bound().warnings
    assert any("psb: voltage" in text and "6 V and above, of 60 V" in text for text in big)
    small = bound(of=load_cell(CELLS / "nmc-21700.toml")).warnings
    currents = [text for text in small if "psb: current" in text]
    assert len(currents) == 1
    assert "17 A and above, of 170 A" in currents[0]
    assert "0.25" in currents[0]  # the end of its charge, 0.05 I1 of 5 Ah


# Parameters


def test_an_override_is_read_with_its_unit_and_kept_with_its_text() -> None:
    (rate,) = bound(overrides={"rate": "0.5 I1"}).parameters
    assert (rate.value, rate.unit, rate.text, rate.overridden) == (30.0, "A", "0.5 I1", True)
    (rate,) = bound().parameters
    assert (rate.text, rate.overridden) == ("1 I3", False)


@pytest.mark.fault("F29")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rate", "2 I1", "at most 60 A"),
        ("rate", "1 A", "at least 6 A"),
        ("rate", "5 V", "wanted a current"),
        ("rate", "5", "wanted a current"),
        ("rate", "nan A", "--set rate"),
        ("rate", "result.capacity", "--set rate"),
        ("rate", "__import__('os')", "--set rate"),
        ("rte", "1 I3", "did you mean rate"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(name: str, value: str, words: str) -> None:
    fault = only(refused(overrides={name: value}))
    assert words in fault
    assert fault.startswith(f"--set {name}")


# Points, wires, models


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('cycler = "psb.out"', 'cycler = "pbs.out"', "did you mean psb"),
        ('cycler = "psb.out"', 'cycler = "psb.in"', "no point 'in'"),
        ('cycler = "psb.out"', 'cycler = "v1.ai1"', "wanted a DC terminal"),
        ('cell_voltage = "v1.ai0"', 'cell_voltage = "th1.ai5"', "wanted a voltage input"),
        ('contactor = "io1.do0"', 'contactor = "io1.di0"', "wanted a two-state output"),
        ('contactor_feedback = "io1.di0"', 'contactor_feedback = "io1.di1"', "both the contactor's feedback and"),
        ('chamber = "ch1.air"\n', "", "chamber without a chamber"),
        ('"th1.ai2"]', '"th1.ai1"]', "bound twice"),
        ('ambient = "th1.ai3"', 'ambient = "th1.ai0"', "bound twice"),
        ('smoke_clear = "io1.di3"', 'smoke_clear = "io1.di1"', "both door_closed and smoke_clear"),
        ('place = "chamber1"', 'place = "chamber2"', "no place 'chamber2'"),
        ('model = "icpdas-m-7017"', 'model = "icpdas-m-7019"', "no driver for model"),
        ('url = "tcp://192.168.10.20:5025"', 'url = "serial:///dev/ttyS7"', "does not speak on serial"),
        ("unit = 2", "unit = 1", "both unit 1"),
        ('usb-ICPDAS-line2?baud=9600"\nunit = 2', 'usb-ICPDAS-line2?baud=19200"\nunit = 2', "different settings"),
        ('usb-ICPDAS-io1?baud=9600"', 'usb-ESPEC-ch1?baud=9600"', "on one wire"),
        (', power = "5 kW"', "", "the rating has no power"),
        ('voltage = "60 V"', 'voltage = "60 A"', "the rating has no voltage"),
        ('low = "-40 degC" }', 'low = "-40 degC", humidity = "1 V" }', "no rating of it"),
    ],
)  # fmt: skip
def test_a_slip_in_the_wiring_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    faults = refused(REST, on=bench((old, new)))
    assert any(words in fault for fault in faults), faults
    assert all(fault.startswith("bench.toml:") for fault in faults)


def test_a_terminal_feeds_one_channel() -> None:
    second = '\n[channels.2]\nplace = "chamber1"\ncycler = "psb.out"\ncell_voltage = "v1.ai2"\ncontactor = "io1.do1"\n'
    text = edited(DEMO) + second + 'contactor_feedback = "io1.di0"\n'
    faults = refused(on=read_bench(text, "bench.toml"), channel="1")
    assert len(faults) == 2
    assert "psb.out is bound twice" in faults[0]
    assert "io1.di0 is bound twice" in faults[1]


def test_positions_may_share_the_thermocouple_of_their_room() -> None:
    assert bound(on=bench(('ambient = "th1.ai7"', 'ambient = "th1.ai3"')))


def test_a_third_party_driver_needs_its_distribution_named() -> None:
    seen: list[frozenset[str]] = []

    def known(name: str, distributions: frozenset[str]) -> DriverModel:
        seen.append(distributions)
        return models()(name, distributions)

    bound(on=bench(('mains = "50 Hz"\n', 'mains = "50 Hz"\ndistributions = ["acme-drivers"]\n')), models=known)
    assert set(seen) == {frozenset({"acme-drivers"})}


def test_a_place_without_sensors_energises_nothing() -> None:
    shelf = '[places.shelf]\nkind = "position"\nzone = "cell-a"\n\n[channels.1]'
    faults = refused(on=bench(("[channels.1]", shelf), ('place = "chamber1"', 'place = "shelf"')))
    said = " ".join(faults)
    for words in ("cell's surface", "measures its air", "no interlock"):
        assert words in said


# Polling, watchdogs, silence


def test_periods_are_those_of_the_file_and_never_below_what_a_driver_can_do() -> None:
    quick = bench(
        ('[polling]\nenergised = "1 s"\n', "[polling]\n"),
        ('poll = { energised = "5 s", rest = "10 s", stimulus = "5 s" }\n', ""),
    )
    plan = bound(on=quick)
    assert plan.polls["psb"].energised_s == 0.2  # what a bench file gets that says nothing
    assert plan.polls["th1"].energised_s == 0.8  # eight multiplexed inputs
    assert plan.polls["ch1"].energised_s == 0.5
    assert bound().polls["v1"].rest_s == 10.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([('stimulus = "0.8 s" }   # rows', 'energised = "20 ms" }   # rows')], "faster than ea-psb10000"),
        ([('stimulus = "0.8 s" }   # rows', 'energised = "1.5 s" }   # rows')], "psb feeds bench.voltage"),
        ([('stimulus = "0.8 s" }   # eight', 'energised = "2 s" }   # eight')], "th1 feeds"),
        ([('watchdog = "4 s"', 'watchdog = "6 s"')], "at most 5 s"),
        ([('watchdog = "4 s"\n', "")], "gives it no time"),
        ([("unit = 2", 'unit = 2\nwatchdog = "4 s"')], "has no host watchdog"),
        ([('rest = "2 s"', 'rest = "2.1 s"')], "slower than half of the shortest watchdog"),
        ([('watchdog = "4 s"', 'watchdog = "3 s"')], "slower than half of the shortest watchdog"),
        ([('rest = "10 s"', 'rest = "4 s"')], "more often at rest"),
    ],
)  # fmt: skip
def test_periods_and_watchdogs_have_their_rules(changes: list[tuple[str, str]], words: str) -> None:
    faults = refused(on=bench(*changes))
    assert all(words in fault for fault in faults), faults
    assert all(fault.startswith("bench.toml:") for fault in faults)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[polling]\nenergised = "1 s"', '[polling]\nenergised = "60 s"'),
        ('poll = { stimulus = "0.8 s" }   # rows', 'poll = { energised = "60 s" }   # rows'),
    ],
)
def test_a_period_that_only_follows_another_is_not_blamed_on_its_own_line(old: str, new: str) -> None:
    """60 s energised make 60 s at rest: the line that says `rest = "2 s"` is not the one to change."""
    text = edited(DEMO, (old, new))
    slow = [fault for fault in refused(on=read_bench(text, "bench.toml")) if "shortest watchdog" in fault]
    assert slow
    lines = text.splitlines()
    for fault in slow:
        line = lines[int(fault.split(":")[1]) - 1]
        assert '"60 s"' in line, f"{fault} points at {line}"


def test_a_rest_that_is_too_short_for_the_common_period_says_where_that_stands() -> None:
    text = edited(DEMO, ('[polling]\nenergised = "1 s"', '[polling]\nenergised = "20 s"'))
    text = text.replace('poll = { energised = "5 s", rest = "10 s" }', 'poll = { rest = "10 s" }')
    found = [fault for fault in refused(on=read_bench(text, "bench.toml")) if "more often at rest" in fault]
    assert len(found) == 1
    number = text.splitlines().index('energised = "20 s"') + 1
    assert f"20 s come from bench.toml:{number}" in found[0]


def test_the_watchdogs_are_handed_over() -> None:
    assert bound().watchdogs == {"psb": 4.0, "io1": 4.0}


def test_a_cycler_that_goes_on_without_the_host_needs_a_relay_that_opens_by_itself() -> None:
    deaf = dataclasses.replace(CYCLER, on_comm_loss=OnCommLoss.NONE, watchdog_max_s=None)
    text = edited(DEMO, ('watchdog = "4 s"\n', ""))
    assert bound(on=read_bench(text, "bench.toml"), models=models(deaf)).watchdogs == {"io1": 4.0}
    plain = dataclasses.replace(SWITCHES, on_comm_loss=OnCommLoss.NONE, watchdog_max_s=None)
    text = text.replace('watchdog = "4 s"\n', "", 1)
    said = " ".join(refused(on=read_bench(text, "bench.toml"), models=models(deaf, plain)))
    assert "no relay of this channel opens by itself" in said
    assert "contactor is driven by io1" in said


# Samples, classes, modes


def test_a_simulated_run_may_use_the_nominal_mass_and_says_so() -> None:
    plan = bound()
    assert plan.sample_mass_nominal
    assert plan.sample_mass_kg == plan.cell.mass_kg == plan.values["run.sample_mass"]
    assert any("NOMINAL" in text for text in plan.warnings)
    weighed = bound(sample=SAMPLE)
    assert (weighed.sample_mass_kg, weighed.sample_mass_nominal) == (0.81, False)
    assert not any("NOMINAL" in text for text in weighed.warnings)


def test_a_live_run_asks_for_a_weighed_sample() -> None:
    assert "needs a sample" in only(refused(mode="live"))
    light = SAMPLE.model_copy(update={"mass_kg": None})
    assert "never weighed" in only(refused(mode="live", sample=light))
    plan = bound(mode="live", sample=SAMPLE)
    assert not plan.simulated


def test_a_standing_simulated_bench_is_driven_live_and_stamped_simulated() -> None:
    plan = bound(on=bench(('mains = "50 Hz"\n', 'mains = "50 Hz"\nfar_end = "simulated"\n')), mode="live")
    assert (plan.mode, plan.simulated) == ("live", True)


@pytest.mark.fault("F53")
@pytest.mark.parametrize("state", ["destroyed", "quarantined"])
def test_a_sample_at_its_end_is_refused(state: str) -> None:
    ended = Sample.model_validate({"id": "S-1", "type": "solid-state-gen1", "mass_kg": 0.8, "state": state})
    assert state in only(refused(sample=ended))


@pytest.mark.fault("F53")
def test_a_sample_of_another_type_is_refused() -> None:
    assert "nmc-25ah" in only(refused(sample=Sample(id="S-1", type="nmc-25ah", mass_kg=0.7)))


def test_a_channel_must_be_chosen_where_there_are_several() -> None:
    second = (
        '\n[devices.psb2]\nmodel = "ea-psb10000"\nurl = "tcp://192.168.10.21:5025"\nwatchdog = "4 s"\n'
        'rating = { voltage = "60 V", current = "170 A", power = "5 kW" }\n'
        '[devices.io3]\nmodel = "icpdas-m-7002"\nurl = "modbus-rtu:///dev/ttyUSB5"\nwatchdog = "4 s"\n'
        '[channels.2]\nplace = "chamber1"\ncycler = "psb2.out"\ncell_voltage = "v1.ai2"\ncontactor = "io3.do0"\n'
        'contactor_feedback = "io3.di0"\n'
    )
    two = read_bench(edited(DEMO) + second, "bench.toml")
    assert "choose one of 1, 2" in only(refused(on=two))
    assert "no channel '3'" in only(refused(on=two, channel="3"))
    plan = bound(on=two, channel="2")
    assert plan.channel.current == "psb2.out.current_a"
    assert "psb" not in plan.devices


OVERCHARGE = "charge: {phase: stimulus, mode: cc, voltage: 1.1 * cell.v_max, current: 1 I1, timeout: 2 h}"


def test_an_abuse_test_wants_a_channel_that_is_marked_for_it() -> None:
    faults = refused(abuse(OVERCHARGE), on=bench(("abuse = true\n", "")))
    assert any("not marked" in fault for fault in faults)


def test_a_stimulus_may_pass_the_operating_limits_but_no_ceiling() -> None:
    plan = bound(abuse(OVERCHARGE))  # 4.73 V: beyond 4.3 V, below 6.45 V and the bench's 5 V
    stimulus = {limit.rule: limit for limit in plan.limits_in("chamber1", Phase.STIMULUS)}
    conditioning = {limit.rule: limit for limit in plan.limits}
    assert stimulus["sample.voltage"].high == pytest.approx(6.45 + 0.06)
    assert conditioning["sample.voltage"].high == pytest.approx(4.3 + 0.06)
    assert stimulus["bench.voltage"].high == 5.0
    assert plan.device_limits.over_voltage_v == 5.0
    too_far = OVERCHARGE.replace("1.1 * cell.v_max", "6.5 V")
    said = " ".join(refused(abuse(too_far)))
    assert "the cell's limits" in said
    conditioned = OVERCHARGE.replace("phase: stimulus, ", "")
    assert "4.73 V is looser than the cell's limits" in " ".join(refused(abuse(conditioned, NAIL)))
    text = edited(GEN1)
    start, end = text.index("[abuse]"), text.index("[simulation]")
    without = read_cell(text[:start] + text[end:], "cell.toml")
    assert "abuse ceilings" in " ".join(refused(abuse(OVERCHARGE), of=without))


# Entries and certificates


def test_what_an_operator_must_enter_is_listed_with_what_the_simulated_one_says() -> None:
    plan = bound()
    assert [entry.name for entry in plan.entries] == ["humidity"]
    assert plan.simulated_entries == {"humidity": pytest.approx(0.45)}


def test_a_simulated_answer_of_the_wrong_kind_is_refused_and_a_missing_one_is_told() -> None:
    assert "simulation.operator.humidity" in only(refused(on=bench(('humidity = "45 %"', 'humidity = "45 degC"'))))
    missing = bound(on=bench(('humidity = "45 %"\n', "")))
    assert missing.simulated_entries == {}
    assert any("humidity" in text for text in missing.warnings)


def test_the_certificate_that_ends_first_counts() -> None:
    plan = bound(mode="live", sample=SAMPLE)  # the sequence watches ambient: psb.out and th1.ai3 are used
    assert [point for point, _, _ in plan.evidence.points] == ["psb.out", "th1.ai3"]
    start = datetime(2027, 4, 17, 12, tzinfo=UTC).timestamp()  # psb.out is due on this day
    assert plan.evidence.margin_s(start) == pytest.approx(12 * 3600)
    assert plan.evidence.margin_s(start + 86400) == pytest.approx(-12 * 3600)


def test_a_point_without_a_certificate_leaves_it_unknown() -> None:
    warm = one_step("measure: {duration: 10 s, results: {warm: temperature}}")
    plan = bound(warm, mode="live", sample=SAMPLE)
    assert math.isnan(plan.evidence.margin_s(0.0))
    assert any("th1.ai0" in text for text in plan.warnings)


def test_simulated_certificates_date_from_the_runs_start() -> None:
    assert bound().evidence.margin_s(4e9) > 0


def test_every_fault_of_every_kind_is_told_at_once() -> None:
    broken = bench(
        ('current = "170 A"\n', 'current = "200 A"\n'),
        ('watchdog = "4 s"', 'watchdog = "9 s"'),
        ('cell_voltage = "v1.ai0"', 'cell_voltage = "v1.ai9"'),
    )
    said = refused(on=broken, mode="live", overrides={"rte": "1 I3"})
    for words in ("200 A is outside", "at most 5 s", "no point 'ai9'", "needs a sample", "did you mean rate"):
        assert any(words in fault for fault in said), words


def test_the_stand_ins_agree_with_the_drivers() -> None:
    """What these tests assume of the models is what the real ones say, so that the rules above hold for them too."""
    assert bind(CAPACITY, load_bench(DEMO), load_cell(GEN1), mode="simulated").limits == bound().limits
    of_the_file = load_bench(DEMO)
    devices = {device.model: name for name, device in of_the_file.devices.items()}
    for stand_in in (CYCLER, CHAMBER, THERMOCOUPLES, VOLTS, SWITCHES, RIG, POINT_LIST):
        device = devices[stand_in.name]  # with the page that it names there, if its model reads one
        model = configured(stand_in, of_the_file, device)
        real = configured(driver_model(stand_in.name), of_the_file, device)
        assert (real.kind, set(real.rating_keys)) == (model.kind, set(model.rating_keys))
        assert (real.min_poll_s, real.on_comm_loss) == (model.min_poll_s, model.on_comm_loss)
        assert model.points.items() <= real.points.items()
