"""Charge and energy against sums that were done by hand or in closed form."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.totals import StepTotals


def test_a_constant_current_for_an_hour_is_that_many_ampere_hours() -> None:
    totals = StepTotals()
    totals.begin(100.0)
    for second in range(1, 3600):
        totals.add(100.0 + second, 3.5, -20.0)
    totals.end(3700.0)
    assert totals.charge_ah == pytest.approx(-20.0, rel=1e-12)
    assert totals.energy_wh == pytest.approx(-70.0, rel=1e-12)


def test_a_straight_line_is_integrated_exactly() -> None:
    totals = StepTotals()
    totals.begin(0.0)
    for second in (0.0, 1.0, 4.0, 10.0):  # i = 6 - 0.5 t: 6 * 10 - 0.25 * 100 = 35 As
        totals.add(second, 1.0, 6.0 - 0.5 * second)
    totals.end(10.0)
    assert totals.charge_as == pytest.approx(35.0)
    assert totals.energy_ws == pytest.approx(35.0)


def test_edges_hold_the_first_and_the_last_reading() -> None:
    totals = StepTotals()
    totals.begin(0.0)
    totals.add(0.4, 4.0, 10.0)
    totals.add(1.4, 4.0, 12.0)
    totals.end(1.9)
    assert totals.charge_as == pytest.approx(0.4 * 10 + 11.0 + 0.5 * 12)


def test_readings_before_the_step_after_the_freeze_and_bad_ones_do_not_count() -> None:
    totals = StepTotals()
    totals.add(0.0, 4.0, 99.0)
    totals.begin(1.0)
    totals.add(0.9, 4.0, 99.0)
    totals.add(1.0, 4.0, 10.0)
    totals.add(2.0, math.nan, 10.0)
    totals.add(3.0, 4.0, 20.0)
    totals.freeze()
    totals.add(3.5, 4.0, 0.0)
    totals.end(4.0)
    assert totals.charge_as == pytest.approx(15.0 * 2.0 + 20.0)


def test_without_a_reading_nothing_is_claimed() -> None:
    totals = StepTotals()
    totals.begin(0.0)
    totals.end(10.0)
    assert totals.charge_ah == 0.0
    assert totals.energy_wh == 0.0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=50), st.integers(1, 48))
def test_a_step_cut_in_two_adds_up(currents: list[float], at: int) -> None:
    cut = min(at, len(currents) - 1)
    whole, first, second = StepTotals(), StepTotals(), StepTotals()
    for totals, begin, end in ((whole, 0, len(currents)), (first, 0, cut + 1), (second, cut, len(currents))):
        totals.begin(float(begin))
        for index in range(begin, end):
            totals.add(float(index), 3.0, currents[index])
        totals.end(float(end - 1))
    assert first.charge_as + second.charge_as == pytest.approx(whole.charge_as, abs=1e-6)
    assert whole.energy_ws == pytest.approx(3.0 * whole.charge_as, abs=1e-6)
