"""The instrument regulates; contactor, missing and reversed cells; totals."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.plant.plant import Plant
from simulators.plant.presets import FITTED_CELL, PRESETS
from simulators.spec import Signal
from tests.simulators.plant_scene import cell_spec, energised, hold, off, scene, until
from tests.simulators.test_plant_cell import reference


def test_cccv_and_the_charge_it_ends_with() -> None:
    """The reference's own profile on the fitted cell (nmc-21700 scaled back to 5.1532 Ah): 1C to 2.5 V, rest, C/2 to
    4.2 V, CV to C/20. The charge put back is the reference's within 0.5 %."""
    factor = FITTED_CELL.window_ah / PRESETS["nmc-21700"].window_ah
    plant, terminal = energised(cell_spec("nmc-21700", soc=1.0, factor=factor, mass_kg=1e6))
    hold(terminal, 2.5, sink_a=5.0)
    until(plant, lambda: -terminal.current_a < 4.9)
    assert terminal.voltage_v == pytest.approx(2.5, abs=1e-6)
    off(terminal)
    plant.advance(plant.now_s + 3600.0)
    start_ah = plant.totals("1").charged_ah
    hold(terminal, 4.2, source_a=2.5)
    cc_s = until(plant, lambda: terminal.current_a < 2.4999)
    until(plant, lambda: terminal.current_a <= 0.25)
    assert terminal.voltage_v == pytest.approx(4.2, abs=1e-6)
    rows = reference("isothermal")
    put_back_ah = max(q for _, q, _, _ in rows) - rows[-1][1]
    assert plant.totals("1").charged_ah - start_ah == pytest.approx(put_back_ah, rel=0.005)
    assert cc_s == pytest.approx(13317.3 - 7194.2, rel=0.01)  # the reference reaches 4.2 V then


@pytest.mark.parametrize("lead_ohm", [0.0, 2e-3])
def test_constant_power_is_at_the_instrument(lead_ohm: float) -> None:
    plant, terminal = energised(cell_spec("nmc-25ah", soc=0.5), lead_ohm=lead_ohm)
    hold(terminal, 2.5, sink_a=100.0, sink_w=80.0)
    plant.advance(10.0)
    current, volts = terminal.current_a, terminal.voltage_v
    assert current < 0.0
    assert -current * (volts + current * lead_ohm) == pytest.approx(80.0, rel=1e-3)
    hold(terminal, 4.2, source_a=100.0, source_w=60.0)
    plant.advance(20.0)
    current, volts = terminal.current_a, terminal.voltage_v
    assert current * (volts + current * lead_ohm) == pytest.approx(60.0, rel=1e-3)


@given(
    set_v=st.floats(0.0, 5.0),
    source_a=st.floats(0.0, 80.0),
    sink_a=st.floats(0.0, 80.0),
    source_w=st.floats(0.0, 300.0),
    sink_w=st.floats(0.0, 300.0),
    soc=st.floats(0.02, 0.98),
)
def test_whatever_is_set_the_limits_hold(
    set_v: float, source_a: float, sink_a: float, source_w: float, sink_w: float, soc: float
) -> None:
    """Never outside a limit; and not at its voltage only while a limit in that direction holds it."""
    plant, terminal = energised(cell_spec("nmc-25ah", soc=soc), lead_ohm=0.0)
    hold(terminal, set_v, source_a=source_a, sink_a=sink_a, source_w=source_w, sink_w=sink_w)
    for t_s in (1.0, 2.0, 3.0):
        plant.advance(t_s)
        current, volts = terminal.current_a, terminal.voltage_v
        power = current * volts
        assert -sink_a - 1e-9 <= current <= source_a + 1e-9
        assert -sink_w * (1 + 1e-6) - 1e-6 <= power <= source_w * (1 + 1e-6) + 1e-6
        if volts < set_v - 1e-6:
            assert current >= source_a - 1e-6 or power >= source_w * (1 - 1e-6)
        if volts > set_v + 1e-6:
            assert current <= -sink_a + 1e-6 or power <= -sink_w * (1 - 1e-6)


