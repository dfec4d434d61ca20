"""Every set value of a sequence against the cell, the bench and the devices, and what it will take.

What can be worked out before the run is checked before the run. The rest is checked by the engine at the step's start,
with the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench.binding.faults import Findings
from bench.binding.shapes import Window
from bench.binding.values import worth
from bench.config import Limits, TemperatureLimits
from drivers import Fault
from drivers.capabilities import Setpoints, Span
from sequences.expressions import Expression, whens
from sequences.language import (
    ChamberSet,
    Charge,
    Crush,
    Discharge,
    Heat,
    Hold,
    Measure,
    Observe,
    Penetrate,
    Phase,
    Rest,
    Retract,
    Sequence,
    Short,
    Soak,
    Step,
    Transfer,
)
from sequences.tree import numbered

#: Set values and limits are decimal text that went through floats.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that bounds a set value of this run at one place.

    By phase, ``windows`` is what the sample may be taken to and ``air`` what the place may.
    """

    cycler: str
    volts: Span
    amps: Span
    watts: Span
    chamber: str | None
    warmth: Span | None
    limits: Limits
    windows: Mapping[Phase, Window]
    air: Mapping[Phase, TemperatureLimits]

    def check(self, step: Step, setpoints: Setpoints | float, where: str) -> list[Fault]:
        """What is wrong with the set values of a step: of a terminal, or a chamber's temperature in degC."""
        if isinstance(setpoints, Setpoints) and isinstance(step, Charge | Discharge):
            return list(self._terminal(step, setpoints, where))
        if not isinstance(setpoints, Setpoints):
            return list(self._temperature(step, setpoints, where))
        return []

    def _terminal(self, step: Charge | Discharge, set_to: Setpoints, where: str) -> Iterator[Fault]:
        inside, charging = self.windows[step.phase], isinstance(step, Charge)
        current_a = set_to.source_current_a if charging else set_to.sink_current_a
        power_w = set_to.source_power_w if charging else set_to.sink_power_w
        largest_a = inside.charge_a if charging else inside.discharge_a
        way = step.kind
        yield from _within(
            f"the {way} voltage",
            set_to.voltage_v,
            "V",
            where,
            _Bound("the cell's limits", inside.low_v, inside.high_v),
            _Bound("the bench's limits", self.limits.cell_voltage.low_v, self.limits.cell_voltage.high_v),
            _Bound(f"the range of {self.cycler}", self.volts.low, self.volts.high),
        )
        yield from _within(
            f"the {way} current",
            current_a,
            "A",
            where,
            _Bound("the cell's limits", 0.0, largest_a),
            _Bound("the bench's limits", 0.0, self.limits.current_a),
            _Bound(f"the range of {self.cycler}", max(0.0, self.amps.low, self.amps.resolution), self.amps.high),
        )
        yield from _within(
            f"the {way} power",
            power_w,
            "W",
            where,
            _Bound(f"the range of {self.cycler}", max(0.0, self.watts.low), self.watts.high),
        )
        if not charging and set_to.voltage_v <= 0:
            fix = "give the cut-off voltage: the instrument itself holds it"
            yield Fault("a discharge to 0 V has no stop in the instrument", where, fix)

    def _temperature(self, step: Step, temperature_c: float, where: str) -> Iterator[Fault]:
        inside, air = self.windows[step.phase], self.air[step.phase]
        bounds = [
            _Bound("the cell's limits", -math.inf if inside.low_c is None else inside.low_c, inside.high_c),
            _Bound("the bench's limits", -math.inf if air.low_c is None else air.low_c, air.high_c),
        ]
        if self.warmth is not None:
            bounds.append(_Bound(f"the range of {self.chamber}", self.warmth.low, self.warmth.high))
        yield from _within("the temperature", temperature_c, "degC", where, *bounds)


@dataclass(frozen=True, slots=True)
class _Bound:
    whose: str
    low: float
    high: float


def _within(what: str, value: float, unit: str, where: str, *bounds: _Bound) -> Iterator[Fault]:
    if not math.isfinite(value):
        yield Fault(f"{what} comes to no number", where, "look at the names in its expression")
        return
    for bound in bounds:
        room = _TINY * max(1.0, abs(value))
        if value < bound.low - room or value > bound.high + room:
            loose = "looser than" if not bound.whose.startswith("the range") else "outside"
            span = f"{bound.low:g} to {bound.high:g} {unit}".replace("-inf to", "up to")
            fix = f"choose a value within {span}"
            yield Fault(f"{what} {value:g} {unit} is {loose} {bound.whose} ({span})", where, fix)


def where_is(sequence: Sequence, number: tuple[int, ...], step: Step) -> str:
    """A step's place in words: its sequence, its number in the tree, its id and its kind."""
    name = f" '{step.id}'" if step.id else ""
    return f"{sequence.id}: step {'.'.join(map(str, number))}{name} ({step.kind})"


@dataclass(slots=True)
class Extent:
    """The smallest and largest of the values that a sequence sets, as far as they are known before the run."""

    voltages_v: list[float]
    currents_a: list[float]


