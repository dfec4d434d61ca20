"""Several places in one chamber, and a cell that is put in while the bench stands."""

from __future__ import annotations

import pytest

from simulators.plant.plant import Plant
from simulators.spec import CellSpec, ChannelSpec, PlaceSpec, SceneSpec, Signal

CELL = CellSpec("nmc-21700", mass_kg=0.07, thickness_mm=21.0, start_soc=0.5)


def plant() -> Plant:
    places = (PlaceSpec("top", chamber="ch1"), PlaceSpec("low", chamber="ch1"), PlaceSpec("bench"))
    channels = (ChannelSpec("1", "top", CELL), ChannelSpec("2", "low", None))
    made = Plant(SceneSpec((), places, channels))
    made.advance(0.0)
    return made


def test_shelves_share_air_and_detectors_and_each_has_its_own_cell() -> None:
    made = plant()
    made.chamber("top").setpoint_c, made.chamber("top").running = 60.0, True
    made.advance(6 * 3600.0)
    assert made.chamber("low") is made.chamber("top")
    air = [made.signal(Signal("air", name)) for name in ("top", "low", "bench")]
    assert air == pytest.approx([60.0, 60.0, 23.0], abs=0.5)
    made.insert("2", CELL, seed=1)  # as warm as the air it stands in
    made.set_input("low", "smoke", 0.0)
    assert made.signal(Signal("smoke", "top")) == 0.0
    made.contactor("2", closed=True)
    on = {"voltage_v": 2.5, "source_a": 0.0, "sink_a": 10.0, "source_w": 1e3, "sink_w": 1e3}
    made.terminal("2").regulate(on=True, **on)
    made.advance(6 * 3600.0 + 300.0)
    idle, loaded = (made.signal(Signal("surface", name)) for name in ("top", "low"))
    assert idle == pytest.approx(60.0, abs=0.5)
    assert loaded > idle + 1.0  # 10 A heat a 5 Ah cell


def test_a_new_cell_begins_anew_and_nobody_changes_one_under_voltage() -> None:
    made = plant()
    made.contactor("1", closed=True)
    on = {"voltage_v": 2.5, "source_a": 0.0, "sink_a": 3.6, "source_w": 1e3, "sink_w": 1e3}
    made.terminal("1").regulate(on=True, **on)
    made.advance(100.0)
    assert made.totals("1").discharged_ah == pytest.approx(0.1, rel=0.02)
    with pytest.raises(ValueError, match="closed"):
        made.insert("1", CELL, seed=1)
    made.terminal("1").regulate(on=False, voltage_v=0.0, source_a=0.0, sink_a=0.0, source_w=0.0, sink_w=0.0)
    made.contactor("1", closed=False)
    made.insert("1", CELL, seed=1)
    assert made.totals("1").discharged_ah == 0.0
    full_v = made.terminal("1").cell_voltage_v
    assert 3.0 < full_v < 4.2
    made.insert("1", None, seed=1)
    made.advance(101.0)
    assert made.terminal("1").cell_voltage_v == 0.0