def test_open_contactor_isolates_the_cell() -> None:
    plant, terminal = energised(cell_spec("nmc-25ah", soc=0.5))
    plant.contactor("1", closed=False)
    ocv = plant.signal(Signal("cell_voltage", "1"))
    assert ocv == pytest.approx(3.75087, abs=1e-5)  # ocv_V of the table at 50 %
    hold(terminal, 4.0, source_a=10.0)
    plant.advance(100.0)
    assert (terminal.voltage_v, terminal.current_a) == (4.0, 0.0)
    assert plant.signal(Signal("cell_voltage", "1")) == pytest.approx(ocv, abs=1e-9)
    off(terminal)
    plant.advance(105.0)
    assert terminal.voltage_v == pytest.approx(4.0 * exp(-1.0))
    plant.contactor("1", closed=True)
    assert terminal.voltage_v == pytest.approx(ocv, abs=1e-9)
    assert plant.totals("1").charged_ah == 0.0


def test_opening_under_current_stops_it_at_once() -> None:
    plant, terminal = energised(cell_spec("nmc-25ah", soc=0.5))
    hold(terminal, 4.2, source_a=25.0)
    plant.advance(10.4)
    plant.contactor("1", closed=False)
    assert terminal.current_a == 0.0
    assert terminal.voltage_v == 4.2
    plant.advance(500.0)
    assert plant.totals("1").charged_ah * 3600 == pytest.approx(25.0 * 10.4)


def test_stuck_contactor_shows_what_it_does() -> None:
    plant, terminal = energised(cell_spec("nmc-25ah", soc=0.5))
    feedback = Signal("feedback", "1")
    plant.stick_contactor("1", closed=True)
    plant.contactor("1", closed=False)
    assert plant.signal(feedback) == 1.0
    assert terminal.connected
    plant.stick_contactor("1", closed=None)
    assert plant.signal(feedback) == 0.0
    plant.stick_contactor("1", closed=False)
    plant.contactor("1", closed=True)
    assert plant.signal(feedback) == 0.0


def test_missing_cell() -> None:
    plant, terminal = energised(None)
    hold(terminal, 3.0, source_a=10.0)
    plant.advance(10.0)
    assert (terminal.voltage_v, terminal.current_a) == (3.0, 0.0)
    assert plant.signal(Signal("cell_voltage", "1")) == 0.0
    assert plant.signal(Signal("surface", "here")) == pytest.approx(25.0)
    assert plant.totals("1").charged_ah == 0.0


def test_reversed_cell_reads_negative_and_is_discharged_by_a_source() -> None:
    plant, terminal = energised(cell_spec("nmc-25ah", soc=0.5, reversed_=True))
    assert plant.signal(Signal("cell_voltage", "1")) == pytest.approx(-3.75087, abs=1e-5)
    hold(terminal, 4.2, source_a=5.0)
    plant.advance(360.0)
    assert terminal.current_a == 5.0
    assert terminal.voltage_v < -3.0
    totals = plant.totals("1")
    assert totals.charged_ah == 0.0
    assert totals.discharged_ah == pytest.approx(0.5)


def test_totals_integrate_what_the_terminals_show() -> None:
    """Sums over readings each 0.25 s through CC and CV agree with the plant's totals."""
    plant, terminal = energised(cell_spec("nmc-21700", soc=0.6))
    hold(terminal, 4.1, source_a=5.0)
    charge = energy = 0.0
    for quarter in range(1, 4 * 1500):
        middle_s = (quarter - 0.5) / 4
        plant.advance(middle_s)
        charge += terminal.current_a * 0.25 / 3600
        energy += terminal.current_a * terminal.voltage_v * 0.25 / 3600
        plant.advance(quarter / 4)
    totals = plant.totals("1")
    assert terminal.current_a < 4.0
    assert totals.charged_ah == pytest.approx(charge, rel=1e-9)
    assert totals.charged_wh == pytest.approx(energy, rel=1e-6)
    assert totals.discharged_ah == 0.0
    assert totals.peak_surface_c > 27.0


@pytest.mark.parametrize("wrong", [{"voltage_v": float("nan")}, {"source_a": -1.0}, {"sink_w": -1.0}])
def test_impossible_set_values_are_refused(wrong: dict[str, float]) -> None:
    terminal = Plant(scene(cell_spec("nmc-25ah"))).terminal("1")
    values = {"voltage_v": 1.0, "source_a": 1.0, "sink_a": 1.0, "source_w": 1.0, "sink_w": 1.0} | wrong
    with pytest.raises(ValueError, match="finite and not negative"):
        terminal.regulate(on=True, **values)
