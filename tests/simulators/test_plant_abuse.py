"""Nail, crush, external short, overcharge, heating and what follows, on the bare plant: presets and seeds as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.plant import presets
from simulators.plant.plant import Plant
from simulators.plant.presets import PRESETS
from simulators.plant.tables import Table
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from tests.simulators.plant_scene import hold, off

THICKNESS_MM: Mapping[str, float] = {
    "nmc-25ah": 27.0,
    "nmc-21700": 21.0,
    "lfp-block": 23.9,
    "lfp-blade": 13.5,
    "solid-state-gen1": 12.0,
    "solid-state-gen2": 12.0,
    "solid-state-gen3": 12.0,
}
NEAREST = Signal("surface", "rig")


def in_rig(name: str, seed: int = 1, *, soc: float = 1.0, **cell: float) -> Plant:
    """A charged cell in the rig's enclosure at time 0, its exhaust on; its channel begins in a chamber."""
    spec = replace(CellSpec(name, PRESETS[name].mass_kg(), THICKNESS_MM[name], start_soc=soc), **cell)  # type: ignore[arg-type]  # names are CellSpec's
    plant = Plant(
        SceneSpec(
            devices=(DeviceSpec("io", "m", "tcp", "l", points={"do0": Signal("exhaust", "rig")}),),
            places=(PlaceSpec("box", "ch"), PlaceSpec("rig", rig="press")),
            channels=(ChannelSpec("1", "box", spec, reaches=("rig",)),),
            seed=seed,
        )
    )
    plant.advance(0.0)
    plant.exhaust("rig", on=True)
    plant.carry("1", "rig")
    return plant


def stroke(plant: Plant, depth_mm: float, speed_mm_s: float = 25.0) -> float:
    """Drive the tool in and let it stand there; when it stood."""
    press = plant.press("rig")
    surface_mm = press.surface_mm
    assert surface_mm is not None
    press.drive(speed_mm_s)
    plant.advance(plant.now_s + (surface_mm + depth_mm) / speed_mm_s)
    press.drive(0.0)
    return plant.now_s


def watch(plant: Plant, seconds: float, each_s: float = 1.0) -> float:
    """The hottest that the nearest thermocouple has shown while it lived."""
    end_s, peak_c = plant.now_s + seconds, -273.0
    while plant.now_s < end_s:
        plant.advance(min(plant.now_s + each_s, end_s))
        shown = plant.signal(NEAREST)
        peak_c = peak_c if isnan(shown) else max(peak_c, shown)
    return peak_c


def nailed(name: str, seed: int = 1, **cell: float) -> tuple[float, Plant]:
    """A nail of 25 mm/s right through a full cell, and half an hour after."""
    plant = in_rig(name, seed, **cell)
    stroke(plant, THICKNESS_MM[name])
    return watch(plant, 1800.0), plant


SEEDS = (1, 2, 17)


@pytest.mark.parametrize("seed", SEEDS)
def test_nail_through_nmc_runs_away(seed: int) -> None:
    peak_c, plant = nailed("nmc-25ah", seed)
    assert 500.0 < peak_c < 900.0
    assert plant.seen("1")["vent"]
    assert plant.signal(Signal("cell_voltage", "1", "rig")) == pytest.approx(0.0, abs=0.05)


def test_flame_is_the_seeds_or_the_files_and_not_a_temperatures() -> None:
    fires = [nailed("nmc-25ah", 1, ignites=ignites)[1].seen("1")["fire"] for ignites in (True, False)]
    assert fires == [True, False]
    assert nailed("lfp-block", 1, ignites=True)[1].seen("1")["fire"]


@pytest.mark.parametrize("seed", SEEDS)
def test_nail_through_an_iron_phosphate_block_warms_it_without_a_flame(seed: int) -> None:
    """Joule heat alone: 587 kJ in 1.4 kJ/K is 419 K, of which the surface loses a part."""
    peak_c, plant = nailed("lfp-block", seed)
    assert 200.0 < peak_c < 400.0
    assert not plant.seen("1")["fire"]


@pytest.mark.parametrize("seed", SEEDS)
def test_nail_through_a_blade_leaves_it_lukewarm(seed: int) -> None:
    peak_c, plant = nailed("lfp-blade", seed)
    assert peak_c < 60.0
    assert not any(plant.seen("1").values())
    assert plant.signal(Signal("cell_voltage", "1", "rig")) > 3.0


