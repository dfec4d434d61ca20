"""The names that an expression may use, and what each is. docs/sequence-language.md explains them to a reader."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from drivers import Dimension

#: Of the cell file; known before the run.
CELL: dict[str, Dimension] = {
    "cell.rated_capacity": Dimension.CHARGE,
    "cell.charge_voltage": Dimension.VOLTAGE,
    "cell.charge_current": Dimension.CURRENT,
    "cell.charge_end_current": Dimension.CURRENT,
    "cell.v_min": Dimension.VOLTAGE,
    "cell.v_max": Dimension.VOLTAGE,
    "cell.max_charge_current": Dimension.CURRENT,
    "cell.max_discharge_current": Dimension.CURRENT,
    "cell.t_min": Dimension.TEMPERATURE,
    "cell.t_max": Dimension.TEMPERATURE,
    "cell.mass": Dimension.MASS,
    "cell.weight": Dimension.FORCE,  # of the run's sample mass, at 9.80665 m/s2
    "cell.thickness": Dimension.LENGTH,
    "cell.claimed_energy_density": Dimension.ENERGY_DENSITY,
}

#: What the instruments say at this instant. ``current`` and ``power`` are positive in charge.
INSTANT: dict[str, Dimension] = {
    "voltage": Dimension.VOLTAGE,
    "current": Dimension.CURRENT,
    "power": Dimension.POWER,
    "temperature": Dimension.TEMPERATURE,
    "ambient": Dimension.TEMPERATURE,
    # At the sample's own leads, contactor open or closed.
    "cell_voltage": Dimension.VOLTAGE,
    # The fastest rise of any good surface point, over its last two seconds or more.
    "temperature_rate": Dimension.TEMPERATURE_RATE,
}

#: Counted since the step began, never negative.
COUNTED: dict[str, Dimension] = {
    "charge": Dimension.CHARGE,
    "energy": Dimension.ENERGY,
    "duration": Dimension.TIME,
}

LIVE: dict[str, Dimension] = INSTANT | COUNTED

#: Of the run as a whole; for results and criteria.
RUN: dict[str, Dimension] = {
    "run.longest_log_interval": Dimension.TIME,
    "run.calibration_margin": Dimension.TIME,
    "run.sample_mass": Dimension.MASS,
    # Since the stimulus was over, of a nail since its contact; without a stimulus there is no value.
    "run.observed": Dimension.TIME,
    # From the first contact, ampere or heat of the stimulus on.
    "run.peak_temperature": Dimension.TEMPERATURE,
    "run.stimulus_to_peak": Dimension.TIME,
    # The longest time between two stored rows of the surface points, from the stimulus to the end of the observation.
    "run.longest_observation_interval": Dimension.TIME,
}

#: What a stroke of the rig leaves for the results of its step.
STROKE: dict[str, Dimension] = {
    "stroke.speed": Dimension.SPEED,
    "stroke.depth": Dimension.LENGTH,
    "stroke.deformation": Dimension.NUMBER,
    "stroke.peak_force": Dimension.FORCE,
}

#: What a transfer leaves for the results of its step.
TRANSFER: dict[str, Dimension] = {"transfer.charge_age": Dimension.TIME}

#: The prefix of a judge step's answers; 1 is yes, 0 is no.
JUDGEMENT = "judgement."

FIXED: dict[str, Dimension] = CELL | LIVE | RUN | STROKE | TRANSFER

#: The prefix under which ``start(voltage)`` finds the value that ``voltage`` had when the step began.
START = "start."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a person most likely meant, or None."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return found[0] if found else None


def listing(names: Iterable[str]) -> str:
    """The names that a writer may use, for a message; those of the cell file in one word."""
    shown = {"cell.*" if name in CELL else name for name in names if not name.startswith(("step.", "unsure."))}
    return ", ".join(sorted(shown)) or "none"
