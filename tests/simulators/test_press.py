"""The press: straight motion and what it meets, by arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.plant.press import CLAMPING_MM, FAR_END_MM, HOME_END_MM, SURFACE_MM, Press


class Now:
    """A plant that is nothing but its time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.events = 0

    def event(self) -> None:
        self.events += 1

    def fraction(self) -> float:
        return 0.0


def pressed(thickness_mm: float | None = 20.0, seed: int = 1) -> tuple[Press, Now]:
    now = Now()
    press = Press(now, seed)
    press.sample(thickness_mm)
    return press, now


def surface_of(press: Press) -> float:
    surface_mm = press.surface_mm
    assert surface_mm is not None
    return surface_mm


def test_it_moves_straight_and_stands_exactly_where_it_was_sent() -> None:
    press, now = pressed()
    press.drive(25.0, 60.0)
    assert press.position_at(1.0) == 25.0
    assert press.velocity_at(1.0) == 25.0
    now.now_s = 1.6
    assert press.position_mm == pytest.approx(40.0)
    now.now_s = 10.0
    assert press.position_mm == 60.0
    assert press.velocity_at(10.0) == 0.0
    press.drive(-10.0, 0.0)
    assert press.position_at(13.0) == pytest.approx(30.0)
    assert press.position_at(99.0) == 0.0


def test_the_axis_ends() -> None:
    press, now = pressed(None)
    press.drive(50.0)
    now.now_s = 100.0
    assert press.position_mm == FAR_END_MM
    press.drive(-50.0)
    assert press.position_at(200.0) == HOME_END_MM
    assert press.depth_mm == press.force_n == 0.0
    assert press.contact_speed_mm_s is None


def test_depth_counts_from_the_surface_and_the_deepest_stays() -> None:
    press, now = pressed()
    surface_mm = surface_of(press)
    press.drive(20.0, surface_mm + 12.0)
    now.now_s = surface_mm / 20.0
    assert press.depth_mm == pytest.approx(0.0, abs=1e-9)
    assert press.depth_at(now.now_s + 0.1) == pytest.approx(2.0)
    assert press.contact_speed_at(now.now_s + 0.1) == 20.0
    now.now_s = 100.0
    assert press.depth_mm == press.deepest_mm == pytest.approx(12.0)
    press.drive(-5.0)
    now.now_s = 101.0
    assert press.depth_mm == pytest.approx(7.0)
    assert press.deepest_mm == pytest.approx(12.0)
    assert press.contact_speed_mm_s == 20.0
    press.sample(20.0)
    assert press.contact_speed_at(101.0) == 5.0  # the tool stands in the way of the new sample
    press.sample(None)
    assert press.surface_mm is None
    assert press.deepest_mm == 0.0


@given(st.integers(0, 10_000))
def test_a_clamping_misses_by_a_millimetre_at_most_and_repeats(seed: int) -> None:
    first, second = pressed(seed=seed)[0], pressed(seed=seed)[0]
    assert abs(surface_of(first) - SURFACE_MM) <= CLAMPING_MM
    assert first.surface_mm == second.surface_mm


def at_depth(press: Press, now: Now, depth_mm: float) -> float:
    """The force at a depth on the way in."""
    goal_mm = surface_of(press) + depth_mm
    press.drive(10.0, goal_mm)
    now.now_s += (goal_mm - press.position_mm) / 10.0
    return press.force_n


def test_a_nail_meets_kilonewtons_then_friction_and_is_held_back_on_its_way_out() -> None:
    press, now = pressed(20.0)
    inside = [at_depth(press, now, depth_mm) for depth_mm in (0.05, 1.5, 5.0, 10.0, 15.0, 19.9)]
    assert 20.0 < inside[0] < 200.0
    assert inside[1:] == sorted(inside[1:])
    assert max(inside) < 5000.0
    behind_n = at_depth(press, now, 30.0)
    assert behind_n == pytest.approx(20.0 * 25.0)
    press.drive(-10.0)
    assert press.force_at(now.now_s + 0.1) == pytest.approx(-behind_n)
    now.now_s += 2.0
    press.drive(10.0)
    assert 0.0 < press.force_n <= behind_n  # the hole is there already


def test_a_platen_meets_100_kn_at_30_per_cent_and_little_once_it_goes_back() -> None:
    press, now = pressed(20.0)
    press.tool = "crush"
    tenth_n = at_depth(press, now, 2.0)
    full_n = at_depth(press, now, 6.0)
    assert full_n == pytest.approx(100e3, rel=1e-6)
    assert 0.0 < tenth_n < 0.2 * full_n
    press.drive(-1.0)
    now.now_s += 0.6
    assert press.force_n == pytest.approx(0.0, abs=1e-6)


def test_a_jam_holds_the_tool_inwards_only() -> None:
    press, now = pressed()
    press.jam(30.0)
    press.drive(10.0)
    now.now_s = 5.0
    assert press.position_mm == 30.0
    assert press.velocity_mm_s == 10.0
    assert press.velocity_at(5.0) == 0.0
    press.drive(-10.0)
    assert press.position_at(6.0) == pytest.approx(20.0)
    now.now_s = 6.0
    press.jam(None)
    press.drive(10.0)
    assert press.position_at(8.0) == pytest.approx(40.0)


def test_sensors_can_lie() -> None:
    press, now = pressed()
    at_depth(press, now, 5.0)
    press.clip_force_n = 100.0
    press.stick_position = 12.5
    assert press.shown_force_n == 100.0
    assert press.shown_position_mm == 12.5
    press.stick_position = None
    assert press.shown_position_mm == press.position_mm


def test_every_change_is_an_event_of_the_plant() -> None:
    press, now = pressed()
    before = now.events
    press.drive(10.0)
    press.drive(10.0)
    press.jam(3.0)
    press.drive(0.0)
    assert now.events == before + 3
