"""What the cell file, the sample and the parameters are worth under the names that expressions use."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping

from bench.binding.faults import Findings
from bench.binding.shapes import BoundParameter
from bench.config import CellFile
from bench.entering import bounds_of
from drivers import BASE, Dimension
from drivers.units import UnitError, parse_as
from sequences.expressions import Expression, ExpressionError, MissingValueError, as_expression
from sequences.language import Confirm, Entry, Parameter, Sequence
from sequences.names import CELL
from sequences.tree import walk_steps

Values = dict[str, float]

#: m/s2, the CGPM's standard value of 1901 (ISO 80000-3): what a sample of 1 kg weighs in newtons.
STANDARD_GRAVITY = 9.80665


def cell_values(cell: CellFile, mass_kg: float) -> Values:
    """The ``cell.*`` names and ``run.sample_mass``. A claim that the file does not make is NaN: never a number.

    ``cell.weight`` is that of the run's sample; the thickness of a round cell is its diameter.
    """
    claim = cell.claimed_energy_density_wh_kg
    inner, size = cell.operating, cell.dimensions
    thickness_mm = size.thickness_mm if size.thickness_mm is not None else size.diameter_mm
    return {
        "cell.rated_capacity": cell.rated_capacity_ah,
        "cell.charge_voltage": cell.charge.voltage_v,
        "cell.charge_current": cell.charge.current_a,
        "cell.charge_end_current": cell.charge.end_current_a,
        "cell.v_min": inner.voltage.low_v,
        "cell.v_max": inner.voltage.high_v,
        "cell.max_charge_current": inner.charge_current_a,
        "cell.max_discharge_current": inner.discharge_current_a,
        "cell.t_min": inner.temperature.low_c,
        "cell.t_max": inner.temperature.high_c,
        "cell.mass": cell.mass_kg,
        "cell.weight": mass_kg * STANDARD_GRAVITY,
        "cell.thickness": math.nan if thickness_mm is None else thickness_mm,
        "cell.claimed_energy_density": math.nan if claim is None else claim,
        "run.sample_mass": mass_kg,
    }


def worth(expression: Expression, values: Mapping[str, float]) -> float | None:
    """What an expression comes to before the run; None if it needs something that only the run brings."""
    try:
        return expression.evaluate(values)
    except MissingValueError:
        return None


def bind_parameters(
    sequence: Sequence, overrides: Mapping[str, str], values: Values, findings: Findings
) -> tuple[BoundParameter, ...]:
    """The parameters of this run; adds ``param.*`` to ``values``. Overrides are as written after ``--set``."""
    known = sequence.parameters
    for name in overrides:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            fix = f"{hint}parameters of {sequence.id}: {', '.join(known) or 'none'}"
            findings.fault(f"{sequence.id} has no parameter {name!r}", f"--set {name}", fix)
    bound = [
        _parameter(sequence, name, parameter, overrides.get(name), values, findings)
        for name, parameter in known.items()
    ]
    return tuple(parameter for parameter in bound if parameter is not None)


def _parameter(
    sequence: Sequence, name: str, parameter: Parameter, written: str | None, values: Values, findings: Findings
) -> BoundParameter | None:
    where = f"--set {name}" if written is not None else f"{sequence.id}: parameter {name}"
    kind, expression = parameter.default.kind, parameter.default
    if written is not None:
        try:
            expression = as_expression(written).settled(CELL)
        except ExpressionError as error:
            findings.fault(f"{written!r}: {error.error}", where, error.fix)
            return None
        if expression.kind is not kind and kind is not None:
            got = (expression.kind or Dimension.NUMBER).value
            fix = f"write it as the default is written: {parameter.default}"
            findings.fault(f"{written!r} is a {got}, wanted a {kind.value}", where, fix)
            return None
    value = worth(expression, values)
    if value is None or math.isnan(value):
        fix = "a parameter is a quantity, or made from what the cell file says"
        findings.fault(f"{expression} comes to no number before the run", where, fix)
        return None
    values[f"param.{name}"] = value
    unit = BASE[kind] if kind is not None else ""
    for bound, is_least in ((parameter.at_least, True), (parameter.at_most, False)):
        limit = None if bound is None else worth(bound, values)
        if limit is not None and (value < limit * (1 - 1e-12) if is_least else value > limit * (1 + 1e-12)):
            side = "at least" if is_least else "at most"
            text = f"{name} = {value:g} {unit} is outside what {sequence.id} allows: {side} {limit:g} {unit}"
            findings.fault(text.replace("  ", " "), where, f"give a value of {side} {bound}")
    return BoundParameter(name, value, unit, str(expression), overridden=written is not None)


def entries_of(sequence: Sequence) -> tuple[Entry, ...]:
    """What an operator will be asked to enter, in order, each name once."""
    found = {
        entry.name: entry
        for _, step in walk_steps(sequence.steps)
        if isinstance(step, Confirm)
        for entry in step.entries
    }
    return tuple(found.values())


def simulated_entries(
    written: Mapping[str, str], entries: tuple[Entry, ...], where: str, findings: Findings, *, wanted: bool
) -> dict[str, float | str]:
    """What the bench file's simulated operator enters for these, numbers in base units."""
    found: dict[str, float | str] = {}
    for entry in entries:
        text = written.get(entry.name)
        if text is None:
            if wanted:
                findings.warn(
                    f"the simulated operator has no answer for {entry.name}: [simulation.operator] in {where}"
                )
        elif entry.text or entry.example is None:
            found[entry.name] = text
        else:
            try:
                value = found[entry.name] = parse_as(text, entry.example.kind or Dimension.NUMBER)
                why = bounds_of(entry).refuse(value)
                if why is not None:
                    raise UnitError(f"{text}: {why}")
            except UnitError as error:
                fix = f'write {entry.name} = "{entry.example}"'
                findings.fault(f"simulation.operator.{entry.name}: {error}", where, fix)
    return found
