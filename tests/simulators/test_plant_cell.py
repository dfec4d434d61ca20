"""The cell against a porous-electrode reference, and against the conservation laws."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from math import sqrt
from pathlib import Path

import pytest

from simulators.plant.cell import Cell
from simulators.plant.presets import FITTED_CELL, PRESETS, Preset
from simulators.plant.tables import Table

DATA = Path(__file__).parents[1] / "data" / "dfn"
#: The reference has no entropic heat.
REFERENCE_CELL = replace(
    FITTED_CELL,
    chemistry=replace(FITTED_CELL.chemistry, entropic=Table([0.0] * len(FITTED_CELL.chemistry.entropic.values))),
)


def step(cell: Cell, dt_s: float, current_a: float, air_c: float = 25.0) -> float:
    """One step; the energy that the terminals took."""
    start_v = cell.voltage_now(current_a)
    cell.prepare(dt_s)
    end_v = cell.voltage(current_a)
    cell.commit(current_a, start_v, end_v, air_c)
    return current_a * 0.5 * (start_v + end_v) * dt_s


def fresh(preset: Preset, *, soc: float = 0.5, factor: float = 1.0, mass_kg: float | None = None) -> Cell:
    return Cell(preset, mass_kg=mass_kg or preset.mass_kg(), soc=soc, temperature_c=25.0, capacity_factor=factor)


def reference(kind: str) -> list[tuple[float, float, float, float]]:
    with (DATA / f"{kind}.csv").open() as file:
        return [
            (float(r["t_s"]), float(r["discharged_ah"]), float(r["voltage_v"]), float(r["temperature_c"]))
            for r in csv.DictReader(file)
        ]


def driven(cell: Cell, kind: str) -> list[tuple[float, float, float, float]]:
    """The reference's current through our cell: (t, volts less the reference's, kelvin less it, its volts)."""
    compared = []
    for (t0, q0, _, _), (t1, q1, volts, celsius) in pairwise(reference(kind)):
        dt = t1 - t0
        if dt == 0.0:
            continue
        current = (q0 - q1) * 3600.0 / dt
        slices = max(1, round(dt / 2.0))
        for _ in range(slices):
            step(cell, dt / slices, current)
        compared.append((t1, cell.voltage_v - volts, cell.temperature_c - celsius, volts))
    return compared


def test_voltage_against_the_isothermal_reference() -> None:
    cell = fresh(REFERENCE_CELL, soc=1.0, mass_kg=1e9)  # a mass that keeps it at 25 degC
    errors = [error for _, error, _, _ in driven(cell, "isothermal")]
    assert len(errors) > 600
    assert sqrt(sum(e * e for e in errors) / len(errors)) < 5e-3
    assert max(map(abs, errors)) < 25e-3


def test_temperature_roughly_follows_the_lumped_reference() -> None:
    """The reference leaves out the heat of the gradients within the particles; ours has it (Bernardi), so ours is
    warmer while a large current flows and the same again at rest."""
    compared = driven(fresh(REFERENCE_CELL, soc=1.0, mass_kg=0.068), "lumped")
    kelvin = [k for _, _, k, _ in compared]
    assert max(map(abs, kelvin)) < 3.5
    assert sqrt(sum(k * k for k in kelvin) / len(kelvin)) < 1.5
    rested = [k for t, _, k, _ in compared if 6500 < t < 7190 or t > 18000]
    assert rested
    assert max(map(abs, rested)) < 0.25


def test_charge_is_exact() -> None:
    cell = fresh(PRESETS["nmc-25ah"])
    before = cell.soc
    moved_as = 0.0
    for i in range(2000):
        current = (i % 7 - 3) * 4.0
        step(cell, 1.0, current)
        moved_as += current
    assert (cell.soc - before) * cell.capacity_ah * 3600.0 == pytest.approx(moved_as, abs=1e-9 * 3600 * 25)


@pytest.mark.parametrize("name", ["nmc-21700", "lfp-block", "solid-state-gen1"])
def test_energy_closes(name: str) -> None:
    """What the terminals took is on the OCV curve or became heat, to 0.1 % of the heat's order (dU/dT aside)."""
    preset = PRESETS[name]
    flat = Table([0.0] * len(preset.chemistry.entropic.values))
    cell = fresh(replace(preset, chemistry=replace(preset.chemistry, entropic=flat)), soc=0.9)
    stored = cell.stored_j()
    taken = moved = 0.0
    for current, seconds in ((-1.0, 1800), (0.0, 600), (0.5, 1800), (0.0, 600), (-1 / 3, 1200)):
        for _ in range(seconds):
            energy = step(cell, 1.0, current * preset.rated_ah)
            taken += energy
            moved += abs(energy)
    assert taken == pytest.approx(cell.stored_j() - stored + cell.heat_j, abs=1e-3 * cell.heat_j)
    assert cell.heat_j > 0.0
    assert cell.heat_j < 0.1 * moved


