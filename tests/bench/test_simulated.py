"""A bench file as a simulated bench: every wire of the demonstration bench ends where its comment says it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.config import load_cell, read_bench
from bench.shipped import examples
from bench.simulated import lone_spec, scene_spec
from drivers import ConfigError
from drivers.profiles import builtin
from simulators.spec import DeviceSpec, SceneSpec, Signal

TEXT = (examples() / "benches" / "demo.toml").read_text()
CELL = load_cell(examples() / "cells" / "nmc-25ah.toml")


def spec_of(text: str = TEXT) -> SceneSpec:
    return scene_spec(read_bench(text, "demo.toml"), CELL, channel="1", mass_kg=0.5, seed=3)


def device(spec: SceneSpec, name: str) -> DeviceSpec:
    return next(device for device in spec.devices if device.name == name)


def test_thermocouples_are_told_apart_by_place_and_by_distance() -> None:
    assert device(spec_of(), "th1").points == {
        "ai0": Signal("surface", "chamber1", index=0),
        "ai1": Signal("surface", "chamber1", index=1),
        "ai2": Signal("surface", "chamber1", index=2),
        "ai3": Signal("air", "chamber1"),
        "ai4": Signal("surface", "rig1", index=0),
        "ai5": Signal("surface", "rig1", index=1),
        "ai6": Signal("surface", "rig1", index=2),
        "ai7": Signal("air", "rig1"),
    }


def test_the_channel_has_a_contactor_and_a_voltage_input_at_each_place() -> None:
    spec = spec_of()
    assert device(spec, "v1").points == {"ai0": Signal("cell_voltage", "1"), "ai1": Signal("cell_voltage", "1", "rig1")}
    assert device(spec, "io1").points == {
        "do0": Signal("contactor", "1"),
        "di0": Signal("feedback", "1"),
        "di1": Signal("door_closed", "chamber1"),
        "di2": Signal("estop_released", "chamber1"),
        "di3": Signal("smoke", "chamber1"),
        "di4": Signal("flame", "chamber1"),
    }
    assert device(spec, "io2").points == {
        "sample": Signal("contactor", "1", "rig1"),
        "sample_closed": Signal("feedback", "1", "rig1"),
        "short": Signal("short", "1", "rig1"),
        "short_closed": Signal("short_feedback", "1", "rig1"),
        "exhaust": Signal("exhaust", "rig1"),
        "pressure": Signal("pressure", "rig1"),
        "exhaust_flow": Signal("exhaust_flow", "rig1"),
        "smoke_clear": Signal("smoke", "rig1"),
        "flame_clear": Signal("flame", "rig1"),
        "gas_clear": Signal("gas", "rig1"),
    }
    (channel,) = spec.channels
    assert (channel.place, channel.reaches) == ("chamber1", ("rig1",))


def test_the_rig_presses_in_its_place_and_reads_its_doors() -> None:
    spec = spec_of()
    rig = device(spec, "rig")
    assert rig.place == "rig1"
    assert rig.points == {
        "door_closed": Signal("door_closed", "rig1"),
        "door_locked": Signal("door_locked", "rig1"),
        "estop_released": Signal("estop_released", "rig1"),
    }
    assert {(place.name, place.chamber, place.rig) for place in spec.places} == {
        ("chamber1", "ch1", None),
        ("rig1", None, "rig"),
    }


def test_a_device_with_a_profile_is_handed_its_text() -> None:
    spec = spec_of()
    assert device(spec, "rig").profile == builtin("reference")
    assert device(spec, "io2").profile == builtin("rig1-points")
    assert device(spec, "io2").profile_where
    assert [entry.name for entry in spec.devices if entry.profile is None] == ["psb", "io1", "ch1", "th1", "v1"]


def test_a_heater_is_wired_and_a_detector_that_no_simulator_has_is_refused() -> None:
    heated = re.sub(r'(?m)^pressure = "io2.pressure"', 'pressure = "io2.pressure"\nheater = "io2.heater"', TEXT)
    assert device(spec_of(heated), "io2").points["heater"] == Signal("heater", "rig1")
    curtain = TEXT.replace(
        'door_locked = "rig.door_locked"', 'door_locked = "rig.door_locked"\nlight_curtain_clear = "rig.curtain"'
    )
    with pytest.raises(ConfigError, match="light_curtain_clear"):
        spec_of(curtain)


def test_a_lone_rig_has_a_sample_and_a_profile_of_choice(tmp_path: Path) -> None:
    spec = lone_spec("penetration-rig", "tcp://127.0.0.1:5020", CELL, seed=1)
    (rig,) = spec.devices
    (place,) = spec.places
    assert (rig.scheme, rig.profile, rig.place) == ("modbus-tcp", builtin("reference"), place.name)
    assert place.rig == rig.name
    assert spec.channels[0].cell is not None
    page = tmp_path / "mine.toml"
    page.write_text(builtin("rig1-points").replace("rig1-points", "mine"))
    (points,) = lone_spec("modbus-points", "tcp://127.0.0.1:5021", CELL, seed=1, profile=str(page)).devices
    assert points.profile == page.read_text()
    with pytest.raises(ConfigError, match="no register profile"):
        lone_spec("icpdas-m-7018", "pty:/tmp/th1", CELL, seed=1, profile="reference")
