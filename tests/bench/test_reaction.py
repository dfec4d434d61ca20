"""Load-time arithmetic of the guard, its tiers from the bench file, and what check says of a stimulus."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.binding.guarding import energised_at_most_s
from bench.binding.reaction import reaction_s
from bench.binding.shapes import GuardLimit
from bench.binding.taking_away import CHAMBER_S
from bench.config import read_cell
from bench.config.slopes import STEEPEST
from bench.plan import Plan
from bench.rules.shapes import Ceiling, CrossCheck, Detached, Detector, Rate, Runaway, Stuck
from bench.safe_plan import OTHER_DEADLINE_S
from drivers.capabilities import OnCommLoss
from sequences.language import Phase
from simulators.plant.presets import PRESETS, steady_voltage
from tests.bench.sequences_of_ours import CAPACITY, NAIL, REST, TRANSFER, abuse
from tests.bench.stand_ins import CELLS, CYCLER, SWITCHES, models
from tests.bench.test_plan import GEN1, bench, bound, cell, only, refused

NAILED = abuse(TRANSFER, NAIL)


# 2 P + t_command + t_confirm between the guard's limit and the one behind it


def test_the_reaction_is_two_periods_and_the_command() -> None:
    limit = GuardLimit("sample.voltage", "v", None, 4.2, "sample", hard=True)
    assert reaction_s(1.0) == reaction_s(1.0, limit) == 2 * 1.0 + 0.25 + 1.0
    assert reaction_s(0.2) == pytest.approx(1.65)
    assert reaction_s(1.0, replace(limit, hits=3, of=5, delay_s=2.0)) == pytest.approx(2.0 + 2.0 + 2.0 + 1.25)


@pytest.mark.fault("H1", "H2")
@pytest.mark.parametrize(("rate", "fits"), [("196 mV/s", True), ("197 mV/s", False)])
def test_the_voltage_has_to_fit_between_soft_and_hard(rate: str, fits: bool) -> None:
    # 4.36 V to the bench's 5 V within 2 x 1 s + 1.25 s: 0.64 V / 3.25 s = 196.9 mV/s
    its = cell(("[charge]", f'max_rate_v_s = "{rate}"\n\n[charge]'))
    if fits:
        assert bound(of=its)
        return
    fault = only(refused(of=its))
    assert fault.startswith("cell.toml:")
    assert "max_rate_v_s of the cell file" in fault
    assert "the bench limit bench.voltage 5 V" in fault
    assert "3.25 s" in fault


@pytest.mark.fault("H6")
@pytest.mark.parametrize(("rate", "fits"), [("21.2 K/s", True), ("21.3 K/s", False)])
def test_the_temperature_has_to_fit_too(rate: str, fits: bool) -> None:
    # 61 degC to the bench's 130 degC: 69 K / 3.25 s = 21.23 K/s
    its = cell(("[charge]", f'max_rate_k_s = "{rate}"\n\n[charge]'))
    if fits:
        assert bound(of=its)
    else:
        assert "max_rate_k_s of the cell file" in only(refused(of=its))


def test_an_abuse_ceiling_that_is_nearer_is_the_hard_limit() -> None:
    near = ('high = "6.45 V"', 'high = "4.4 V"')
    fault = only(refused(of=cell(near, ("[charge]", 'max_rate_v_s = "20 mV/s"\n\n[charge]'))))
    assert "the cell's abuse ceiling 4.4 V" in fault


def test_without_a_rate_the_preset_speaks_and_the_refusal_says_so() -> None:
    # 111.1 V a full charge x 60 A / (3600 s/h x 60 Ah) x 1.2 = 37.03 mV/s: 120.4 mV in 3.25 s
    assert bound(on=bench(('high = "5 V"', 'high = "4.481 V"')))
    fault = only(refused(on=bench(('high = "5 V"', 'high = "4.48 V"'))))
    assert "1.2 x the steepest slope of preset solid-state-gen1 at 60 A" in fault
    assert "0.037 V/s" in fault


def test_patience_costs_reaction() -> None:
    its = ("[charge]", 'max_rate_v_s = "151 mV/s"\n\n[charge]')
    assert bound(of=cell(its))
    slow = bench(("[limits]", '[guard.limits."sample.voltage"]\nreadings = "2 of 3"\n\n[limits]'))
    # one period more: 4.25 s x 0.151 V/s = 0.642 V of 0.64 V
    assert "after 2 readings" in only(refused(on=slow, of=cell(its)))


def test_nothing_is_asked_of_a_sequence_that_moves_no_charge() -> None:
    its = cell(("[charge]", 'max_rate_v_s = "2 V/s"\n\n[charge]'))
    assert bound(REST, of=its)


@pytest.mark.parametrize("preset", sorted(STEEPEST))
def test_the_table_of_slopes_is_not_below_any_preset(preset: str) -> None:
    its = PRESETS[preset]
    assert STEEPEST[preset].heat_capacity_j_kg_k <= its.cp_j_kg_k <= 1.01 * STEEPEST[preset].heat_capacity_j_kg_k
    steepest = 0.0
    for current_a in (0.0, its.rated_ah, -its.rated_ah):
        volts = [steady_voltage(its, at / 1000.0, current_a) for at in range(-200, 1251)]
        slopes = [
            (after - before) * 1000.0
            for before, after in pairwise(volts)
            if its.v_min - 1.0 <= before and after <= its.v_max + 1.5
        ]
        steepest = max(steepest, *slopes)
    assert steepest <= STEEPEST[preset].volts_per_soc <= 1.01 * steepest


def test_every_preset_has_its_slopes() -> None:
    assert set(STEEPEST) == set(PRESETS)


# Tiers from the file

TIERS = """[guard.limits."sample.temperature"]
warn = "5 K"
stop = "2 K"
hysteresis = "1 K"
delay = "2 s"
readings = "2 of 3"

