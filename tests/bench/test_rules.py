"""Each rule by itself, on rows of readings that are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from random import Random

import pytest

from bench.binding.shapes import GuardLimit
from bench.energy import Energy
from bench.rules.detached import REVERSIBLE_V
from bench.rules.doubt import Doubts, is_number, weighed
from bench.rules.held_limit import HeldLimit
from bench.rules.making import made
from bench.rules.shapes import (
    SHORT_CIRCUIT,
    Ceiling,
    Companion,
    CrossCheck,
    Detached,
    Detector,
    Found,
    Rate,
    RuleSpec,
    Runaway,
    Stuck,
)
from bench.rules.slope import Slope
from drivers import Quality, Reading

V, AMPS, CELL = "psb.out.voltage_v", "psb.out.current_a", "v1.ai0.voltage_v"
T1, T2, T3, AIR, SMOKE = "th1.ai0.temperature_c", "th1.ai1.temperature_c", "th1.ai2.temperature_c", "air", "io1.di3.on"
Row = tuple[float, str, float]


def found(spec: RuleSpec, rows: Iterable[Row], energy: Energy | None = None) -> list[tuple[float, Found]]:
    """What a rule says to these (time, channel, value), with when it says it."""
    rule, on = made(spec), energy or Energy()
    each = ((mono_s, rule.look(Reading(channel, value, mono_s, 0.0), on)) for mono_s, channel, value in rows)
    return [(mono_s, what) for mono_s, what in each if what is not None]


# Values that are none


@pytest.mark.fault("F26", "F28")
@pytest.mark.parametrize(
    ("value", "fine"),
    [
        (0.0, True),
        (-0.0, True),
        (3.7, True),
        (-1.18e-38, True),
        (math.nan, False),
        (math.inf, False),
        (-math.inf, False),
        (1e-41, False),  # 25.0 with its two words swapped
        (-5e-324, False),
    ],
)
def test_what_is_no_number(value: float, fine: bool) -> None:
    assert is_number(value) is fine


@pytest.mark.fault("F27")
@pytest.mark.parametrize(
    ("value", "quality"), [(-300.0, "implausible"), (3.7, "good"), (66.0, "good"), (66.1, "implausible")]
)
def test_a_value_that_the_instrument_cannot_show_is_implausible(value: float, quality: str) -> None:
    reading = weighed(Reading(V, value, 1.0, 2.0), {V: (-6.0, 66.0)})
    assert reading.quality == quality
    assert math.isnan(reading.value) == (quality != "good")


def test_what_the_driver_has_marked_keeps_its_mark() -> None:
    marked = Reading(V, math.nan, 1.0, 2.0, Quality.OPEN)
    assert weighed(marked, {}) is marked


@pytest.mark.fault("F27")
def test_three_of_five_implausible_ones_are_not_noise() -> None:
    def counted(*marks: int) -> int:
        doubts = Doubts()
        return sum(doubts.take(implausible=bool(mark)) for mark in marks)

    assert counted(1, 0, 0, 1, 0, 0, 1, 0, 0, 1) == 0
    assert counted(1, 0, 1, 0, 1) == 1
    assert counted(1, 1, 1) == 1
    assert counted(1, 1, 0, 0, 0, 1) == 0


# One limit


def passed(limit: GuardLimit, *values: float, every_s: float = 1.0) -> list[int]:
    held = HeldLimit(limit)
    return [index for index, value in enumerate(values) if held.look(value, index * every_s) is not None]


def limit(**more: float) -> GuardLimit:
    return GuardLimit("sample.temperature", T1, -11.0, 61.0, "sample", hard=True, **more)  # type: ignore[arg-type]


def test_one_reading_outside_is_enough_if_nothing_else_is_asked_for() -> None:
    assert passed(limit(), 61.0, 61.1, 70.0, 60.0, 61.1) == [1, 4]
    assert passed(limit(), -11.1) == [0]


@pytest.mark.fault("F33", "H17")
def test_k_of_n_counts_the_last_n_good_readings() -> None:
    assert passed(limit(hits=2, of=3), 62, 60, 60, 62, 60, 62) == [5]
    assert passed(limit(hits=3, of=3), 62, 62, 60, 62, 62, 62) == [5]


def test_a_delay_runs_from_the_first_reading_that_counts_and_begins_again_inside() -> None:
    assert passed(limit(delay_s=2.0), 62, 62, 62) == [2]
    assert passed(limit(delay_s=2.0), 62, 62, 60, 62, 62, 62) == [5]


def test_hysteresis_is_only_for_the_way_back() -> None:
    # 59.5 is inside the limit but not yet a kelvin and a half back inside
    assert passed(limit(hysteresis=2.0), 60.5, 62, 59.5, 62, 58.9, 62) == [1, 5]
    assert passed(limit(delay_s=2.0, hysteresis=2.0), 62, 60, 60) == [2]  # not back inside, so it goes on counting
    assert passed(limit(hysteresis=2.0), -12, -10, -12, -8.9, -12) == [0, 4]


# Rates

FAST = Rate("sample.temperature_rate", T1, 1.0, 3.0, rising=True)


def ramp(channel: str, rate: float, *, begun_s: float = 0.0, seconds: int = 30, start: float = 25.0) -> Iterator[Row]:
    for second in range(seconds):
        yield begun_s + second, channel, start + rate * second


@pytest.mark.fault("H6")
def test_a_rate_counts_after_its_window_and_one_more_reading() -> None:
    ((mono_s, what),) = found(FAST, ramp(T1, 1.01))
    assert mono_s == 4.0
    assert what.value == pytest.approx(1.01)
    assert found(FAST, ramp(T1, 0.99)) == []
    assert found(FAST, ramp(T1, -5.0)) == []
    assert len(found(Rate("v", T1, 1.0, 3.0, rising=False), ramp(T1, -5.0))) == 1


@pytest.mark.fault("F33", "H17")
def test_a_spike_is_no_rate() -> None:
    rows = [(float(n), T1, 35.0 if n in (10, 20) else 25.0) for n in range(40)]
    assert found(FAST, rows) == []


def test_a_slope_is_taken_over_no_less_than_its_window() -> None:
    slope = Slope(3.0)
    assert [slope.take(value, 2.0 * at) for at, value in enumerate((0.0, 2.0, 4.0, 8.0))] == [0.0, 0.0, 1.0, 1.5]


# The cross-check

LEADS = CrossCheck(V, AMPS, CELL, apart_v=0.1, lead_ohm=0.002)


def both(cell_off_v: float, current_a: float, *, seconds: int = 60) -> Iterator[Row]:
    """Terminal once a second, the sample's own leads every 5 s, 0.3 s after it."""
    for second in range(seconds):
        yield second, V, 3.7
        yield second, AMPS, current_a
        if second % 5 == 0:
            yield second + 0.3, CELL, 3.7 + cell_off_v