def check_steps(
    sequence: Sequence,
    reach_at: Callable[[tuple[int, ...]], Reach],
    values: Mapping[str, float],
    findings: Findings,
) -> Extent:
    """Check every step whose set values are known, and warn where they lie near the bottom of a device's range.

    ``reach_at`` gives what bounds the step of a number in the tree, by where the sample is then.
    """
    extent = Extent([], [])
    reach = reach_at((1,))
    for number, step in numbered(sequence.steps):
        where, reach = where_is(sequence, number, step), reach_at(number)
        match step:
            case Charge() | Discharge():
                _regulated(step, where, reach, values, extent, findings)
            case ChamberSet(temperature=temperature):
                if reach.chamber is None:
                    fix = "run it on a channel whose place has a chamber"
                    findings.fault("the sample's place has no chamber", where, fix)
                _temperature(step, temperature, where, reach, values, findings)
            case Soak(temperature=temperature) | Heat(temperature=temperature):
                _temperature(step, temperature, where, reach, values, findings)
            case _:
                pass
        _times(step, where, values, findings)
    _near_the_bottom(reach.cycler, "voltage", "V", reach.volts, extent.voltages_v, findings)
    _near_the_bottom(reach.cycler, "current", "A", reach.amps, extent.currents_a, findings)
    return extent


def _regulated(
    step: Charge | Discharge,
    where: str,
    reach: Reach,
    values: Mapping[str, float],
    extent: Extent,
    findings: Findings,
) -> None:
    inside = reach.windows[step.phase]
    largest_a = inside.charge_a if isinstance(step, Charge) else inside.discharge_a
    voltage_v = worth(step.voltage, values)
    current_a = largest_a if step.current is None else worth(step.current, values)
    power_w = reach.watts.high if step.power is None else worth(step.power, values)
    # What is not known yet is left out by a value that is fine everywhere; the engine checks it at the step's start.
    known_v = min(inside.high_v, reach.volts.high) if voltage_v is None else voltage_v
    known_a = min(largest_a, reach.amps.high, reach.limits.current_a) if current_a is None else current_a
    known_w = reach.watts.high if power_w is None else power_w
    charging = isinstance(step, Charge)
    findings.faults += reach.check(
        step,
        Setpoints(
            known_v,
            known_a if charging else 0.0,
            0.0 if charging else known_a,
            known_w if charging else 0.0,
            0.0 if charging else known_w,
        ),
        where,
    )
    extent.voltages_v += [] if voltage_v is None else [voltage_v]
    extent.currents_a += [] if step.current is None or current_a is None else [current_a]
    for _, when in whens(step.end) if step.end is not None else ():
        end_a = worth(when.right, values) if when.left.names == {"current"} else None
        if end_a is not None:
            findings.need(
                abs(end_a) >= 2 * reach.amps.resolution,
                f"the end current {abs(end_a):g} A cannot be told from 0 by {reach.cycler} "
                f"(steps of {reach.amps.resolution:g} A)",
                where,
                "use a cycler with a smaller current range",
            )
            extent.currents_a.append(abs(end_a))


def _temperature(
    step: Step, temperature: Expression, where: str, reach: Reach, values: Mapping[str, float], findings: Findings
) -> None:
    temperature_c = worth(temperature, values)
    if temperature_c is not None:
        findings.faults += reach.check(step, temperature_c, where)


def _times(step: Step, where: str, values: Mapping[str, float], findings: Findings) -> None:
    """Every time and rate of a step is positive, and a logging rule at least asks for a row now and then."""
    for what, expression in _passing(step):
        worth_it = None if expression is None else worth(expression, values)
        if worth_it is not None:
            findings.need(worth_it > 0, f"{what} {expression} is no time that passes", where, "give a positive value")


def _passing(step: Step) -> Iterator[tuple[str, Expression | None]]:
    match step:
        case Charge() | Discharge() | Soak() | Penetrate() | Crush() | Retract():
            yield "timeout", step.timeout
        case Rest() | Measure() | Hold() | Short():
            yield "duration", step.duration
        case Transfer():
            yield "charge_age", step.charge_age
        case Heat():
            yield "timeout", step.timeout
            yield "ramp", step.ramp
        case Observe():
            yield "duration", step.duration
            yield "at_most", step.at_most
            yield "rate", step.rate
        case _:
            pass
    if step.log is not None:
        yield "log every", step.log.every


def _near_the_bottom(device: str, what: str, unit: str, span: Span, set_to: list[float], findings: Findings) -> None:
    low = [value for value in set_to if span.usable_from is not None and value < span.usable_from]
    if low:
        each = f"{min(low):.4g}" if min(low) == max(low) else f"{min(low):.4g} to {max(low):.4g}"
        findings.warn(
            f"{device}: {what} set to {each} {unit}, near the bottom of its range "
            f"(its maker advises {span.usable_from:g} {unit} and above, of {span.high:g} {unit}); "
            "accuracy is stated for full scale"
        )