def test_heat_leaves_by_the_surface_alone() -> None:
    """First law of the node: heat made = heat kept + hA times the integral of the difference to the air."""
    cell = fresh(PRESETS["nmc-21700"])
    lost = 0.0
    for _ in range(1200):
        before = cell.temperature_c
        step(cell, 0.5, -5.0)
        lost += cell.conductance_w_k * (0.5 * (before + cell.temperature_c) - 25.0) * 0.5
    kept = cell.heat_capacity_j_k * (cell.temperature_c - 25.0)
    assert cell.heat_j == pytest.approx(kept + lost, rel=1e-4)


def test_entropic_heat_has_the_sign_of_the_current() -> None:
    """At a current so small that losses vanish, charge and discharge heat are I T dU/dT and opposite."""
    preset = PRESETS["nmc-21700"]
    heats = []
    for current in (0.01, -0.01):
        cell = fresh(preset, soc=0.06)
        for _ in range(20):
            step(cell, 1.0, current)
        heats.append(cell.heat_j)
        expected = 20 * current * 298.15 * preset.chemistry.entropic(0.06)
        assert cell.heat_j == pytest.approx(expected, rel=0.05)
    assert heats[0] < 0.0 < heats[1]


def test_cold_raises_the_resistance_by_arrhenius() -> None:
    """R0 of the solid-state cell, 32 kJ/mol: 25 to 0 degC multiplies by exp(Ea/R (1/273.15 - 1/298.15)) = 3.26."""
    preset = PRESETS["solid-state-gen1"]
    ohms = []
    for celsius in (25.0, 0.0):
        cell = Cell(preset, mass_kg=1.0, soc=0.5, temperature_c=celsius)
        ohms.append((cell.voltage_now(1.0) - cell.voltage_now(0.0)) / 1.0)
    assert ohms[0] == pytest.approx(preset.r0_ohm, rel=1e-3)
    assert ohms[1] / ohms[0] == pytest.approx(3.26, rel=5e-3)


def test_one_long_rest_is_many_short_ones() -> None:
    """In air of its own temperature, as the plant takes long steps only there."""
    long, short = fresh(PRESETS["nmc-21700"]), fresh(PRESETS["nmc-21700"])
    for cell in (long, short):
        for _ in range(300):
            step(cell, 1.0, -5.0)
    air_c = long.temperature_c
    step(long, 900.0, 0.0, air_c)
    for _ in range(900):
        step(short, 1.0, 0.0, air_c)
    assert long.voltage_v == pytest.approx(short.voltage_v, rel=1e-12)


def test_capacity_factor_scales_the_charge() -> None:
    whole, nine_tenths = fresh(PRESETS["nmc-25ah"]), fresh(PRESETS["nmc-25ah"], factor=0.9)
    step(whole, 1.0, -9.0)
    step(nine_tenths, 1.0, -9.0)
    assert (0.5 - nine_tenths.soc) == pytest.approx((0.5 - whole.soc) / 0.9)


def test_over_discharge_goes_through_zero_volts_and_stays_finite() -> None:
    cell = fresh(PRESETS["nmc-25ah"], soc=0.05)
    for _ in range(3600):
        step(cell, 1.0, -25.0)
    assert cell.soc < -0.5
    assert -2.0 < cell.voltage_v < 1.0


@pytest.mark.parametrize("wrong", [{"mass_kg": 0.0}, {"soc": 1.1}, {"capacity_factor": 0.0}])
def test_impossible_cells_are_refused(wrong: dict[str, float]) -> None:
    given = {"mass_kg": 1.0, "soc": 0.5, "temperature_c": 25.0} | wrong
    with pytest.raises(ValueError, match="a cell needs"):
        Cell(PRESETS["nmc-25ah"], **given)
