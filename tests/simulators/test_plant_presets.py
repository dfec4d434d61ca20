"""Each preset: its mass is the written calculation, the cell file and docs/simulation.md say so, and the bare plant
then gives what the calculation promised."""

from __future__ import annotations

import re
import tomllib
from math import pi
from pathlib import Path

import pytest

from simulators.plant.presets import PRESETS, steady_voltage, written_discharge
from tests.simulators.plant_scene import cell_spec, full_then_empty

ROOT = Path(__file__).parents[2]
SOLID_STATE = {"solid-state-gen1": 300.0, "solid-state-gen2": 400.0, "solid-state-gen3": 500.0}


def number(text: str) -> float:
    return float(text.split()[0])


def cell_file(name: str) -> dict[str, object]:
    return tomllib.loads((ROOT / "examples" / "cells" / f"{name}.toml").read_text())


def documented() -> dict[str, list[str]]:
    """The rows of the table of masses: name to its cells."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "simulation.md").read_text().splitlines()
        if re.match(r"\| `[a-z0-9-]+` \| \d", line)
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_preset_has_a_cell_file_and_a_row() -> None:
    files = {path.stem for path in (ROOT / "examples" / "cells").glob("*.toml")}
    assert files == set(PRESETS) == set(documented())


@pytest.mark.parametrize("name", PRESETS)
def test_docs_cell_file_and_function_agree(name: str) -> None:
    preset = PRESETS[name]
    discharge = written_discharge(preset, preset.rated_ah / 3)
    file, row = cell_file(name), documented()[name]
    window, start, end, charge, mean, energy, claim, mass = map(float, row)
    assert window == preset.window_ah
    assert start == pytest.approx(100 * discharge.start_soc, abs=0.006)
    assert end == pytest.approx(100 * discharge.end_soc, abs=0.006)
    assert charge == pytest.approx(discharge.charge_ah, abs=6e-4)
    assert mean == pytest.approx(discharge.energy_wh / discharge.charge_ah, abs=6e-5)
    assert energy == pytest.approx(discharge.energy_wh, abs=6e-4)
    assert claim == preset.claim_wh_kg
    # the row is arithmetic that a reader can repeat
    assert charge == pytest.approx(window * (start - end) / 100, rel=3e-4)
    assert energy == pytest.approx(charge * mean, rel=2e-4)
    assert mass == pytest.approx(energy / claim, abs=6e-5)
    assert mass == pytest.approx(preset.mass_kg(), abs=6e-5)
    assert number(str(file["mass"])) == pytest.approx(mass, rel=5e-4)
    assert number(str(file["claimed_energy_density"])) == claim
    assert number(str(file["rated_capacity"])) == preset.rated_ah


@pytest.mark.parametrize("name", PRESETS)
def test_cell_file_matches_the_preset(name: str) -> None:
    preset, file = PRESETS[name], cell_file(name)
    charge, operating, simulation, size = file["charge"], file["operating"], file["simulation"], file["dimensions"]
    assert isinstance(charge, dict)
    assert isinstance(operating, dict)
    assert isinstance(simulation, dict)
    assert isinstance(size, dict)
    assert number(charge["voltage"]) == number(operating["voltage"]["high"]) == preset.v_max
    assert number(operating["voltage"]["low"]) == preset.v_min
    assert simulation["preset"] == name
    if "diameter" in size:
        d, long = number(size["diameter"]) / 1e3, number(size["length"]) / 1e3
        area = pi * d * long + pi * d * d / 2
    else:
        a, b, c = (number(size[key]) / 1e3 for key in ("length", "width", "thickness"))
        area = 2 * (a * b + a * c + b * c)
    assert preset.area_m2 == pytest.approx(area, rel=0.03)


def test_a_line_of_the_calculation_by_hand() -> None:
    """gen1 at 50 % SOC and 20 A: positive lags (0.005135 + 0.009152) * 5.1532 / 0.59013 h * 20/65 = 3.839 % SOC behind;
    Up(0.46161) = 3.84776 + 0.161 * 0.00864; 20 A over 20 ohm cm2 / 12 000 cm2 costs 33.3 mV."""
    surface = 0.5 - (0.005135 + 0.009152) * 5.1532 / (0.853975 - 0.263845) * 20 / 65
    assert surface == pytest.approx(0.46161, abs=1e-5)
    by_hand = 3.84776 + (surface - 0.46) * 100 * (3.85640 - 3.84776) - 20 * 20 / 12_000
    assert steady_voltage(PRESETS["solid-state-gen1"], 0.5, -20.0) == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_i3_delivers_101_to_105_per_cent_of_rated(name: str) -> None:
    preset = PRESETS[name]
    before, after = full_then_empty(cell_spec(name), preset.rated_ah / 3)
    assert 1.01 <= (after.discharged_ah - before.discharged_ah) / preset.rated_ah <= 1.05
    energy_density = (after.discharged_wh - before.discharged_wh) / preset.mass_kg()
    assert energy_density == pytest.approx(preset.claim_wh_kg, rel=0.01)


@pytest.mark.parametrize(("name", "claim"), SOLID_STATE.items())
def test_claims_of_the_solid_state_cells_at_i3_and_not_at_i1(name: str, claim: float) -> None:
    mass_kg = number(str(cell_file(name)["mass"]))
    preset = PRESETS[name]
    before, after = full_then_empty(cell_spec(name, mass_kg=mass_kg), preset.rated_ah / 3)
    at_i3 = after.discharged_wh - before.discharged_wh
    assert at_i3 / mass_kg == pytest.approx(claim, rel=0.01)
    assert at_i3 / (1.25 * mass_kg) == pytest.approx(claim / 1.25, rel=0.0125)
    before, after = full_then_empty(cell_spec(name, mass_kg=mass_kg), preset.rated_ah)
    assert after.discharged_wh - before.discharged_wh < 0.96 * at_i3


def test_a_weak_cell_falls_below_its_rating() -> None:
    preset = PRESETS["solid-state-gen1"]
    before, after = full_then_empty(cell_spec("solid-state-gen1", factor=0.9), preset.rated_ah / 3)
    assert after.discharged_ah - before.discharged_ah < preset.rated_ah
    assert 264 <= (after.discharged_wh - before.discharged_wh) / preset.mass_kg() <= 276
