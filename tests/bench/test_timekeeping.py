"""Clocks that step, that were never set, and a PC that sleeps: what is noted, and what ends a run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cause import EndKind
from bench.timekeeping import Timekeeping
from drivers.clock import Clock, system_clock

NOON_S = 1_790_000_000.0


@dataclass
class Machine:
    """Three clocks that are moved by hand, and what was noted."""

    mono: float = 500.0
    utc: float = NOON_S
    boot: float = 500.0
    noted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(mono_s=lambda: self.mono, utc_s=lambda: self.utc, boot_s=lambda: self.boot)

    def keeping(self) -> Timekeeping:
        return Timekeeping(self.clock, lambda kind, **data: self.noted.append((kind, data)))

    def passes(self, seconds: float) -> None:
        self.mono, self.utc, self.boot = self.mono + seconds, self.utc + seconds, self.boot + seconds

    def sleeps(self, seconds: float) -> None:
        self.utc, self.boot = self.utc + seconds, self.boot + seconds

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.noted]


def test_time_that_passes_is_nothing_to_note() -> None:
    machine = Machine()
    keeping = machine.keeping()
    for _ in range(1000):
        machine.passes(0.2)
        assert keeping.look() is None
    assert machine.noted == []


@pytest.mark.fault("F69", "F70")
@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 10.0, -1.1, 1.1])
def test_a_step_of_the_wall_clock_is_noted_once_and_ends_nothing(step_s: float) -> None:
    machine = Machine()
    keeping = machine.keeping()
    machine.passes(0.2)
    machine.utc += step_s
    assert keeping.look() is None
    machine.passes(0.2)
    assert keeping.look() is None
    assert machine.kinds == ["clock_step"]
    assert machine.noted[0][1]["step_s"] == pytest.approx(step_s)


def test_a_leap_second_is_too_small_and_drift_is_noted_each_second() -> None:
    """A wall clock that is slewed by 500 ppm, as adjtime may, parts by 1.8 s an hour: one note in an hour."""
    machine = Machine()
    keeping = machine.keeping()
    machine.utc += 1.0
    keeping.look()
    assert machine.noted == []
    machine = Machine()
    keeping = machine.keeping()
    for _ in range(3600):
        machine.passes(1.0)
        machine.utc += 500e-6
        keeping.look()
    assert machine.kinds == ["clock_step"]


@pytest.mark.fault("F70")
def test_a_wall_clock_that_was_never_set_is_noted() -> None:
    machine = Machine(utc=0.0)
    keeping = machine.keeping()
    assert machine.kinds == ["clock_unset"]
    machine.utc = NOON_S
    assert keeping.look() is None
    assert machine.kinds == ["clock_unset", "clock_step"]


@pytest.mark.fault("F71")
def test_a_suspended_pc_ends_the_run_and_is_no_step_of_the_wall_clock() -> None:
    machine = Machine()
    keeping = machine.keeping()
    machine.passes(0.2)
    machine.sleeps(30.0)
    cause = keeping.look()
    assert cause is not None
    assert (cause.kind, cause.rule, cause.limit) == (EndKind.HOST, "suspended", 2.0)
    assert cause.value == pytest.approx(30.0)
    assert machine.kinds == ["suspended"]
    machine.passes(0.2)
    assert keeping.look() is None


@pytest.mark.fault("F71")
def test_a_wall_clock_that_stood_still_while_the_pc_slept_stepped() -> None:
    machine = Machine()
    keeping = machine.keeping()
    machine.boot += 30.0
    assert keeping.look() is not None
    assert machine.kinds == ["suspended", "clock_step"]


@given(st.floats(0.0, 2.0))
def test_a_gap_of_two_seconds_or_less_is_no_suspend(gap_s: float) -> None:
    machine = Machine(mono=0.0, boot=0.0)
    keeping = machine.keeping()
    machine.boot += gap_s
    assert keeping.look() is None


def test_where_nothing_is_suspended_nothing_is_asked() -> None:
    noted: list[str] = []
    keeping = Timekeeping(Clock(mono_s=lambda: 1.0, utc_s=lambda: NOON_S), lambda kind, **_: noted.append(kind))
    assert keeping.look() is None
    assert noted == []


def test_the_machines_own_clock_of_boot_time_runs_beside_the_loops() -> None:
    clock = system_clock(time.monotonic)  # noqa: TID251 - what a loop's time is on this system
    assert clock.boot_s is not None
    before = clock.boot_s() - clock.mono_s()
    assert clock.boot_s() - clock.mono_s() == pytest.approx(before, abs=1.0)