@pytest.mark.fault("F35")
def test_a_sense_lead_that_comes_off_is_found_by_the_second_comparison() -> None:
    ((mono_s, what),) = found(LEADS, both(-0.101, 0.0))
    assert mono_s == 11.0  # reading at 5.3 s and 10.3 s, each held against the terminal's next
    assert (what.rule, what.limit) == ("cross_check.voltage", 0.1)
    assert what.value == pytest.approx(0.101)
    assert found(LEADS, both(-0.099, 0.0)) == []


@pytest.mark.fault("F35")
@pytest.mark.parametrize("current_a", [60.0, -60.0])
def test_the_drop_of_the_leads_is_allowed_for(current_a: float) -> None:
    assert found(LEADS, both(-0.219, current_a)) == []  # 0.1 V and 60 A x 2 mohm
    assert len(found(LEADS, both(-0.221, current_a))) == 1
    assert len(found(LEADS, both(-3.7, current_a))) == 1


def test_a_step_of_the_current_between_the_two_readings_is_no_deviation() -> None:
    def steps() -> Iterator[Row]:
        for second in range(200):
            on = second // 7 % 2 == 1
            yield second, V, 3.9 if on else 3.6
            yield second, AMPS, 60.0 if on else 0.0
            if second % 5 == 0:  # what an input module shows may be as old as its filter and turn
                yield second + 0.3, CELL, 3.9 if (second - 1) // 7 % 2 == 1 else 3.6

    assert found(LEADS, steps()) == []


