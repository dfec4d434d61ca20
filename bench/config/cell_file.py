"""The cell file: a type of cell, its limits and how it is charged. docs/cell-file.md tells it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bench.config.loading import Document, Strict, read_document
from bench.config.quantities import (
    Charge,
    CurrentPerRated,
    EnergyDensity,
    Length,
    Mass,
    RatedCurrent,
    Ratio,
    Temperature,
    TemperatureRate,
    Voltage,
    VoltageRate,
    matching,
    quantity,
)
from drivers import ConfigError, Dimension, Fault, UnitError, parse_as
from drivers.toml_text import parse, read_text

KIND, VERSION = "cell", 1

CellType = Annotated[str, matching(r"[a-z0-9][a-z0-9-]*", "a cell type", '"nmc-25ah"')]


class Dimensions(Strict):
    """Outer size: length, width and thickness, or diameter and length of a round cell."""

    length_mm: Length = Field(alias="length", examples=['"300 mm"'])
    width_mm: Length | None = Field(default=None, alias="width", examples=['"100 mm"'])
    thickness_mm: Length | None = Field(default=None, alias="thickness", examples=['"12 mm"'])
    diameter_mm: Length | None = Field(default=None, alias="diameter", examples=['"21 mm"'])


class ChargeMethod(Strict):
    """How the maker charges it; what ``cell.charge_*`` means in a sequence."""

    method: Literal["cccv"] = Field(examples=['"cccv"'])
    current_a: RatedCurrent = Field(alias="current", examples=['"1 I3"'])
    voltage_v: Voltage = Field(alias="voltage", examples=['"4.3 V"'])
    end_current_a: RatedCurrent = Field(alias="end_current", examples=['"0.05 I1"'])


class VoltageWindow(Strict):
    low_v: Voltage = Field(alias="low", examples=['"2.5 V"'])
    high_v: Voltage = Field(alias="high", examples=['"4.3 V"'])


class TemperatureWindow(Strict):
    low_c: Temperature = Field(alias="low", examples=['"-10 degC"'])
    high_c: Temperature = Field(alias="high", examples=['"60 degC"'])


class OperatingLimits(Strict):
    """The sample's own limits: conditioning stays inside."""

    voltage: VoltageWindow = Field(examples=['{ low = "2.5 V", high = "4.3 V" }'])
    charge_current_a: RatedCurrent = Field(alias="charge_current", examples=['"60 A"'])
    discharge_current_a: RatedCurrent = Field(alias="discharge_current", examples=['"120 A"'])
    temperature: TemperatureWindow = Field(examples=['{ low = "-10 degC", high = "60 degC" }'])


class AbuseTemperature(Strict):
    high_c: Temperature = Field(alias="high", examples=['"900 degC"'])


class AbuseLimits(Strict):
    """Ceilings that a person agreed to, for the stimulus of a ``class: abuse`` sequence."""

    voltage: VoltageWindow = Field(examples=['{ low = "0 V", high = "6.45 V" }'])
    charge_current_a: RatedCurrent = Field(alias="charge_current", examples=['"60 A"'])
    discharge_current_a: RatedCurrent = Field(alias="discharge_current", examples=['"600 A"'])
    temperature: AbuseTemperature = Field(examples=['{ high = "900 degC" }'])


class CellSimulation(Strict):
    """What stands in for the cell in a simulated run, and how it differs from its preset.

    Bare numbers are meant here: ratios, or a key that names its unit.
    """

    preset: str = Field(min_length=1, examples=['"solid-state-gen1"'])
    start_soc: Annotated[Ratio, Field(ge=0, le=1)] = Field(default=0.3, examples=['"40 %"'])
    capacity_factor: float = Field(default=1.0, gt=0, le=2, description="real charge over the preset's")
    current_gain_error: float = Field(default=0.0, ge=-0.5, le=0.5, description="of the cycler's current reading")
    short_resistance_ohm: float | None = Field(default=None, gt=0, description="of the short that a nail makes")
    ignites: bool | None = Field(default=None, description="whether vented gas catches fire; unset: the seed decides")
    reversed: bool = Field(default=False, description="leads swapped")
    missing: bool = Field(default=False, description="no cell in the place")


