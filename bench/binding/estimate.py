"""How long a run will take and how much it will store: for people, and for the check of free space."""

from __future__ import annotations

from collections.abc import Mapping

from bench.binding.shapes import Estimate, Window
from bench.binding.values import worth
from sequences.expressions import Expression
from sequences.language import (
    ChamberSet,
    Charge,
    Confirm,
    Crush,
    Discharge,
    Heat,
    Hold,
    LogRule,
    Measure,
    Observe,
    Penetrate,
    Repeat,
    RepeatUntilStable,
    Rest,
    Sequence,
    Short,
    Soak,
    Step,
    Transfer,
)

#: The constant-voltage end of a charge, as a part of the time at full current (ours).
CV_TAIL = 0.15
#: How fast a chamber brings a cell near its setpoint (ours).
CHAMBER_K_MIN = 1.0
START_TEMPERATURE_C = 23.0
#: How long a person takes to carry a sample, connect it and scan it again (ours).
CARRY_S = 300.0
#: What a stored value takes in the log, Parquet and BDF together, and what a bundle takes besides (ours, rounded up).
BYTES_A_VALUE = 60
BYTES_BESIDES = 8_000_000


def estimate(sequence: Sequence, values: Mapping[str, float], inside: Window, stored_values: int) -> Estimate:
    """``stored_values`` is the number of values in one row."""
    seconds, rows = _steps(sequence.steps, values, inside, sequence.log)
    return Estimate(seconds, int(rows), int(rows * (stored_values + 4) * BYTES_A_VALUE) + BYTES_BESIDES)


def step_seconds(step: Step, values: Mapping[str, float]) -> float:
    """One step, a repeat with its likely number of turns. An expression that only the run can work out counts 0."""
    match step:
        case Charge() | Discharge():
            return _moving(step, values)
        case (
            Rest(duration=duration)
            | Measure(duration=duration)
            | Hold(duration=duration)
            | Short(duration=duration)
            | Observe(duration=duration)
        ):
            return worth(duration, values) or 0.0
        case Transfer():
            return CARRY_S
        case Penetrate(depth=depth):
            return _stroke(step, _or(depth, values, 0.0), values)
        case Crush(deformation=deformation):
            return _stroke(step, _or(deformation, values, 0.0) * values["cell.thickness"], values)
        case Heat():
            rate_k_s = CHAMBER_K_MIN / 60 if step.ramp is None else _or(step.ramp, values, CHAMBER_K_MIN / 60)
            warmed_s = abs(_or(step.temperature, values, START_TEMPERATURE_C) - START_TEMPERATURE_C) / max(
                rate_k_s, 1e-6
            )
            return min(warmed_s, _or(step.timeout, values, warmed_s))
        case Soak():
            away_k = abs(_or(step.temperature, values, START_TEMPERATURE_C) - START_TEMPERATURE_C)
            soaked_s = (worth(step.duration, values) or 0.0) + away_k / CHAMBER_K_MIN * 60
            return min(soaked_s, _or(step.timeout, values, soaked_s))
        case Repeat() | RepeatUntilStable():
            return _turns(step) * sum(step_seconds(inner, values) for inner in step.steps)
        case _:
            return 0.0


def _steps(steps: tuple[Step, ...], values: Mapping[str, float], inside: Window, rule: LogRule) -> tuple[float, float]:
    seconds = rows = 0.0
    for step in steps:
        if isinstance(step, Repeat | RepeatUntilStable):
            its_seconds, its_rows = _steps(step.steps, values, inside, step.log or rule)
            seconds, rows = seconds + _turns(step) * its_seconds, rows + _turns(step) * its_rows
        elif not isinstance(step, ChamberSet | Confirm):
            took_s = step_seconds(step, values)
            seconds, rows = seconds + took_s, rows + _rows(step, took_s, values, inside, step.log or rule)
    return seconds, rows


def _rows(step: Step, took_s: float, values: Mapping[str, float], inside: Window, rule: LogRule) -> float:
    """A row each ``every``, and one for each step of voltage or current over the whole window."""
    rows = 2.0 + took_s / max(1e-3, worth(rule.every, values) or 1.0)
    if isinstance(step, Charge | Discharge):
        if rule.voltage is not None:
            rows += 2 * (inside.high_v - inside.low_v) / max(1e-6, worth(rule.voltage, values) or 1.0)
        if rule.current is not None:
            largest_a = max(inside.charge_a, inside.discharge_a)
            rows += 2 * largest_a / max(1e-6, worth(rule.current, values) or 1.0)
    return rows


def _moving(step: Charge | Discharge, values: Mapping[str, float]) -> float:
    rated_ah = values["cell.rated_capacity"]
    current_a = rated_ah / 3 if step.current is None else _or(step.current, values, rated_ah / 3)
    if step.power is not None:
        mean_v = (values["cell.v_min"] + values["cell.v_max"]) / 2
        current_a = min(current_a, _or(step.power, values, current_a * mean_v) / mean_v)
    tail = 1 + CV_TAIL if step.mode in ("cccv", "cv") else 1.0
    moved_s = rated_ah / max(current_a, 1e-6) * 3600 * tail
    return min(moved_s, _or(step.timeout, values, moved_s))


def _stroke(step: Penetrate | Crush, travel_mm: float, values: Mapping[str, float]) -> float:
    travelled_s = travel_mm / max(_or(step.speed, values, 1.0), 1e-6)
    return min(travelled_s, _or(step.timeout, values, travelled_s))


def _turns(step: Repeat | RepeatUntilStable) -> int:
    return step.count if isinstance(step, Repeat) else step.stable.last


def _or(expression: Expression, values: Mapping[str, float], otherwise: float) -> float:
    found = worth(expression, values)
    return otherwise if found is None or found != found else found