def test_a_hard_short_in_a_blade_heats_it() -> None:
    assert nailed("lfp-blade", short_resistance_ohm=0.01)[0] > 200.0


def test_less_charge_is_less_heat() -> None:
    assert nailed("nmc-25ah", capacity_factor=0.3)[0] < nailed("nmc-25ah")[0] - 150.0


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_solid_state_either_way_but_physical(generation: int) -> None:
    """By seed anything between a weak short that only discharges and a runaway, below what melts steel."""
    peaks = []
    for seed in SEEDS:
        _, plant = nailed(f"solid-state-gen{generation}", seed)
        peaks.append(plant.totals("1").peak_surface_c)
    assert all(40.0 < peak < 1400.0 for peak in peaks)


def test_a_slow_nail_only_discharges() -> None:
    plant = in_rig("nmc-25ah")
    stroke(plant, 0.9 * 27.0, speed_mm_s=0.1)
    assert watch(plant, 7200.0, each_s=10.0) < 130.0
    terminal = plant.terminal("1")
    assert terminal.cell is not None
    assert 0.3 < terminal.cell.soc < 0.7


def test_the_short_grows_layer_by_layer() -> None:
    """Voltage falls within the stroke, not before contact; the same seed gives the same short, another another."""
    volts = []
    plant = in_rig("nmc-25ah")
    press = plant.press("rig")
    assert press.surface_mm is not None
    press.drive(25.0)
    contact_s = press.surface_mm / 25.0
    for share in (0.0, 0.2, 0.5, 0.9):
        plant.advance(contact_s + share * 27.0 / 25.0)
        volts.append(plant.signal(Signal("cell_voltage", "1", "rig")))
    assert volts[0] == pytest.approx(4.2, abs=1e-3)
    assert volts == sorted(volts, reverse=True)
    assert volts[-1] < 3.7
    ohms = []
    for seed in (1, 1, 2):
        hazard = in_rig("nmc-25ah", seed).terminal("1").hazard
        assert hazard is not None
        ohms.append(hazard.nail_ohm)
    assert ohms[0] == ohms[1] != ohms[2]


def test_first_current_through_an_external_short_is_ohms_law() -> None:
    """2 mohm outside, R0 inside and neither lag nor RC yet: 4.292 V / (1.167 mohm x 1.0916 at 23 degC + 2 mohm); and
    only the inner part of the power heats the cell."""
    plant = in_rig("solid-state-gen1")
    plant.short("1", closed=True, at="rig")
    volts = plant.signal(Signal("cell_voltage", "1", "rig"))
    assert volts / 2e-3 == pytest.approx(4.292 / (1.16667e-3 * 1.0916 + 2e-3), rel=1e-3)
    assert plant.signal(Signal("short_feedback", "1", "rig")) == 1.0
    plant.advance(60.0)
    energies = plant.terminal("1").energies()
    assert energies.shorted_j > energies.heat_j > 0.0
    plant.short("1", closed=False, at="rig")
    assert plant.signal(Signal("cell_voltage", "1", "rig")) > 3.0


