"""A load cell at its rail: it shows the same highest force over a way on which no sample pushes back so evenly."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers.load_cell import FLAT_LOOKS, FLAT_MM, LoadCell
from drivers.reading import Quality, Reading
from tests.drivers.test_penetration_rig import Plc, rig_on

pytestmark = pytest.mark.fault("F49", "H11")

DRIVE, APPROACH = 7, 5
STEP_MM = 0.25  # 25 mm/s in a buffer of 100 rows a second


def told(cell: LoadCell, *forces: float, step_mm: float = STEP_MM) -> list[bool]:
    return [cell.at_rail(10.0 + at * step_mm, force) for at, force in enumerate(forces)]


def test_the_rail_is_known_once_the_tool_has_gone_on_for_long_enough_and_not_before() -> None:
    """At 0.25 mm a row 2 mm are eight rows beyond the first that showed it."""
    cell = LoadCell()
    found = told(cell, 50.0, 120.0, *[200.0] * 12)
    assert found == [False] * (2 + 8) + [True] * 4
    assert cell.rail_n == 200.0


def test_a_tool_that_stands_still_or_is_held_shows_the_same_force_and_is_at_no_rail() -> None:
    assert not any(told(LoadCell(), 50.0, *[200.0] * 50, step_mm=0.0))


def test_a_few_looks_far_apart_are_not_enough() -> None:
    assert not any(told(LoadCell(), *[200.0] * (FLAT_LOOKS - 1), step_mm=FLAT_MM))


@pytest.mark.parametrize(
    "forces",
    [
        [100.0 + 0.1 * at for at in range(40)],  # a cell that is crushed
        [100.0, 400.0, *[337.5] * 40],  # a nail that is through: friction alone, below the peak
        [*[200.0, 190.0] * 20],  # layers
        [0.0] * 40,
        [math.nan] * 40,
    ],
    ids=["rising", "friction", "layers", "nothing", "no value"],
)
def test_what_a_sample_does_is_no_rail(forces: list[float]) -> None:
    assert not any(told(LoadCell(), *forces))


def test_a_look_without_a_value_neither_counts_nor_undoes_what_was_counted() -> None:
    cell = LoadCell()
    for at in range(9):
        found = cell.at_rail(10.0 + at * STEP_MM, 200.0)
        assert not cell.at_rail(math.nan, 200.0)
        assert not cell.at_rail(10.0, math.nan)
    assert found


def test_what_then_shows_more_was_not_at_its_rail() -> None:
    cell = LoadCell()
    assert told(cell, *[200.0] * 9)[-1]
    assert not cell.at_rail(20.0, 250.0)
    assert cell.rail_n is None


async def test_the_reading_at_the_rail_is_over_range_until_the_next_approach() -> None:
    """Reference map: state at 3, position at 10 and force at 14, both s32 in CDAB; 1 um and 0.1 N a step."""
    plc = Plc()
    async with rig_on(plc) as (rig, _):
        signals = rig._profile.signals

        def shows(state: int, position_mm: float, force_n: float, since_s: float) -> None:
            for name, value in (
                ("state", float(state)),
                ("position_mm", position_mm),
                ("force_n", force_n),
                ("since_contact_s", since_s),
            ):
                register = signals[name]
                plc.registers.update(enumerate(register.words(value), register.address))

        async def force() -> Reading:
            await asyncio.sleep(0)
            return next(it for it in await rig.read() if it.channel == "rig.nail.force_n")

        shows(APPROACH, 10.0, 0.0, 0.0)
        assert (await force()).quality is Quality.GOOD
        for at in range(4):
            shows(DRIVE, 40.0 + at, 200.0, 0.1 * (at + 1))
            found = await force()
            assert found.quality is (Quality.OVER_RANGE if at == 3 else Quality.GOOD)
        assert math.isnan(found.value)
        shows(APPROACH, 10.0, 200.0, 0.0)
        again = await force()
        assert (again.quality, again.value) == (Quality.GOOD, 200.0)
