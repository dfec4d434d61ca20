"""The potentials: tables as copied, their continuation, and what is ASSUMED beyond them."""

from __future__ import annotations

import csv
from importlib import resources
from itertools import pairwise

import pytest

from simulators.plant.tables import (
    Chemistry,
    graphite_v,
    lfp_graphite,
    lfp_v,
    nmc811_graphite,
    nmc811_lithium,
    nmc811_v,
)


def rows(file: str) -> list[dict[str, float]]:
    text = resources.files("simulators.data").joinpath(file).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


@pytest.mark.parametrize(
    ("chemistry", "file"), [(nmc811_graphite(), "ocv_Chen2020.csv"), (lfp_graphite(), "ocv_Prada2013.csv")]
)
def test_inside_the_window_a_potential_is_the_table(chemistry: Chemistry, file: str) -> None:
    for row in rows(file):
        assert chemistry.positive(row["soc"]) == pytest.approx(row["u_pos_V"], abs=1e-9)
        assert chemistry.negative(row["soc"]) == pytest.approx(row["u_neg_V"], abs=1e-9)
        assert chemistry.ocv(row["soc"]) == pytest.approx(row["ocv_V"], abs=2e-5)


def test_published_functions_agree_with_the_tables_they_continue() -> None:
    for row in rows("ocv_Chen2020.csv"):
        soc = row["soc"]
        assert nmc811_v(0.853975 - soc * (0.853975 - 0.263845)) == pytest.approx(row["u_pos_V"], abs=2e-5)
        assert graphite_v(0.026346 + soc * (0.910618 - 0.026346)) == pytest.approx(row["u_neg_V"], abs=5e-5)
    for row in rows("ocv_Prada2013.csv"):
        assert lfp_v(0.703502 - row["soc"] * (0.703502 - 0.003762)) == pytest.approx(row["u_pos_V"], abs=5e-5)


@pytest.mark.parametrize("chemistry", [nmc811_graphite(), lfp_graphite(), nmc811_lithium()])
def test_ocv_never_falls_with_soc_and_stays_physical(chemistry: Chemistry) -> None:
    for low, high in pairwise(chemistry.ocv.values):
        assert high >= low - 1e-9
        assert -0.5 < low < 5.3


def test_overcharge_goes_on_to_rise_and_lithium_plates() -> None:
    cell = nmc811_graphite()
    assert cell.ocv(1.10) > cell.ocv(1.05) > cell.ocv(1.0) + 0.05
    assert cell.negative(1.2) == 0.0  # x > 1: lithium metal
    assert cell.positive((0.853975 - 0.12) / (0.853975 - 0.263845)) == pytest.approx(nmc811_v(0.12), abs=2e-4)


def test_solid_state_knee_is_the_last_per_cent() -> None:
    cell = nmc811_lithium()
    assert cell.ocv(0.0) == 2.5
    assert cell.ocv(0.01) == pytest.approx(3.61021)  # u_pos_V of the table
    assert cell.ocv(0.005) == pytest.approx((2.5 + 3.61021) / 2)
    assert cell.ocv(-0.3) == 0.0


def test_entropic_coefficient_of_the_nmc_cells_is_the_published_range() -> None:
    values = nmc811_graphite().entropic.values
    assert min(values) == pytest.approx(-0.41e-3, abs=0.01e-3)
    assert max(values) == pytest.approx(0.12e-3, abs=0.01e-3)
    assert set(nmc811_lithium().entropic.values) == {0.0}
