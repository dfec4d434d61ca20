"""How values are written in bench and cell files: a physical value is text with its unit, never a bare number.

Each type below is a float in the base unit of its dimension once read. A bare number is refused even where only one
unit would make sense: "4.2" and "4200" are both somebody's idea of the same voltage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from drivers import BASE, Dimension, UnitError, parse_as, parse_quantity

#: What a right value looks like, shown with every refusal.
EXAMPLE: Mapping[Dimension, str] = {
    Dimension.NUMBER: "5 %",
    Dimension.VOLTAGE: "4.2 V",
    Dimension.CURRENT: "2.5 A",
    Dimension.CURRENT_PER_RATED: "1 I3",
    Dimension.POWER: "5 kW",
    Dimension.RESISTANCE: "10 mohm",
    Dimension.CHARGE: "60 Ah",
    Dimension.ENERGY: "240 Wh",
    Dimension.TIME: "4 s",
    Dimension.TEMPERATURE: "25 degC",
    Dimension.TEMPERATURE_CHANGE: "2 K",
    Dimension.TEMPERATURE_RATE: "1 K/s",
    Dimension.VOLTAGE_RATE: "20 mV/s",
    Dimension.MASS: "0.800 kg",
    Dimension.LENGTH: "12 mm",
    Dimension.SPEED: "0.5 m/s",
    Dimension.FORCE: "100 N",
    Dimension.PRESSURE: "101 kPa",
    Dimension.ENERGY_DENSITY: "300 Wh/kg",
}

#: How a name inside the program ends for each dimension that a device rating may have.
SUFFIX: Mapping[Dimension, str] = {
    Dimension.VOLTAGE: "_v",
    Dimension.CURRENT: "_a",
    Dimension.POWER: "_w",
    Dimension.TEMPERATURE: "_c",
    Dimension.TEMPERATURE_CHANGE: "_k",
    Dimension.TIME: "_s",
    Dimension.LENGTH: "_mm",
    Dimension.SPEED: "_mm_s",
    Dimension.FORCE: "_n",
    Dimension.PRESSURE: "_kpa",
}


def refuse(error: str, fix: str) -> PydanticCustomError:
    """What a validator raises: the text of the fault and what to do about it."""
    return PydanticCustomError("refused", "{error}", {"error": error, "fix": fix})


def read_quantity(value: object, dimension: Dimension) -> float:
    """A written value of one dimension, in its base unit. Raises PydanticCustomError with a hint."""
    example = EXAMPLE.get(dimension, f"1 {BASE[dimension]}")
    if isinstance(value, str):
        try:
            return parse_as(value, dimension)
        except UnitError as error:
            raise refuse(str(error), f'write it as "{example}"') from None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        hint = f'write "{value} {BASE[dimension] or "%"}" if that is what is meant; for example "{example}"'
        raise refuse(f"{value} is a bare number; a {dimension.value} needs its unit", hint)
    raise refuse(f"{value!r} is not a {dimension.value}", f'write it as "{example}"')


def quantity(dimension: Dimension) -> BeforeValidator:
    return BeforeValidator(lambda value: read_quantity(value, dimension))


Voltage = Annotated[float, quantity(Dimension.VOLTAGE)]
Current = Annotated[float, Field(gt=0), quantity(Dimension.CURRENT)]
Time = Annotated[float, Field(gt=0), quantity(Dimension.TIME)]
Temperature = Annotated[float, Field(ge=-273.15), quantity(Dimension.TEMPERATURE)]
Charge = Annotated[float, Field(gt=0), quantity(Dimension.CHARGE)]
Mass = Annotated[float, Field(gt=0), quantity(Dimension.MASS)]
Length = Annotated[float, Field(gt=0), quantity(Dimension.LENGTH)]
Pressure = Annotated[float, Field(gt=0), quantity(Dimension.PRESSURE)]
EnergyDensity = Annotated[float, Field(gt=0), quantity(Dimension.ENERGY_DENSITY)]
VoltageRate = Annotated[float, Field(gt=0), quantity(Dimension.VOLTAGE_RATE)]
TemperatureRate = Annotated[float, Field(gt=0), quantity(Dimension.TEMPERATURE_RATE)]
Resistance = Annotated[float, Field(gt=0), quantity(Dimension.RESISTANCE)]
CurrentPerRated = Annotated[float, Field(gt=0), quantity(Dimension.CURRENT_PER_RATED)]


def _current_of_rated(value: object, info: ValidationInfo) -> float:
    """Amperes, from "20 A" or from "1 I3" by the rated capacity in the validation's context."""
    if isinstance(value, str):
        try:
            written = parse_quantity(value)
        except UnitError as error:
            raise refuse(str(error), 'write it as "20 A" or "1 I3"') from None
        if written.dimension is Dimension.CURRENT_PER_RATED:
            rated_ah = (info.context or {}).get("rated_capacity_ah")
            # Without a rated capacity the file is refused for that; this only keeps one slip from counting twice.
            return written.value * (rated_ah if rated_ah is not None else 1.0)
    return read_quantity(value, Dimension.CURRENT)


RatedCurrent = Annotated[float, Field(gt=0), BeforeValidator(_current_of_rated)]


def _ratio(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return read_quantity(value, Dimension.NUMBER)


Ratio = Annotated[float, BeforeValidator(_ratio)]


def _rating(value: object) -> dict[str, float]:
    """``{ voltage = "60 V", low = "-40 degC" }`` as ``{"voltage_v": 60.0, "low_c": -40.0}``."""
    if not isinstance(value, dict):
        raise refuse(f"{value!r} is not a table", 'write it as { voltage = "60 V", current = "170 A" }')
    rating: dict[str, float] = {}
    for key, written in value.items():
        if not isinstance(written, str):
            raise refuse(f"{key} = {written!r} has no unit", f'write {key} = "60 V", with the unit that it has')
        try:
            read = parse_quantity(written)
        except UnitError as error:
            raise refuse(f"{key}: {error}", f'write {key} = "60 V", with the unit that it has') from None
        if read.dimension not in SUFFIX:
            raise refuse(f"{key}: no device is rated by {read.dimension.value}", "give the rating as on its plate")
        rating[f"{key}{SUFFIX[read.dimension]}"] = read.value
    return rating


Rating = Annotated[dict[str, float], BeforeValidator(_rating)]


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


#: Lists of a TOML file become tuples.
AsTuple = BeforeValidator(_listed)


def matching(pattern: str, what: str, example: str) -> BeforeValidator:
    """A name by a strict pattern; whatever becomes a file or column name goes through one of these."""
    compiled: Callable[[str], Any] = re.compile(pattern).fullmatch

    def check(value: object) -> object:
        if not isinstance(value, str) or len(value) > 64 or not compiled(value):
            raise refuse(f"{value!r} is not {what}", f"write for example {example}")
        return value

    return BeforeValidator(check)
