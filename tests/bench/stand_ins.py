"""Driver models that only answer what binding asks, with the numbers of the makers' manuals; no driver behind them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.binding.points import Models
from drivers.capabilities import Device, DeviceKind, DeviceSettings, DriverModel, OnCommLoss, PointKind, Span

DEMO = Path(__file__).parents[2] / "examples" / "benches" / "demo.toml"
CELLS = Path(__file__).parents[2] / "examples" / "cells"


def _no_device(_: DeviceSettings) -> Device:
    raise AssertionError("binding made a device")


def _cycler_spans(rating: Mapping[str, float]) -> Mapping[str, Span]:
    # Replies such as "48.00V" have steps of 10 mV; the maker advises against the lowest 10 % (PSB 9000 manual).
    volts, amps, watts = rating["voltage_v"], rating["current_a"], rating["power_w"]
    return {
        "voltage_v": Span(0.0, volts, 0.01, usable_from=0.1 * volts),
        "current_a": Span(-amps, amps, 0.01, usable_from=0.1 * amps),
        "power_w": Span(-watts, watts, 1.0),
    }


CYCLER = DriverModel(
    name="ea-psb10000",
    title="cycler",
    kind=DeviceKind.CYCLER,
    schemes=("tcp", "visa"),
    points={"out": PointKind.TERMINAL},
    rating_keys=("voltage_v", "current_a", "power_w"),
    min_poll_s=0.05,
    on_comm_loss=OnCommLoss.DEVICE_WATCHDOG,
    evidence="none",
    spans=_cycler_spans,
    create=_no_device,
    watchdog_max_s=36000.0,
)
CHAMBER = replace(
    CYCLER,
    name="espec-p300",
    kind=DeviceKind.CHAMBER,
    schemes=("serial",),
    points={"air": PointKind.AIR},
    rating_keys=("low_c", "high_c"),
    min_poll_s=0.5,
    on_comm_loss=OnCommLoss.DEVICE_LIMITS,
    spans=lambda rating: {"temperature_c": Span(rating["low_c"], rating["high_c"], 0.1)},
    watchdog_max_s=None,
)
THERMOCOUPLES = replace(
    CHAMBER,
    name="icpdas-m-7018",
    kind=DeviceKind.INPUTS,
    schemes=("modbus-rtu",),
    points={f"ai{number}": PointKind.TEMPERATURE for number in range(8)},
    rating_keys=(),
    min_poll_s=0.8,
    on_comm_loss=OnCommLoss.NONE,
    spans=lambda _: {"temperature_c": Span(-270.0, 1372.0, 0.1)},
)
VOLTS = replace(
    THERMOCOUPLES,
    name="icpdas-m-7017",
    points={f"ai{number}": PointKind.VOLTAGE for number in range(8)},
    spans=lambda _: {"voltage_v": Span(-5.0, 5.0, 0.001)},
)
SWITCHES = replace(
    CYCLER,
    name="icpdas-m-7002",
    kind=DeviceKind.SWITCHES,
    schemes=("modbus-rtu",),
    points={f"di{number}": PointKind.INPUT for number in range(5)}
    | {f"do{number}": PointKind.OUTPUT for number in range(4)},
    rating_keys=(),
    min_poll_s=0.1,
    spans=lambda _: {},
    watchdog_max_s=25.5,  # one register of 0.1 s, 8 bits
)
RIG: DriverModel = replace(
    CYCLER,
    name="penetration-rig",
    kind=DeviceKind.RIG,
    schemes=("modbus-tcp",),
    points={"nail": PointKind.ACTUATOR},
    rating_keys=("stroke_mm", "speed_mm_s", "force_n"),
    spans=lambda rating: {
        "position_mm": Span(0.0, rating["stroke_mm"], 0.001),
        "speed_mm_s": Span(0.0, rating["speed_mm_s"], 0.001),
        "force_n": Span(0.0, rating["force_n"], 0.1),
    },
    watchdog_max_s=None,
    with_profile=lambda text, _: replace(RIG, points={**RIG.points, **_points(text)}),
)
POINT_LIST: DriverModel = replace(
    SWITCHES,
    name="modbus-points",
    schemes=("modbus-tcp", "modbus-rtu"),
    points={},
    spans=lambda _: {"pressure_kpa": Span(0.0, 655.34, 0.01)},  # u16 in steps of 0.01, the last code being invalid
    watchdog_max_s=25.0,
    with_profile=lambda text, _: replace(POINT_LIST, points=_points(text)),
)
ALL = (CYCLER, CHAMBER, THERMOCOUPLES, VOLTS, SWITCHES, RIG, POINT_LIST)


def _points(profile: str) -> dict[str, PointKind]:
    """The points of a profile with their kinds, whatever else stands there."""
    return {name: PointKind(point["kind"]) for name, point in tomllib.loads(profile)["points"].items()}


def models(*changed: DriverModel) -> Models:
    """All of these models, those given instead of the ones of their name."""
    known = {model.name: model for model in (*ALL, *changed)}

    def model(name: str, _: frozenset[str]) -> DriverModel:
        return known[name]

    return model


def edited(path: Path, *changes: tuple[str, str]) -> str:
    """The text of an example file with each change made once; a change that does not apply is a slip in the test."""
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{old!r} does not stand in {path.name}"
        text = text.replace(old, new, 1)
    return text