@pytest.mark.parametrize("name", ["nmc-25ah", "lfp-block", "solid-state-gen1"])
@pytest.mark.parametrize("stimulus", ["nail", "short"])
def test_energy_closes(name: str, stimulus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Electrical out + stored + heat, to 0.1 %, dU/dT aside."""
    preset = PRESETS[name]
    flat = Table([0.0] * len(preset.chemistry.entropic.values))
    changed = replace(preset, chemistry=replace(preset.chemistry, entropic=flat))
    monkeypatch.setattr("simulators.plant.plant.PRESETS", {**presets.PRESETS, name: changed})
    plant = in_rig(name)
    terminal = plant.terminal("1")
    begun = terminal.energies()
    if stimulus == "nail":
        stroke(plant, THICKNESS_MM[name])
    else:
        plant.short("1", closed=True, at="rig")
    for _ in range(60):
        plant.advance(plant.now_s + 20.0)
        plant.fraction()
    now = terminal.energies()
    spent_j = begun.stored_j - now.stored_j
    assert spent_j > 0.2 * begun.stored_j
    assert now.shorted_j + now.heat_j - now.taken_j == pytest.approx(spent_j, rel=1e-3)


def ends(slices: Sequence[float]) -> list[float]:
    """A nail at a charging cell, then an hour; looked at in these slices, over and over."""
    plant = in_rig("nmc-25ah")
    plant.contactor("1", closed=True, at="rig")
    hold(plant.terminal("1"), 4.2, source_a=5.0)
    at, found = 0, []
    for end_s, command in ((1.003, "drive"), (3.7, "stop"), (33.3, "off"), (400.0, "end")):
        while plant.now_s < end_s:
            plant.advance(min(plant.now_s + slices[at % len(slices)], end_s))
            at += 1
        found += [plant.signal(NEAREST), plant.terminal("1").voltage_v, plant.gas_lel("rig")]
        if command == "drive":
            plant.press("rig").drive(25.0)
        elif command == "stop":
            plant.press("rig").drive(0.0)
        elif command == "off":
            off(plant.terminal("1"))
    return found


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(0.05, 40.0), min_size=1, max_size=6))
def test_the_same_however_often_it_is_looked_at(slices: list[float]) -> None:
    assert ends(slices) == pytest.approx(ends([400.0]), rel=1e-9, abs=1e-9)


def test_carried_to_another_place() -> None:
    plant = in_rig("nmc-25ah", soc=0.5)
    here, there = Signal("cell_voltage", "1", "rig"), Signal("cell_voltage", "1")
    assert plant.signal(here) == pytest.approx(3.75087, abs=1e-4)
    assert plant.signal(there) == 0.0
    terminal = plant.terminal("1")
    plant.contactor("1", closed=True)
    joined = [terminal.connected]
    assert (plant.signal(Signal("feedback", "1")), plant.signal(Signal("feedback", "1", "rig"))) == (1.0, 0.0)
    plant.stick_contactor("1", closed=True, at="rig")
    joined.append(terminal.connected)
    assert plant.press("rig").surface_mm is not None
    plant.carry("1", "box")
    assert plant.press("rig").surface_mm is None
    assert plant.signal(there) == pytest.approx(3.75087, abs=1e-4)
    assert [*joined, terminal.connected] == [False, True, True]
    with pytest.raises(ValueError, match="no place 'rig2'"):
        plant.carry("1", "rig2")


def test_gas_and_smoke_are_detected_and_the_exhaust_clears_them() -> None:
    plant = in_rig("nmc-25ah")
    plant.exhaust("rig", on=False)
    assert plant.signal(Signal("exhaust_flow", "rig")) == 0.0
    stroke(plant, 27.0)
    watch(plant, 120.0)
    assert plant.signal(Signal("gas", "rig")) == plant.signal(Signal("smoke", "rig")) == 0.0
    assert plant.gas_lel("rig") > 20.0
    assert plant.signal(Signal("smoke", "box")) == 1.0
    plant.exhaust("rig", on=True)
    plant.advance(plant.now_s + 600.0)
    assert plant.signal(Signal("gas", "rig")) == 1.0
    plant.set_input("rig", "exhaust_flow", 0.0)
    assert plant.signal(Signal("exhaust_flow", "rig")) == 0.0


def test_vented_gas_is_its_published_amount() -> None:
    """1.66 L/Ah and, by our assumption, 0.01 mol/Ah of solvent, in 1 m3 with nothing flowing: 1.76 + 0.25 mol. The
    nail had taken part of the charge before the layers melted, so less of the electrodes' gas."""
    plant = in_rig("nmc-25ah")
    plant.exhaust("rig", on=False)
    stroke(plant, 27.0)
    plant.advance(plant.now_s + 300.0)
    full_lel = (1.66 * 25.0 + 0.01 * 25.0 * 24.06) / 1000.0 * 0.7 / 0.08 * 100.0
    assert 0.4 * full_lel < plant.gas_lel("rig") < full_lel


def test_flame_is_seen_by_its_detector() -> None:
    plant = in_rig("nmc-25ah", ignites=True)
    stroke(plant, 27.0)
    alarms = 0
    for _ in range(300):
        plant.advance(plant.now_s + 1.0)
        alarms += plant.signal(Signal("flame", "rig")) == 0.0
    assert alarms > 15
    plant.advance(plant.now_s + 3600.0)
    assert plant.signal(Signal("flame", "rig")) == 1.0


def test_enclosure_air_is_warmed_and_comes_back() -> None:
    plant = in_rig("lfp-block")
    stroke(plant, 23.9)
    plant.advance(plant.now_s + 1500.0)
    assert plant.signal(Signal("air", "rig")) > 23.3
    plant.advance(plant.now_s + 12 * 3600.0)
    assert plant.signal(Signal("air", "rig")) == pytest.approx(23.0, abs=0.1)
    assert plant.signal(Signal("pressure", "rig")) == pytest.approx(101.325, abs=0.01)


def test_further_thermocouples_are_cooler_and_later_and_fire_takes_some() -> None:
    plant = in_rig("nmc-25ah")
    stroke(plant, 27.0)
    while plant.signal(NEAREST) < 300.0:
        plant.advance(plant.now_s + 0.5)
    shown = [plant.signal(Signal("surface", "rig", index=at)) for at in range(3)]
    assert shown == sorted(shown, reverse=True)
    burnt = 0
    for seed in range(1, 6):
        _, plant = nailed("solid-state-gen3", seed)
        if plant.totals("1").peak_surface_c > 1100.0:
            burnt += sum(isnan(plant.signal(Signal("surface", "rig", index=at))) for at in range(3))
    assert burnt > 0


def test_overcharge_rises_smoothly_to_its_end() -> None:
    """I3 from full to 1.1 Vmax or 115 % SOC: no step in voltage, no surprise in temperature."""
    for name, preset in PRESETS.items():
        plant = in_rig(name)
        terminal = plant.terminal("1")
        assert terminal.cell is not None
        plant.contactor("1", closed=True, at="rig")
        hold(terminal, 1.3 * preset.v_max, source_a=preset.rated_ah / 3)
        plant.advance(1.0)
        volts = terminal.voltage_v
        while volts < 1.1 * preset.v_max and terminal.cell.soc < 1.15:
            plant.advance(plant.now_s + 1.0)
            assert -1e-3 < terminal.voltage_v - volts < 0.02
            volts = terminal.voltage_v
        assert plant.now_s > 30.0
        assert terminal.cell.temperature_c < 35.0


def test_overcharged_with_a_weak_separator_it_shorts() -> None:
    """A cell whose file gives the resistance of its short: plated lithium makes that short past 105 %."""
    plant = in_rig("nmc-25ah", short_resistance_ohm=2e-3)
    plant.contactor("1", closed=True, at="rig")
    hold(plant.terminal("1"), 5.0, source_a=25.0 / 3)
    assert watch(plant, 1800.0) > 500.0


@pytest.mark.parametrize(("name", "vents"), [("lfp-block", False), ("nmc-25ah", False), ("nmc-21700", True)])
def test_half_an_hour_at_130_degrees(name: str, vents: bool) -> None:
    """A large cell follows its chamber with its own time constant (0.72 kg x 1100 / 0.5 W/K is 26 min); nothing runs
    away at 130 degC."""
    spec = CellSpec(name, PRESETS[name].mass_kg(), THICKNESS_MM[name], start_soc=1.0)
    plant = Plant(SceneSpec((), (PlaceSpec("box", "ch", 25.0),), (ChannelSpec("1", "box", spec),)))
    plant.advance(0.0)
    chamber = plant.chamber("box")
    chamber.setpoint_c, chamber.running = 130.0, True
    plant.advance(2580.0)
    chamber.setpoint_c = 25.0
    plant.advance(6180.0)
    assert plant.totals("1").peak_surface_c < 140.0
    assert plant.seen("1")["vent"] is vents


def test_a_heater_pad_warms_the_cell() -> None:
    """400 W in 1.4 kJ/K: 17 K a minute at first."""
    plant = in_rig("lfp-block")
    plant.drive(Signal("heater", "rig"), on=True)
    plant.advance(60.0)
    cell = plant.terminal("1").cell
    assert cell is not None
    assert cell.temperature_c - 23.0 == pytest.approx(400.0 * 60.0 / cell.heat_capacity_j_k, rel=0.03)


def test_crushed_layers_touch_at_a_deformation_of_their_own() -> None:
    deep = []
    for share in (0.02, 0.30):
        plant = in_rig("nmc-25ah")
        plant.press("rig").tool = "crush"
        stroke(plant, share * 27.0, speed_mm_s=2.0)
        deep.append(plant.signal(Signal("cell_voltage", "1", "rig")))
    assert deep[0] == pytest.approx(4.2, abs=0.01)
    assert deep[1] < 4.0
