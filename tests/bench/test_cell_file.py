"""The cell file: units, currents by the rated capacity, and limits inside limits."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from bench.config import load_cell, read_cell
from bench.config.quantities import read_quantity
from drivers import ConfigError, Dimension
from tests.bench.stand_ins import CELLS, edited

GEN1 = CELLS / "solid-state-gen1.toml"
ROUND = CELLS / "nmc-21700.toml"
DOCS = Path(__file__).parents[2] / "docs"


def refused(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        read_cell(text, "cell.toml")
    found = []
    for fault in caught.value.faults:
        assert fault.fix
        line = fault.where.removeprefix("cell.toml").removeprefix(":")
        found.append((int(line or 0), f"{fault.error} | {fault.fix}"))
    return found


def line_with(text: str, what: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if what in line)


def test_currents_follow_the_rated_capacity() -> None:
    # I1 empties the rated capacity in 1 h, I3 in 3 h: of 60 Ah, 60 A and 20 A.
    cell = load_cell(GEN1)
    assert cell.rated_capacity_ah == 60.0
    assert cell.charge.current_a == pytest.approx(20.0)
    assert cell.charge.end_current_a == pytest.approx(3.0)
    smaller = read_cell(edited(GEN1, ('rated_capacity = "60 Ah"', 'rated_capacity = "3000 mAh"')), "cell.toml")
    assert smaller.charge.current_a == pytest.approx(1.0)
    assert smaller.operating.charge_current_a == 60.0  # written in amperes, so it stays


@pytest.mark.parametrize("path", sorted(CELLS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_read_and_is_named_as_its_file(path: Path) -> None:
    cell = load_cell(path)
    assert cell.type == path.stem
    assert cell.mass_kg > 0


def test_a_cell_without_its_mass_is_refused_by_that_name() -> None:
    text = "\n".join(line for line in GEN1.read_text().splitlines() if not line.startswith("mass"))
    ((_, words),) = refused(text)
    assert "`mass` is missing" in words
    assert "kg" in words


def test_the_plant_truth_is_given_in_bare_numbers() -> None:
    truth = "capacity_factor = 0.9\ncurrent_gain_error = 0.002\nshort_resistance_ohm = 1\nignites = true\n"
    cell = read_cell(edited(GEN1, ("[simulation]\n", "[simulation]\n" + truth)), "cell.toml")
    assert cell.simulation is not None
    assert cell.simulation.capacity_factor == 0.9
    assert cell.simulation.current_gain_error == 0.002
    assert cell.simulation.short_resistance_ohm == 1.0
    assert cell.simulation.ignites is True
    assert cell.simulation.start_soc == pytest.approx(0.4)


@pytest.mark.parametrize(
    "slip",
    ["capacity_factor = nan", "capacity_factor = inf", "capacity_factor = true", "capacity_factor = '0.9'",
     "capacity_factor = 0", "capacity_factr = 0.9", "ignites = 1", "short_resistance_ohm = '10 mohm'",
     "start_soc = 40", "start_soc = '140 %'"],
)  # fmt: skip
def test_a_slip_in_the_plant_truth_is_refused(slip: str) -> None:
    text = edited(GEN1, ('start_soc = "40 %"\n', ""), ("[simulation]\n", f"[simulation]\n{slip}\n"))
    ((line, _),) = refused(text)
    assert line == line_with(text, slip)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('voltage = "4.3 V"', 'voltage = "4.4 V"', "not within the operating voltage"),
        ('voltage = "4.3 V"', 'voltage = "2.5 V"', "not within the operating voltage"),
        ('current = "1 I3"', 'current = "61 A"', "looser than the operating limit"),
        ('end_current = "0.05 I1"', 'end_current = "1 I3"', "end at once"),
        ('temperature = { low = "-10 degC", high = "60 degC" }', 'temperature = { low = "60 degC", high = "60 degC" }',
         "not below high"),
        ('discharge_current = "600 A"', 'discharge_current = "100 A"', "abuse ceiling"),
        ('width = "100 mm", ', "", "dimensions"),
    ],
)  # fmt: skip
def test_limits_stand_in_their_order(old: str, new: str, words: str) -> None:
    text = edited(GEN1, (old, new))
    found = refused(text)
    assert words in found[0][1]
    assert found[0][0] == line_with(text, new or "dimensions")


def test_the_boundary_itself_is_allowed() -> None:
    text = edited(GEN1, ('current = "1 I3"', 'current = "60 A"'))
    assert read_cell(text, "cell.toml").charge.current_a == 60.0


def test_a_current_by_a_capacity_that_is_missing_counts_as_one_fault() -> None:
    text = edited(GEN1, ('rated_capacity = "60 Ah"', 'rated_capacity = "60"'))
    ((line, words),) = refused(text)
    assert line == line_with(text, "rated_capacity")
    assert "has no unit" in words


def test_a_round_cell_needs_no_thickness() -> None:
    assert load_cell(ROUND).dimensions.diameter_mm == 21.0


def test_the_documents_examples_are_cells() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "cell-file.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert read_cell(block, "cell-file.md").mass_kg > 0


@pytest.mark.fault("F29", "F26")
@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers())))
def test_nothing_but_a_finite_quantity_of_the_right_kind_is_a_voltage(written: object) -> None:
    try:
        value = read_quantity(written, Dimension.VOLTAGE)
    except PydanticCustomError:
        return
    assert isinstance(written, str)
    assert math.isfinite(value)
    assert written.rstrip().endswith("V")


@given(st.decimals(min_value=-1000, max_value=1000, places=3), st.sampled_from([("V", 1.0), ("mV", 1e-3)]))
def test_a_quantity_is_read_in_its_base_unit(number: object, unit: tuple[str, float]) -> None:
    value = read_quantity(f"{number} {unit[0]}", Dimension.VOLTAGE)
    assert value == pytest.approx(float(str(number)) * unit[1])
