"""Quantities as people write them ("2.5 A", "45 min", "1 I3", "3 %") to floats in this project's base units.

The closed table below is all there is; nothing inside the program carries a unit object, only a name that ends in
the base unit (``voltage_v``, ``time_s``, ``speed_mm_s``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum


class Dimension(StrEnum):
    """What a quantity is. The value is how a message names it."""

    NUMBER = "number"
    VOLTAGE = "voltage"
    CURRENT = "current"
    CURRENT_PER_RATED = "current per rated capacity"  # I1, I3, C: amperes per rated ampere-hour
    POWER = "power"
    RESISTANCE = "resistance"
    CHARGE = "charge"
    ENERGY = "energy"
    TIME = "time"
    TEMPERATURE = "temperature"
    TEMPERATURE_CHANGE = "temperature change"
    TEMPERATURE_RATE = "temperature rate"
    VOLTAGE_RATE = "voltage rate"
    MASS = "mass"
    LENGTH = "length"
    SPEED = "speed"
    FORCE = "force"
    PRESSURE = "pressure"
    ANGLE = "angle"
    ENERGY_DENSITY = "energy density"


@dataclass(frozen=True, slots=True)
class Unit:
    """value in base unit = written value * scale + offset"""

    dimension: Dimension
    scale: float = 1.0
    offset: float = 0.0


#: The base unit of each dimension, as printed.
BASE: dict[Dimension, str] = {
    Dimension.NUMBER: "",
    Dimension.VOLTAGE: "V",
    Dimension.CURRENT: "A",
    Dimension.CURRENT_PER_RATED: "I1",
    Dimension.POWER: "W",
    Dimension.RESISTANCE: "ohm",
    Dimension.CHARGE: "Ah",
    Dimension.ENERGY: "Wh",
    Dimension.TIME: "s",
    Dimension.TEMPERATURE: "degC",
    Dimension.TEMPERATURE_CHANGE: "K",
    Dimension.TEMPERATURE_RATE: "K/s",
    Dimension.VOLTAGE_RATE: "V/s",
    Dimension.MASS: "kg",
    Dimension.LENGTH: "mm",
    Dimension.SPEED: "mm/s",
    Dimension.FORCE: "N",
    Dimension.PRESSURE: "kPa",
    Dimension.ANGLE: "deg",
    Dimension.ENERGY_DENSITY: "Wh/kg",
}

UNITS: dict[str, Unit] = {
    "%": Unit(Dimension.NUMBER, 0.01),
    "V": Unit(Dimension.VOLTAGE),
    "mV": Unit(Dimension.VOLTAGE, 1e-3),
    "A": Unit(Dimension.CURRENT),
    "mA": Unit(Dimension.CURRENT, 1e-3),
    # I1 is the current that empties the rated capacity in 1 h, I3 in 3 h (GB 38031-2025, 4.1); C is I1.
    "I1": Unit(Dimension.CURRENT_PER_RATED),
    "I2": Unit(Dimension.CURRENT_PER_RATED, 1 / 2),
    "I3": Unit(Dimension.CURRENT_PER_RATED, 1 / 3),
    "C": Unit(Dimension.CURRENT_PER_RATED),
    "W": Unit(Dimension.POWER),
    "kW": Unit(Dimension.POWER, 1e3),
    "ohm": Unit(Dimension.RESISTANCE),
    "mohm": Unit(Dimension.RESISTANCE, 1e-3),
    "Ah": Unit(Dimension.CHARGE),
    "mAh": Unit(Dimension.CHARGE, 1e-3),
    "Wh": Unit(Dimension.ENERGY),
    "kWh": Unit(Dimension.ENERGY, 1e3),
    "s": Unit(Dimension.TIME),
    "ms": Unit(Dimension.TIME, 1e-3),
    "min": Unit(Dimension.TIME, 60.0),
    "h": Unit(Dimension.TIME, 3600.0),
    "d": Unit(Dimension.TIME, 86400.0),
    "degC": Unit(Dimension.TEMPERATURE),
    "K": Unit(Dimension.TEMPERATURE_CHANGE),
    "K/s": Unit(Dimension.TEMPERATURE_RATE),
    "K/min": Unit(Dimension.TEMPERATURE_RATE, 1 / 60),
    "V/s": Unit(Dimension.VOLTAGE_RATE),
    "mV/s": Unit(Dimension.VOLTAGE_RATE, 1e-3),
    "mV/h": Unit(Dimension.VOLTAGE_RATE, 1e-3 / 3600),
    "kg": Unit(Dimension.MASS),
    "g": Unit(Dimension.MASS, 1e-3),
    "mm": Unit(Dimension.LENGTH),
    "um": Unit(Dimension.LENGTH, 1e-3),
    "cm": Unit(Dimension.LENGTH, 10.0),
    "m": Unit(Dimension.LENGTH, 1e3),
    "mm/s": Unit(Dimension.SPEED),
    "m/s": Unit(Dimension.SPEED, 1e3),
    "N": Unit(Dimension.FORCE),
    "kN": Unit(Dimension.FORCE, 1e3),
    "kPa": Unit(Dimension.PRESSURE),
    "Pa": Unit(Dimension.PRESSURE, 1e-3),
    "MPa": Unit(Dimension.PRESSURE, 1e3),
    "bar": Unit(Dimension.PRESSURE, 100.0),
    "deg": Unit(Dimension.ANGLE),
    "Wh/kg": Unit(Dimension.ENERGY_DENSITY),
}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%][A-Za-z0-9/%]*)?\s*\Z")


class UnitError(ValueError):
    """The text is not a quantity of the wanted dimension; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in the base unit of its dimension."""

    value: float
    dimension: Dimension


def parse_quantity(text: str) -> Quantity:
    """Read "4.2 V" or "45 min". Raises UnitError for anything else, a bare number included."""
    match = _QUANTITY.match(text)
    if match is None:
        raise UnitError(f"{text!r} is not a number with a unit, such as '4.2 V' or '45 min'")
    number, symbol = float(match[1]), match[2]
    if symbol is None:
        raise UnitError(f"{text!r} has no unit; write for example '{match[1]} V' or '{match[1]} s'")
    unit = UNITS.get(symbol)
    if unit is None:
        raise UnitError(f"unknown unit {symbol!r} in {text!r}; known units: {', '.join(UNITS)}")
    value = number * unit.scale + unit.offset
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is not a finite quantity")
    return Quantity(value, unit.dimension)


def parse_as(text: str, dimension: Dimension) -> float:
    """Read a quantity of one dimension and give its value in the base unit. Raises UnitError."""
    quantity = parse_quantity(text)
    if quantity.dimension is not dimension:
        raise UnitError(
            f"{text!r} is a {quantity.dimension.value}, wanted a {dimension.value}"
            + (f" such as '25 {BASE[dimension]}'" if BASE[dimension] else "")
        )
    return quantity.value


def unit_of(name: str) -> str:
    """The printed unit of a name that carries it: ``capacity_ah`` gives ``Ah``, ``psb.out.voltage_v`` gives ``V``."""
    for suffix, unit in _SUFFIXES:
        if name.endswith(suffix):
            return unit
    return ""


_SUFFIXES: tuple[tuple[str, str], ...] = (
    ("_wh_kg", "Wh/kg"),
    ("_mm_s", "mm/s"),
    ("_v_s", "V/s"),
    ("_k_s", "K/s"),
    ("_ohm", "ohm"),
    ("_kpa", "kPa"),
    ("_deg", "deg"),
    ("_ah", "Ah"),
    ("_wh", "Wh"),
    ("_kg", "kg"),
    ("_mm", "mm"),
    ("_v", "V"),
    ("_a", "A"),
    ("_w", "W"),
    ("_s", "s"),
    ("_c", "degC"),
    ("_k", "K"),
    ("_n", "N"),
)