[guard.limits."bench.current"]
warn = "10 A"

[limits]"""


def of_rule(plan: Plan, rule: str) -> list[GuardLimit]:
    return [limit for limit in plan.limits if limit.rule == rule]


def test_a_file_may_warn_and_stop_before_the_trip() -> None:
    plan = bound(on=bench(("[limits]", TIERS)))
    temperature = [limit for limit in of_rule(plan, "sample.temperature") if limit.channel == plan.channel.surface[0]]
    assert [(its.tier, its.low, its.high) for its in temperature] == [
        ("trip", -11.0, 61.0),
        ("stop", -9.0, 59.0),
        ("warn", -6.0, 56.0),
    ]
    assert {(its.delay_s, its.hysteresis, its.hits, its.of) for its in temperature} == {(2.0, 1.0, 2, 3)}
    assert [(its.tier, its.low, its.high) for its in of_rule(plan, "bench.current")] == [
        ("trip", -170.0, 170.0),
        ("warn", -160.0, 160.0),
    ]


def test_a_file_that_says_nothing_trips_on_one_reading() -> None:
    assert {(its.tier, its.delay_s, its.hysteresis, its.hits, its.of) for its in bound().limits} == {
        ("trip", 0.0, 0.0, 1, 1)
    }


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[guard.limits."sample.temperature"]\nwarn = "5 V"', "warn of sample.temperature is a voltage"),
        ('[guard.limits."sample.voltage"]\nstop = "-1 V"', "does not lead inwards"),
        ('[guard.limits."sample.voltage"]\nwarn = "2 V"', "nothing is left between the warn bounds"),
        ('[guard.limits."sample.voltage"]\nwarn = 2', "has no unit"),
        ('[guard.limits."sample.voltage"]\nwarn = "2 parsec"', "parsec"),
        ('[guard.limits."sample.voltage"]\nreadings = "3 of 2"', "at most as many"),
        ('[guard.limits."sample.voltage"]\nreadings = "3"', "no count of readings"),
        ('[guard.limits."interlock.door_closed"]\ndelay = "2 s"', "interlock.door_closed"),
        ('[guard]\ntemperature_rate = "1 K"', "temperature_rate"),
        ('[guard]\ncharge = "50 %"', "charge"),
    ],
)
def test_a_guard_table_that_makes_no_sense_is_refused(lines: str, words: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - read or bound, whoever finds it first
        bound(on=bench(("[limits]", f"{lines}\n\n[limits]")))
    assert words in str(caught.value)


# Rules


def test_conditioning_has_every_rule_and_the_stimulus_what_is_left() -> None:
    plan = bound(NAILED)
    kinds = {type(rule) for rule in plan.rules_in("chamber1", Phase.CONDITIONING)}
    assert kinds == {Runaway, CrossCheck, Ceiling, Detector, Detached, Rate, Stuck}
    kinds = {type(rule) for rule in plan.rules_in("rig1", Phase.STIMULUS)}
    assert kinds == {Runaway, CrossCheck, Ceiling, Detector, Detached}


@pytest.mark.fault("H8")
def test_the_zone_is_watched_as_far_as_the_runs_devices_see() -> None:
    plan = bound(NAILED)
    there = plan.rules_in("chamber1", Phase.CONDITIONING)
    assert {rule.rule for rule in there if isinstance(rule, Detector)} == {
        "zone.rig1.smoke",
        "zone.rig1.flame",
        "zone.rig1.gas",
    }
    (next_door,) = (rule for rule in there if isinstance(rule, Runaway) and rule.neighbour)
    assert next_door.surfaces == plan.places["rig1"].surface
    # A run in the chamber alone opens neither rig nor io2; the thermocouples are on a module that it reads anyway.
    alone = bound()
    assert not [rule for rule in alone.rules_in("chamber1", Phase.CONDITIONING) if isinstance(rule, Detector)]
    assert set(alone.points["th1"]) >= {"ai4", "ai5", "ai6"}
    elsewhere = bound(on=bench(('kind = "rig"\nzone = "cell-a"', 'kind = "rig"\nzone = "cell-b"')))
    assert "ai4" not in elsewhere.points["th1"]


@pytest.mark.fault("F43")
def test_the_ceilings_come_from_the_rating() -> None:
    plan = bound(NAILED)
    for phase, ampere_hours, volts in ((Phase.CONDITIONING, 1.3 * 60.0, 4.3), (Phase.STIMULUS, 2.5 * 60.0, 6.45)):
        (ceiling,) = (rule for rule in plan.rules_in("chamber1", phase) if isinstance(rule, Ceiling))
        assert (ceiling.charge_ah, ceiling.energy_wh) == pytest.approx((ampere_hours, ampere_hours * volts))
    assert bound().energised_at_most_s >= 3 * bound().estimate_s + 3600.0
    assert energised_at_most_s(REST, 100.0, 3.0) == 3900.0


def test_a_rate_of_the_voltage_is_held_to_only_if_the_file_gives_one() -> None:
    given = bound(on=bench(("[limits]", '[guard]\nvoltage_rate = "50 mV/s"\nrate_window = "4 s"\n\n[limits]')))
    rates = [rule for rule in given.rules_in("chamber1", Phase.CONDITIONING) if isinstance(rule, Rate)]
    assert {(its.rule, its.most_per_s, its.window_s) for its in rates} == {
        ("sample.temperature_rate", 1.0, 4.0),
        ("sample.voltage_rate", 0.05, 15.0),  # the sample's leads are read every 5 s
    }


@pytest.mark.fault("F27")
def test_each_instrument_says_what_it_can_show() -> None:
    spans = bound().spans
    assert spans["psb.out.voltage_v"] == (-6.0, 66.0)
    assert spans["v1.ai0.voltage_v"] == (-6.0, 6.0)
    assert spans["th1.ai0.temperature_c"] == pytest.approx((-270.0 - 164.2, 1372.0 + 164.2))
    assert "ch1.air.temperature_c" not in spans


def test_a_round_cell_cools_by_its_own_surface() -> None:
    plan = bound(of=cell(path=CELLS / "nmc-21700.toml"), sequence=CAPACITY)
    detached = [rule for rule in plan.rules_in("chamber1", Phase.CONDITIONING) if isinstance(rule, Detached)]
    bare = 50.0 * 2 * math.pi * 0.0105 * (0.070 + 0.0105)  # 21 x 70 mm at 50 W/m2K
    assert detached[0].cooling_w_k in (pytest.approx(bare, rel=0.02), pytest.approx(3 * bare, rel=0.02))


# What takes energy away


def test_check_says_what_takes_the_energy_of_a_stimulus_away_and_by_when() -> None:
    (text,) = bound(NAILED).takes_away
    assert "contactor io2.sample is open by feedback before it moves" in text
    assert "rig stops within 0.2 s" in text
    assert bound().takes_away == ()
    assert CHAMBER_S == OTHER_DEADLINE_S


def test_each_kind_of_stimulus_names_its_source_and_times() -> None:
    over = "charge: {phase: stimulus, mode: cc, voltage: 4.8 V, current: 1 I1, timeout: 2 h}"
    heat = "heat: {phase: stimulus, by: chamber, temperature: 130 degC, tolerance: 2 K, timeout: 2 h}"
    texts = bound(abuse(over)).takes_away + bound(abuse(heat)).takes_away
    # psb is read every 0.8 s from the stimulus on: 2 P + 1.25 s, and A + 1.75 s by the contactor
    assert "no current within 2.85 s" in texts[0]
    assert "contactor io1.do0 open within 4.15 s" in texts[0]
    assert "if the host falls silent, psb by its own watchdog within 4 s" in texts[0]
    assert "ch1 off within 7.6 s" in texts[1]
    assert "by nothing but its own limits" in texts[1]


def test_a_short_and_a_heater_are_named_by_their_switch() -> None:
    shorted = bound(abuse(TRANSFER, "short: {phase: stimulus, duration: 10 min}")).takes_away
    assert "the short contactor io2.short off within 2.85 s" in shorted[0]
    assert "io2 by its own watchdog within 4 s" in shorted[0]
    heated = abuse(
        TRANSFER,
        "heat: {phase: stimulus, by: heater, temperature: 130 degC, tolerance: 2 K, timeout: 2 h}",
        "hold: {phase: stimulus, duration: 10 min}",
    )
    (text,) = bound(heated, on=bench(('exhaust = "io2.exhaust"', 'heater = "io2.exhaust"'))).takes_away
    assert "the heater io2.exhaust off within 2.85 s" in text


# Communication loss


@pytest.mark.fault("H4")
@pytest.mark.parametrize("loss", [OnCommLoss.NONE, OnCommLoss.DEVICE_LIMITS, OnCommLoss.EXTERNAL_RELAY])
def test_energy_that_goes_on_without_the_host_needs_a_relay_that_does_not(loss: OnCommLoss) -> None:
    deaf = replace(CYCLER, on_comm_loss=loss, watchdog_max_s=None)
    no_watchdog = bench(('watchdog = "4 s"\npoll = { stimulus', "poll = { stimulus"))
    assert bound(on=no_watchdog, models=models(deaf))
    plain = replace(SWITCHES, on_comm_loss=OnCommLoss.NONE, watchdog_max_s=None)
    silent = bench(
        ('watchdog = "4 s"\npoll = { stimulus', "poll = { stimulus"),
        ('unit = 1\nwatchdog = "4 s"\n\n[devices.ch1]', "unit = 1\n\n[devices.ch1]"),
    )
    faults = refused(on=silent, models=models(deaf, plain))
    assert any("no relay of this channel opens by itself" in fault for fault in faults)


def test_a_live_run_of_a_cell_that_nobody_knows_is_refused() -> None:
    text = GEN1.read_text()
    start = text.index("[simulation]")
    unknown = read_cell(text[:start], "cell.toml")
    faults = refused(of=unknown, mode="live")
    assert sum("nobody says how fast" in fault for fault in faults) >= 2
    known = text[:start].replace("[charge]", 'max_rate_v_s = "20 mV/s"\nmax_rate_k_s = "1 K/s"\n\n[charge]')
    assert not any("nobody says" in fault for fault in refused(of=read_cell(known, "cell.toml"), mode="live"))