def test_nothing_is_compared_with_a_current_of_another_instant() -> None:
    assert found(LEADS, [(0.0, AMPS, 1.0), (0.0, V, 3.7), (1.0, AMPS, 1.0), (1.2, CELL, 0.0)]) == []


# Runaway

BURNS = Runaway("chamber1", CELL, (T1, T2), 60.0, 1.0)


def steady(channel: str, value: float, seconds: int = 60) -> list[Row]:
    return [(float(second), channel, value) for second in range(seconds)]


def merged(*rows: Iterable[Row]) -> list[Row]:
    return sorted((row for each in rows for row in each), key=lambda row: row[0])


def collapse(at_s: float, low_v: float, seconds: int = 60) -> list[Row]:
    return [(float(second), CELL, 4.2 if second < at_s else low_v) for second in range(seconds)]


@pytest.mark.fault("H8", "F45")
def test_two_of_three_make_a_runaway() -> None:
    hot, fast, fallen = steady(T1, 61.0), list(ramp(T2, 1.1, seconds=20, start=20.0)), collapse(10.0, 3.1)
    assert found(BURNS, hot) == []
    assert found(BURNS, fast) == []
    assert found(BURNS, fallen) == []
    for rows in (merged(hot, fast), merged(hot, fallen), merged(fast, fallen)):
        (_, what), *more = found(BURNS, rows)
        assert (what.rule, what.tier, what.subject) == ("runaway", "trip", "sample")
        assert more == []


@pytest.mark.fault("H8")
def test_a_quarter_is_the_bound_of_a_collapse_and_it_must_be_quick() -> None:
    hot = steady(T1, 61.0)
    assert found(BURNS, merged(hot, collapse(10.0, 3.16))) == []  # 24.8 %
    assert len(found(BURNS, merged(hot, collapse(10.0, 3.14)))) == 1  # 25.2 %
    end_of_discharge = [(float(s), CELL, 4.2 - 0.05 * s) for s in range(34)]  # 40 % in 34 s, 18 % in 15 s
    assert found(BURNS, merged(hot, end_of_discharge)) == []


@pytest.mark.fault("H17")
def test_one_reading_of_each_is_no_runaway() -> None:
    rows = merged([(float(s), T1, 100.0 if s == 9 else 25.0) for s in range(30)], collapse(10.0, 0.0, 11))
    assert found(BURNS, rows) == []


def test_while_shorted_on_purpose_warming_and_voltage_are_the_shorts_own() -> None:
    energy = Energy()
    energy.begin(SHORT_CIRCUIT)
    rows = merged(ramp(T1, 5.0, seconds=30), collapse(3.0, 0.2, 30))
    assert found(BURNS, rows, energy) == []
    energy.end(SHORT_CIRCUIT)
    assert len(found(BURNS, rows, energy)) == 1


@pytest.mark.fault("H8", "F45")
def test_a_neighbour_is_told_by_its_temperature_alone() -> None:
    next_door = Runaway("rig1", None, (T3,), 60.0, 1.0, neighbour=True)
    ((_, what),) = found(next_door, ramp(T3, 2.0, start=40.0))
    assert (what.rule, what.subject) == ("zone.rig1.runaway", "detector")
    assert found(next_door, steady(T3, 300.0)) == []


def test_a_detector_next_door_speaks_once_a_time() -> None:
    says = found(Detector("rig1", "smoke", SMOKE), [(float(n), SMOKE, v) for n, v in enumerate((1, 0, 0, 1, 0))])
    assert [mono_s for mono_s, _ in says] == [1.0, 4.0]
    assert says[0][1].rule == "zone.rig1.smoke"


