"""A voltage that goes away at penetration: two leads and a thermocouple tell a broken lead from a shorted cell."""

from __future__ import annotations

import math

import pytest

from bench.stream import Stream
from bench.voltage_lost import WITHIN_S, VoltageLost
from drivers import Quality, Reading
from tests.bench.benchtop import Events

pytestmark = pytest.mark.fault("F50")

CELL, OTHER, T1, T2 = "v1.ai1.voltage_v", "rig.nail.voltage_v", "th1.ai4.temperature_c", "th1.ai5.temperature_c"
WAS_V = 3.6


class Bench:
    def __init__(self) -> None:
        self.stream, self.events = Stream(), Events()
        VoltageLost(self.stream, self.events.event, cell=CELL, other=OTHER, surface=(T1, T2), was_v=WAS_V)

    def say(self, t_s: float, *pairs: tuple[str, float], quality: Quality = Quality.GOOD) -> None:
        self.stream.publish(tuple(Reading(name, value, t_s, 0.0, quality) for name, value in pairs))

    def told(self) -> list[tuple[str, float | None]]:
        assert set(self.events.kinds) <= {"voltage_lost"}
        return [(fields["why"], fields["other_v"]) for _, fields in self.events.all]


@pytest.mark.parametrize("gone", [(0.0, Quality.GOOD), (math.nan, Quality.OPEN), (math.nan, Quality.IMPLAUSIBLE)])
def test_while_the_rigs_own_leads_show_the_cell_a_lead_has_broken(gone: tuple[float, Quality]) -> None:
    value, quality = gone
    bench = Bench()
    bench.say(0.0, (T1, 25.0), (CELL, 3.6), (OTHER, 3.6))
    bench.say(1.0, (CELL, value), quality=quality)
    bench.say(1.0, (OTHER, 3.6))
    assert bench.told() == [], "what the rig showed before or at that instant proves nothing"
    bench.say(1.1, (OTHER, 3.6))
    bench.say(2.0, (CELL, value), quality=quality)
    assert bench.told() == []
    bench.say(2.1, (OTHER, 3.5))
    assert bench.told() == [("a lead broke", 3.5)]
    bench.say(3.0, (T1, 80.0), (OTHER, 0.0))
    assert len(bench.events.all) == 1


def test_one_misread_look_between_two_good_ones_is_no_loss_however_often_the_others_are_read() -> None:
    """The rig and the thermocouple are looked at twenty times before the next look at the cell."""
    bench = Bench()
    for at in range(3):
        bench.say(10.0 * at, (T1, 25.0), (CELL, 3.6), (OTHER, 3.6))
        bench.say(10.0 * at + 1.0, (CELL, math.nan), quality=Quality.IMPLAUSIBLE)
        for look in range(20):
            bench.say(10.0 * at + 1.05 + look * 0.045, (OTHER, 3.6), (T1, 31.0))
        bench.say(10.0 * at + 2.0, (CELL, 3.6), (T1, 25.0))
    assert bench.told() == []


def test_a_cell_that_shorts_between_two_looks_is_no_broken_lead_by_what_the_rig_showed_before() -> None:
    bench = Bench()
    bench.say(0.0, (T1, 25.0), (CELL, 3.6))
    bench.say(1.0, (CELL, math.nan), quality=Quality.IMPLAUSIBLE)
    bench.say(1.05, (OTHER, 3.6))
    bench.say(2.0, (OTHER, 3.6))
    bench.say(2.0, (CELL, 0.0))
    bench.say(2.05, (OTHER, 0.0), (T1, 31.0))
    assert bench.told() == [("the cell has shorted", 0.0)]


def test_a_cell_that_loses_both_voltages_and_heats_up_has_shorted() -> None:
    bench = Bench()
    bench.say(0.0, (T1, 25.0), (T2, 40.0), (CELL, 3.6))
    bench.say(1.0, (CELL, 0.02))
    bench.say(2.0, (CELL, 0.02))
    bench.say(2.1, (OTHER, 0.01), (T1, 29.0), (T2, 44.9))
    assert bench.told() == []
    bench.say(3.0, (T1, 30.0))
    assert bench.told() == [("the cell has shorted", 0.01)]


def test_without_heat_and_without_the_rigs_voltage_nothing_is_claimed() -> None:
    bench = Bench()
    bench.say(0.0, (T1, 25.0))
    bench.say(1.0, (CELL, 0.0))
    bench.say(2.0, (OTHER, math.nan), quality=Quality.OPEN)
    bench.say(1.0 + WITHIN_S, (T1, 26.0))
    assert bench.told() == []
    bench.say(1.1 + WITHIN_S, (T1, 26.0))
    assert bench.told() == [("not told apart", None)]


def test_a_look_that_missed_the_cell_and_a_voltage_that_only_sags_are_no_loss() -> None:
    bench = Bench()
    bench.say(1.0, (CELL, math.nan), quality=Quality.OPEN)
    bench.say(2.0, (CELL, 3.5))
    bench.say(3.0, (OTHER, 3.5), (T1, 25.0))
    bench.say(4.0, (CELL, 0.37), (OTHER, 3.5))
    bench.say(5.0, (T1, 90.0))
    assert bench.told() == []
