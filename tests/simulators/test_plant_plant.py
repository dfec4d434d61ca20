"""Time on the plant: independent of how it is sliced, cheap when nothing happens; chamber, sensors, contacts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.clock import real_elapsed_s
from simulators.plant.cell import Cell
from simulators.plant.plant import Plant
from simulators.plant.presets import PRESETS
from simulators.spec import CellSpec, ChannelSpec, PlaceSpec, SceneSpec, Signal
from tests.simulators.plant_scene import cell_spec, energised, hold, off, scene

SURFACE, AIR = Signal("surface", "here"), Signal("air", "here")


def profile(slices: list[float]) -> tuple[float, ...]:
    """Charge into CV, chamber to 40 degC, rest, discharge, long rest, with commands at odd instants; in between, time
    passes in these slices (over and over). What a reader finds at the end of each part."""
    plant, terminal = energised(cell_spec("nmc-21700", soc=0.85))
    chamber = plant.chamber("here")
    commands: list[tuple[float, Callable[[], None]]] = [
        (0.0, lambda: hold(terminal, 4.1, source_a=5.0)),
        (123.4567, lambda: setattr(chamber, "setpoint_c", 40.0)),
        (900.03, lambda: off(terminal)),
        (1500.77, lambda: hold(terminal, 2.5, sink_a=5.0, sink_w=15.0)),
        (2200.5, lambda: off(terminal)),
        (30_000.25, lambda: plant.contactor("1", closed=False)),
    ]
    found: list[float] = []
    k = 0
    for (_, command), (end_s, _) in pairwise(commands):
        command()
        while plant.now_s < end_s:
            plant.advance(min(plant.now_s + slices[k % len(slices)], end_s))
            k += 1
            if k % 3 == 0:
                plant.signal(SURFACE)
                terminal.totals()
        totals = plant.totals("1")
        found += [terminal.voltage_v, terminal.current_a, plant.signal(SURFACE), plant.signal(AIR), chamber.air_c]
        found += [totals.charged_ah, totals.discharged_ah, totals.charged_wh, totals.discharged_wh]
    return tuple(found)


@pytest.mark.parametrize("slices", [[1.0], [0.5, 0.01, 0.49, 2.0], [7.3], [86_400.0]])
def test_the_same_whatever_the_slices(slices: list[float]) -> None:
    assert profile(slices) == pytest.approx(profile([0.9]), rel=1e-9, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.floats(0.05, 500.0), min_size=1, max_size=20))
def test_the_same_whatever_the_slices_at_random(slices: list[float]) -> None:
    results = []
    for steps in (slices, [sum(slices)]):
        plant, terminal = energised(cell_spec("solid-state-gen1", soc=0.6))
        hold(terminal, 2.5, sink_a=60.0)
        for step_s in steps:
            plant.advance(plant.now_s + step_s)
        plant.advance(sum(slices))
        results.append((terminal.voltage_v, terminal.current_a, plant.signal(SURFACE), terminal.totals().discharged_wh))
    assert results[0] == pytest.approx(results[1], rel=1e-9)


def test_two_runs_are_bit_for_bit_the_same() -> None:
    assert profile([0.7, 1.3]) == profile([0.7, 1.3])


def test_time_begins_with_the_first_advance() -> None:
    plant = Plant(scene(cell_spec("nmc-21700", soc=0.5)))
    plant.advance(1e6)
    plant.contactor("1", closed=True)
    hold(plant.terminal("1"), 4.2, source_a=1.0)
    plant.advance(1e6 + 360.0)
    plant.advance(5.0)  # going back is not moving
    assert plant.totals("1").charged_ah == pytest.approx(0.1)


def test_a_weeks_rest_is_exact() -> None:
    """Far from any disturbance a rested cell shows its OCV, and the air its setpoint."""
    plant, terminal = energised(cell_spec("nmc-21700", soc=0.5))
    hold(terminal, 4.2, source_a=5.0)
    plant.advance(180.0)
    off(terminal)
    plant.advance(180.0 + 7 * 86_400.0)
    cell = terminal.cell
    assert cell is not None
    assert cell.soc == pytest.approx(0.5 + 0.25 / cell.capacity_ah)
    assert terminal.voltage_v == pytest.approx(cell.open_circuit_v(), abs=1e-8)
    assert plant.signal(SURFACE) == pytest.approx(25.0, abs=1e-6)


def chamber_run(start_c: float, setpoint_c: float, seconds: int) -> list[float]:
    """The air each second after the setpoint was given."""
    plant = Plant(SceneSpec((), (PlaceSpec("here", "ch", start_c),), ()))
    plant.advance(0.0)
    chamber = plant.chamber("here")
    chamber.setpoint_c, chamber.running = setpoint_c, True
    found = []
    for second in range(seconds):
        plant.advance(float(second))
        found.append(chamber.air_c)
    return found


def test_chamber_heats_at_8_and_cools_at_3_kelvin_a_minute() -> None:
    up = chamber_run(25.0, 85.0, 3600)
    assert up[360] - up[300] == pytest.approx(8.0, abs=0.01)
    assert max(b - a for a, b in pairwise(up)) * 60 <= 8.0 + 1e-9
    reached = next(s for s, air in enumerate(up) if air >= 84.0)
    assert 7.3 < reached / 60 < 7.8  # 59 K at 8 K/min is 7.4 min
    assert max(up) < 86.0
    assert all(abs(air - 85.0) < 0.5 for air in up[12 * 60 :])
    down = chamber_run(25.0, -20.0, 3600)
    assert down[360] - down[300] == pytest.approx(-3.0, abs=0.01)
    assert min(down) > -20.5
    assert down[-1] == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("name", ["nmc-25ah", "lfp-blade"])
def test_chamber_follows_a_setpoint_that_rises_by_5_kelvin_a_minute(name: str) -> None:
    """GB 38031-2025, 8.1.5: 5 K/min to 130 degC, here with a cold cell inside, within 1 K."""
    plant = Plant(scene(cell_spec(name)))
    plant.advance(0.0)
    chamber = plant.chamber("here")
    chamber.running = True
    for second in range(1, 21 * 60 + 1):
        chamber.setpoint_c = 25.0 + 5.0 / 60.0 * second
        plant.advance(float(second))
        assert chamber.air_c == pytest.approx(chamber.setpoint_c, abs=1.0)


def test_the_sensor_lags_the_air_by_less_than_a_kelvin_while_it_heats_at_5_kelvin_a_minute() -> None:
    """5 K/min through a sensor of 10 s is 0.83 K; the air itself has its thermocouple of 3 s (0.25 K)."""
    plant = Plant(SceneSpec((), (PlaceSpec("here", "ch", 25.0),), ()))
    plant.advance(0.0)
    chamber = plant.chamber("here")
    chamber.running = True
    for second in range(1, 901):
        chamber.setpoint_c = 25.0 + 5.0 / 60.0 * second
        plant.advance(float(second))
    assert plant.signal(AIR) - chamber.air_c == pytest.approx(5.0 / 60.0 * (10.0 - 3.0), abs=0.05)


def test_chamber_switched_off_falls_back_to_the_room() -> None:
    plant = Plant(SceneSpec((), (PlaceSpec("here", "ch", 23.0),), ()))
    plant.advance(0.0)
    chamber = plant.chamber("here")
    chamber.setpoint_c, chamber.running = 60.0, True
    plant.advance(7200.0)
    assert chamber.air_c == pytest.approx(60.0, abs=0.01)
    chamber.running = False
    plant.advance(7200.0 + 3600.0)
    assert 23.0 < chamber.air_c < 59.0
    plant.advance(7200.0 + 60 * 3600.0)
    assert chamber.air_c == pytest.approx(23.0, abs=0.05)


def test_cell_heat_reaches_the_air() -> None:
    """With the chamber off, heat moves from a working cell into the air around it."""
    plant = Plant(scene(cell_spec("lfp-blade", soc=0.9)))
    plant.advance(0.0)
    plant.contactor("1", closed=True)
    hold(plant.terminal("1"), 2.5, sink_a=138.0)
    plant.advance(1800.0)
    assert plant.signal(SURFACE) > plant.signal(AIR) > 25.2


def test_thermocouple_lags_three_seconds() -> None:
    """On a cell that warms by a steady rate it reads behind by rate x 3 s."""
    plant, terminal = energised(cell_spec("nmc-21700", soc=0.5))
    hold(terminal, 4.2, source_a=10.0)
    plant.advance(60.0)
    cell = terminal.cell
    assert cell is not None
    earlier_c = cell.temperature_c
    plant.advance(61.0)
    rate = cell.temperature_c - earlier_c
    assert cell.temperature_c - plant.signal(SURFACE) == pytest.approx(3.0 * rate, rel=0.05)


def test_a_cell_without_chamber_cools_by_its_own_time_constant() -> None:
    preset = PRESETS["nmc-21700"]
    plant = Plant(scene(cell_spec("nmc-21700", soc=0.5), chamber=False))
    plant.advance(0.0)
    plant.contactor("1", closed=True)
    hold(plant.terminal("1"), 4.2, source_a=10.0)
    plant.advance(300.0)
    off(plant.terminal("1"))
    cell = plant.terminal("1").cell
    assert cell is not None
    plant.advance(400.0)
    before = plant.totals("1").peak_surface_c, cell.temperature_c - 25.0
    plant.advance(1000.0)
    tau_s = cell.heat_capacity_j_k / (preset.h_w_m2_k * preset.area_m2)
    assert cell.temperature_c - 25.0 == pytest.approx(before[1] * exp(-600.0 / tau_s), rel=1e-9)
    assert plant.totals("1").peak_surface_c == before[0]
    assert plant.signal(AIR) == 25.0


def test_contacts_are_closed_when_all_is_well() -> None:
    plant = Plant(scene(None))
    for kind in ("door_closed", "estop_released", "smoke", "flame"):
        assert plant.signal(Signal(kind, "here")) == 1.0
        plant.set_input("here", kind, 0.0)
        assert plant.signal(Signal(kind, "here")) == 0.0
        assert plant.signal(Signal(kind, "rig")) == 1.0
    assert plant.signal(Signal("idle")) == 0.0


def test_unknown_names_say_what_there_is() -> None:
    plant = Plant(scene(cell_spec("nmc-25ah")))
    with pytest.raises(ValueError, match="no channel '9' here; there are: 1, 2"):
        plant.terminal("9")
    with pytest.raises(ValueError, match="no place 'x' here; there are: here, rig"):
        plant.signal(Signal("air", "x"))
    with pytest.raises(ValueError, match="'rig' has no chamber"):
        plant.chamber("rig")
    with pytest.raises(ValueError, match="'rig' has no press"):
        plant.press("rig")
    with pytest.raises(ValueError, match="not a contact"):
        plant.set_input("here", "air", 0.0)
    with pytest.raises(ValueError, match="no preset 'lead-acid'"):
        Plant(SceneSpec((), (PlaceSpec("p"),), (ChannelSpec("1", "p", CellSpec("lead-acid", 1.0, 1.0)),)))


def test_speed() -> None:
    """Bounds for a slow, busy machine, about ten times what docs/simulation.md states."""
    preset = PRESETS["nmc-21700"]
    cell = Cell(preset, mass_kg=0.07, soc=0.9, temperature_c=25.0)
    idle = Plant(scene(None))
    idle.advance(1.0)
    best = {"cell": 1.0, "plant": 1.0, "nothing": 1.0}
    for _ in range(5):
        start = real_elapsed_s()
        for _ in range(300):
            cell.prepare(1.0)
            volts = cell.voltage(-5.0)
            cell.commit(-5.0, volts, volts, 25.0)
        best["cell"] = min(best["cell"], (real_elapsed_s() - start) / 300)
        plant, terminal = energised(cell_spec("nmc-21700", soc=0.9))
        hold(terminal, 2.5, sink_a=1.0)
        start = real_elapsed_s()
        plant.advance(1000.0)
        best["plant"] = min(best["plant"], (real_elapsed_s() - start) / 1000)
        start = real_elapsed_s()
        for _ in range(1000):
            idle.advance(1.0)
        best["nothing"] = min(best["nothing"], (real_elapsed_s() - start) / 1000)
    assert best["cell"] < 20e-6
    assert best["plant"] < 40e-6
    assert best["nothing"] < 1e-6