class CellFile(Document):
    """A type of cell. ``mass_kg`` is nominal: a live run uses the sample's weighed mass."""

    type: CellType = Field(examples=['"nmc-25ah"'])
    title: str = Field(min_length=1, max_length=200, examples=['"NMC prismatic cell, 25 Ah"'])
    maker: str = Field(default="", max_length=200)
    chemistry: str = Field(default="", max_length=200)
    rated_capacity_ah: Charge = Field(alias="rated_capacity", examples=['"60 Ah"'])
    rated_at_i1: CurrentPerRated = Field(alias="rated_at", description="the current of the rating", examples=['"1 I3"'])
    energy_type: Literal["high_energy", "high_power"] = Field(examples=['"high_energy"'])
    claimed_energy_density_wh_kg: EnergyDensity | None = Field(
        default=None, alias="claimed_energy_density", examples=['"300 Wh/kg"']
    )
    mass_kg: Mass = Field(
        alias="mass", description="the nominal mass: energy density needs it", examples=['"0.800 kg"']
    )
    dimensions: Dimensions = Field(examples=['{ length = "300 mm", width = "100 mm", thickness = "12 mm" }'])
    fixture: str = Field(default="", max_length=200)
    fixture_pressure_kpa: Annotated[float, Field(ge=0), quantity(Dimension.PRESSURE)] | None = Field(
        default=None, alias="fixture_pressure", examples=['"0.3 MPa"']
    )
    charge: ChargeMethod = Field(description="a table [charge]")
    operating: OperatingLimits = Field(description="a table [operating]")
    max_rate_v_s: VoltageRate | None = Field(
        default=None, description="how fast its voltage may change at worst", examples=['"20 mV/s"']
    )
    max_rate_k_s: TemperatureRate | None = Field(
        default=None, description="how fast it may warm at worst, before anything runs away", examples=['"0.5 K/s"']
    )
    abuse: AbuseLimits | None = Field(default=None)
    simulation: CellSimulation | None = Field(default=None)


def load_cell(path: str | Path) -> CellFile:
    """Read a cell file. Raises ConfigError with every fault: first those of single values, then of their relations."""
    return read_cell(read_text(Path(path), "cell file"), str(path))


def read_cell(text: str, where: str) -> CellFile:
    """As :func:`load_cell`, from text."""
    document, _ = parse(text, where)
    cell = read_document(text, where, CellFile, KIND, VERSION, context={"rated_capacity_ah": _rated_ah(document)})
    faults = _relations(cell)
    if faults:
        raise ConfigError(faults)
    return cell


def _rated_ah(document: dict[str, Any]) -> float | None:
    """The rated capacity that "1 I3" refers to; None if the file has none, which is a fault of its own."""
    try:
        return parse_as(str(document.get("rated_capacity")), Dimension.CHARGE)
    except UnitError:
        return None


def _relations(cell: CellFile) -> list[Fault]:
    """Limits in their order, and every inner one inside its outer."""
    faults: list[Fault] = []

    def need(fine: object, error: str, fix: str, *path: str) -> None:
        if not fine:
            faults.append(Fault(error, cell.where(*path), fix))

    charge, operating, abuse = cell.charge, cell.operating, cell.abuse
    volts, warmth = operating.voltage, operating.temperature
    need(
        volts.low_v < volts.high_v,
        "operating voltage: low is not below high",
        "swap or correct them",
        "operating",
        "voltage",
    )
    need(
        volts.low_v > 0,
        "operating voltage: a cell does not operate at 0 V or below",
        "give its cut-off voltage",
        "operating",
        "voltage",
    )
    need(
        warmth.low_c < warmth.high_c,
        "operating temperature: low is not below high",
        "swap or correct them",
        "operating",
        "temperature",
    )
    need(
        volts.low_v < charge.voltage_v <= volts.high_v,
        f"the charge voltage {charge.voltage_v:g} V is not within the operating voltage "
        f"{volts.low_v:g} to {volts.high_v:g} V",
        "lower the charge voltage, or correct the operating limit if the maker's data allow it",
        "charge",
        "voltage",
    )
    need(
        charge.current_a <= operating.charge_current_a,
        f"the charge current {charge.current_a:g} A is looser than the operating limit "
        f"{operating.charge_current_a:g} A",
        "lower the charge current, or correct the operating limit if the maker's data allow it",
        "charge",
        "current",
    )
    need(
        charge.end_current_a < charge.current_a,
        f"the charge would end at once: end_current {charge.end_current_a:g} A is not below "
        f"current {charge.current_a:g} A",
        'give a smaller end_current, for example "0.05 I1"',
        "charge",
        "end_current",
    )
    if abuse is not None:
        pairs = (
            ("voltage", abuse.voltage.high_v >= volts.high_v and abuse.voltage.low_v <= volts.low_v),
            ("charge_current", abuse.charge_current_a >= operating.charge_current_a),
            ("discharge_current", abuse.discharge_current_a >= operating.discharge_current_a),
            ("temperature", abuse.temperature.high_c >= warmth.high_c),
        )
        for key, fine in pairs:
            need(
                fine,
                f"the abuse ceiling of {key} is inside the operating limit",
                "an abuse ceiling is never tighter",
                "abuse",
                key,
            )
    size = cell.dimensions
    need(
        size.diameter_mm is not None or (size.width_mm is not None and size.thickness_mm is not None),
        "dimensions: neither width and thickness nor diameter is given",
        'add width = "100 mm", thickness = "12 mm", or diameter = "21 mm" for a round cell',
        "dimensions",
    )
    return faults