# Stuck sensors

VOLTS = Stuck(V, 0.01, (Companion(CELL, 0.001),), AMPS, 0.002)
SURFACE = Stuck(T1, 0.1, (Companion(T2, 0.1), Companion(T3, 0.1)))


def paired(moved_v: float, change_a: float = 0.0, *, seconds: int = 200) -> Iterator[Row]:
    """The terminal frozen at 3.70 V while the sample's leads move straight over 100 s, and the current with it."""
    for second in range(seconds):
        part = min(1.0, second / 100.0)
        yield second, AMPS, 20.0 + change_a * part
        yield second, CELL, 3.7 + moved_v * part
        yield second, V, 3.70


@pytest.mark.fault("F32")
def test_a_frozen_voltage_alarms_and_trips_a_minute_later() -> None:
    (alarm_s, alarm), (trip_s, trip) = found(VOLTS, paired(0.5))
    assert (alarm.tier, trip.tier, alarm.rule) == ("warn", "trip", "stuck")
    # 5 steps of 10 mV and the companion's own two of 1 mV are passed after 11 s at 5 mV/s, but half a minute is chance
    assert alarm_s == 30.0
    assert trip_s == alarm_s + 60.0


@pytest.mark.fault("F32")
def test_a_voltage_is_not_stuck_in_cv_nor_on_a_plateau() -> None:
    assert found(VOLTS, paired(0.08, -20.0)) == []  # 20 A less on 2 mohm explain 40 mV of it
    assert found(VOLTS, paired(0.051)) == []
    assert len(found(VOLTS, paired(0.054))) == 2
    assert len(found(VOLTS, paired(0.14, -20.0))) == 2


@pytest.mark.fault("F32")
def test_a_value_that_moves_again_was_not_stuck() -> None:
    rows = [*paired(0.5, seconds=60), (60.0, V, 3.9), *((61.0 + s, V, 3.9) for s in range(300))]
    assert [what.tier for _, what in found(VOLTS, rows)] == ["warn"]


@pytest.mark.fault("F32")
def test_a_surface_point_is_held_against_all_others() -> None:
    moving = list(ramp(T2, 0.02, seconds=300))
    frozen = steady(T1, 25.0, 300)
    assert found(SURFACE, merged(moving, steady(T3, 25.0, 300), frozen)) == []
    tiers = [what.tier for _, what in found(SURFACE, merged(moving, ramp(T3, 0.02, seconds=300), frozen))]
    assert tiers == ["warn", "trip"]


# Detached sensors

#: 30 J/K and 0.2 W/K: a step of 10 A that moves 520 mV has at least 50 mohm, so P = 10 x (10 x 0.05 - 0.12) = 3.8 W.
OFF = Detached(T1, AIR, V, AMPS, 0.01, 0.1, 30.0, 0.2, trips=True)


def loaded(rise_k: float, *, air_k: float = 0.0, current_a: float = 10.0, step_v: float = 0.52) -> Iterator[Row]:
    for second in range(300):
        on = second >= 10
        yield second, V, 3.7 + (step_v if on else 0.0)
        yield second, AMPS, current_a if on else 0.0
        yield second, AIR, 25.0 + air_k * second / 300.0
        yield second, T1, 25.0 + (rise_k * min(1.0, (second - 10) / 60.0) if on else 0.0)


@pytest.mark.fault("F34")
def test_a_sensor_that_shows_the_air_of_a_cell_that_must_be_warm_has_come_off() -> None:
    assert pytest.approx(0.12) == REVERSIBLE_V
    (alarm_s, alarm), (trip_s, trip) = found(OFF, loaded(0.1))
    assert (alarm.rule, alarm.tier, trip.tier) == ("detached", "warn", "trip")
    # theta = 19 K (1 - exp(-t / 150 s)) passes 2 K after 150 s x ln(19 / 17) = 16.7 s; the step was seen at 10 s
    assert alarm_s == pytest.approx(10.0 + 16.7, abs=1.5)
    assert trip_s == alarm_s + 60.0


