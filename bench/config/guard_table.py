"""``[guard]`` of a bench file: how patient each limit is, what warns or stops before it trips, and the other rules.

Everything has a default with which a file that says nothing means what its limits say: one reading outside trips.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bench.config.loading import Strict
from bench.config.quantities import Ratio, Resistance, TemperatureRate, Time, VoltageRate, refuse
from drivers import Quantity, UnitError, parse_quantity

#: The limits whose tier and patience a file may set. Interlocks and detectors trip at once, always.
LimitName = Literal[
    "sample.voltage",
    "sample.cell_voltage",
    "sample.current",
    "sample.temperature",
    "bench.voltage",
    "bench.cell_voltage",
    "bench.current",
    "bench.place_temperature",
    "bench.chamber_temperature",
    "bench.surface_temperature",
    "bench.pressure",
]
#: More readings than this would be a filter, not a debounce.
MOST_READINGS = 10


def _distance(value: object) -> Quantity:
    if not isinstance(value, str):
        raise refuse(f"{value!r} has no unit", 'write it as "5 K", in the unit of the limit')
    try:
        return parse_quantity(value)
    except UnitError as error:
        raise refuse(str(error), 'write it as "5 K", in the unit of the limit') from None


def _count(value: object) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]?) of ([1-9][0-9]?)", value) if isinstance(value, str) else None
    if match is None:
        raise refuse(f"{value!r} is no count of readings", 'write it as "2 of 3"')
    hits, of = int(match[1]), int(match[2])
    if not hits <= of <= MOST_READINGS:
        raise refuse(f"{value!r}: at most as many as there are, of at most {MOST_READINGS}", 'write it as "2 of 3"')
    return hits, of


#: How far inside (or back inside) a limit, in whatever unit the limit has; binding compares them.
Distance = Annotated[Quantity, BeforeValidator(_distance)]


class Patience(Strict):
    """One limit: ``warn`` and ``stop`` are distances inside it, ``readings`` and ``delay`` what it waits for."""

    warn: Distance | None = Field(default=None, examples=['"5 K"'])
    stop: Distance | None = Field(default=None, examples=['"2 K"'])
    hysteresis: Distance | None = Field(default=None, examples=['"1 K"'])
    delay_s: Time | None = Field(default=None, alias="delay", examples=['"1 s"'])
    readings: Annotated[tuple[int, int], BeforeValidator(_count)] = Field(default=(1, 1), examples=['"2 of 3"'])


class GuardTable(Strict):
    """The rules beyond plain limits. A rate is that of the sample in conditioning; ``charge`` and ``time`` are parts of
    the rated capacity and of the run's estimated time."""

    temperature_rate_k_s: TemperatureRate = Field(default=1.0, alias="temperature_rate", examples=['"1 K/s"'])
    voltage_rate_v_s: VoltageRate | None = Field(default=None, alias="voltage_rate", examples=['"50 mV/s"'])
    rate_window_s: Time = Field(default=3.0, alias="rate_window", examples=['"3 s"'])
    lead_ohm: Resistance = Field(default=2e-3, alias="lead_resistance", examples=['"2 mohm"'])
    charge: Annotated[Ratio, Field(ge=1, le=10)] = Field(default=1.3, examples=['"130 %"'])
    stimulus_charge: Annotated[Ratio, Field(ge=1, le=10)] = Field(default=2.5, examples=['"250 %"'])
    time: Annotated[Ratio, Field(ge=1, le=100)] = Field(default=3.0, examples=['"300 %"'])
    limits: dict[LimitName, Patience] = Field(default_factory=dict, description='one [guard.limits."RULE"] each')