@pytest.mark.fault("F34")
def test_a_sensor_that_is_on_is_left_alone() -> None:
    assert found(OFF, loaded(6.0)) == []
    assert found(OFF, loaded(0.0, current_a=0.5)) == []
    assert found(OFF, loaded(0.0, step_v=0.12)) == []  # 10 mohm x 10 A is less than what a reaction may take up
    assert found(OFF, loaded(0.0, air_k=60.0)) == []  # the air moves: nobody can say


@pytest.mark.fault("F34")
def test_outside_an_abuse_test_it_only_alarms() -> None:
    only_alarm = Detached(T1, AIR, V, AMPS, 0.01, 0.1, 30.0, 0.2, trips=False)
    assert [what.tier for _, what in found(only_alarm, loaded(0.1))] == ["warn"]


def test_a_gap_and_what_was_not_read_together_say_nothing() -> None:
    rows = [(0.0, T1, 25.0), (0.0, AMPS, 1.0), (0.0, V, 3.7), (0.0, AMPS, 0.0), (0.0, AIR, 25.0), (0.0, T1, 25.0)]
    rows += [(1.0, V, 4.2), (1.0, AMPS, 10.0), (90.0, V, 4.2), (90.0, AMPS, 10.0), (90.0, T1, 25.0)]
    assert found(OFF, rows) == []


# Ceilings


def flowing(current_a: float, hours: float) -> Iterator[Row]:
    for minute in range(int(hours * 60) + 1):
        yield minute * 60.0, V, 4.0
        yield minute * 60.0, AMPS, current_a


@pytest.mark.fault("F43", "H1")
@pytest.mark.parametrize("current_a", [5.0, -5.0])
def test_charge_that_goes_nowhere_trips_at_the_ceiling(current_a: float) -> None:
    energy = Energy()
    energy.begin("psb output")
    ((mono_s, what),) = found(Ceiling(V, AMPS, "psb output", 6.5, 100.0), flowing(current_a, 3.0), energy)
    assert what.rule == "ceiling.charge"
    assert mono_s == pytest.approx(6.5 / 5.0 * 3600.0, abs=60.0)
    ((mono_s, what),) = found(Ceiling(V, AMPS, "psb output", 100.0, 26.0), flowing(current_a, 3.0), energy)
    assert what.rule == "ceiling.energy"
    assert mono_s == pytest.approx(26.0 / 20.0 * 3600.0, abs=60.0)


@pytest.mark.fault("F43")
def test_each_charge_counts_from_nothing() -> None:
    energy, rule = Energy(), made(Ceiling(V, AMPS, "psb output", 6.5, 100.0))
    says: list[Found | None] = []
    for turn in range(3):
        energy.begin("psb output")
        for mono_s, channel, value in flowing(5.0, 1.0):  # 5 Ah each
            says.append(rule.look(Reading(channel, value, turn * 7200.0 + mono_s, 0.0), energy))
        energy.end("psb output")
        says.append(rule.look(Reading(AMPS, 0.0, turn * 7200.0 + 3700.0, 0.0), energy))
    assert not any(says)


# All of them under noise


@pytest.mark.fault("F33", "H17")
def test_ten_times_the_noise_is_no_runaway_and_nothing_stuck() -> None:
    draw = Random("noise/1")
    specs: tuple[RuleSpec, ...] = (FAST, BURNS, SURFACE, VOLTS, LEADS)
    rows: list[Row] = []
    for second in range(3600):
        rows += [(second, name, round(25.0 + draw.gauss(0, 0.5), 1)) for name in (T1, T2, T3)]
        rows += [(second, V, round(3.7 + draw.gauss(0, 0.02), 2)), (second, AMPS, 20.0)]
        rows.append((second + 0.3, CELL, round(3.7 + draw.gauss(0, 0.005), 3)))
    for spec in specs:
        assert found(spec, [row for row in rows if row[1] in spec.channels]) == []
