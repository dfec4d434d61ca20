"""Electrode potentials over SOC: the tables of simulators/data, continued beyond 0 and 100 % SOC.

Inside 0..1 a value is the table's. Outside it is the published potential of the electrode (Chen2020, Prada2013 with
Afshar2017), which agrees with the table to its last digit, bounded where another reaction takes over. The bounds and
the solid-state knee are ASSUMED; docs/simulation.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from math import exp, tanh

#: Every potential table spans these SOC at 1 % knots; a look-up beyond continues the last segment's slope.
LOW_SOC, HIGH_SOC, KNOTS_PER_SOC = -0.30, 1.30, 100

# ASSUMED bounds where a side reaction holds the potential (V against lithium).
COPPER_DISSOLUTION_V = 3.5
ELECTROLYTE_OXIDATION_V = 5.2
SOLID_STATE_FLOOR_V = 0.0


class Table:
    """Straight lines between evenly spaced knots over SOC: ``values[i] + f * steps[i]``."""

    __slots__ = ("last", "steps", "values")

    def __init__(self, values: list[float]) -> None:
        self.values = tuple(values)
        self.steps = tuple(b - a for a, b in pairwise(values))
        self.last = len(self.steps) - 1

    def __call__(self, soc: float) -> float:
        """The value at this SOC (0..1; beyond the knots along the last segment)."""
        x = (soc - LOW_SOC) * KNOTS_PER_SOC
        i = min(max(int(x), 0), self.last)
        return self.values[i] + (x - i) * self.steps[i]


@dataclass(frozen=True, slots=True)
class Chemistry:
    """What is specific to a pair of electrodes. ``positive`` and ``negative`` in V against lithium over SOC.

    ``x_empty`` and ``x_span`` turn SOC into the negative's stoichiometry, ``y_span`` that of the positive.
    ``entropic`` is dU/dT in V/K, all zero where nothing is known.
    """

    name: str
    positive: Table
    negative: Table
    ocv: Table
    entropic: Table
    x_empty: float
    x_span: float
    y_span: float


# The stoichiometry windows between 0 and 100 % SOC stand in the head of each CSV.
_CHEN_X = (0.026346, 0.910618)
_CHEN_Y = (0.853975, 0.263845)
_PRADA_X = (0.017618, 0.810043)
_PRADA_Y = (0.703502, 0.003762)


def graphite_v(x: float) -> float:
    """Graphite-SiOx against lithium at stoichiometry x (Chen2020)."""
    return (
        1.9793 * exp(-39.3631 * x)
        + 0.2482
        - 0.0909 * tanh(29.8538 * (x - 0.1234))
        - 0.04478 * tanh(14.9159 * (x - 0.2769))
        - 0.0205 * tanh(30.4444 * (x - 0.6103))
    )


def nmc811_v(y: float) -> float:
    """NMC811 against lithium at stoichiometry y (Chen2020)."""
    return (
        -0.8090 * y
        + 4.4875
        - 0.0428 * tanh(18.5138 * (y - 0.5542))
        - 17.7326 * tanh(15.7890 * (y - 0.3117))
        + 17.5842 * tanh(15.9308 * (y - 0.3120))
    )


def lfp_v(y: float) -> float:
    """LFP against lithium at stoichiometry y (Afshar2017, as used in Prada2013)."""
    return 3.4077 - 0.020269 * y + 0.5 * exp(-150.0 * y) - 0.9 * exp(-30.0 * (1.0 - y))


def _plated_graphite_v(x: float) -> float:
    """Graphite, with copper dissolving when it is emptied and lithium plating at 0 V once it is full (ASSUMED)."""
    if x > 1.0:
        return graphite_v(1.0) * max(0.0, 1.0 - (x - 1.0) / 0.02)
    return min(graphite_v(x), COPPER_DISSOLUTION_V)


def _column(file: str, column: str) -> list[float]:
    text = resources.files("simulators.data").joinpath(file).read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    place = rows[0].index(column)
    return [float(row[place]) for row in rows[1:]]


def _over_soc(inside: list[float], beyond: Callable[[float], float]) -> Table:
    """The 101 values of a table from 0 to 1, with ``beyond(soc)`` at the knots outside."""
    values = []
    for knot in range(round(LOW_SOC * KNOTS_PER_SOC), round(HIGH_SOC * KNOTS_PER_SOC) + 1):
        soc = knot / KNOTS_PER_SOC
        values.append(inside[knot] if 0 <= knot <= KNOTS_PER_SOC else beyond(soc))
    return Table(values)


def _constant(value: float) -> Table:
    return _over_soc([value] * (KNOTS_PER_SOC + 1), lambda _: value)


def _difference(positive: Table, negative: Table) -> Table:
    return Table([p - n for p, n in zip(positive.values, negative.values, strict=True)])


def _entropic_nmc811_graphite() -> Table:
    """dU/dT of ORegan2022, its SOC axis cut at 4.2 V (the set itself ends at 4.4 V); held constant outside."""
    coefficient = _column("ocv_ORegan2022.csv", "dudt_V_per_K")
    ocv = _column("ocv_ORegan2022.csv", "ocv_V")
    above = next(i for i, volts in enumerate(ocv) if volts >= 4.2)
    top = above - 1 + (4.2 - ocv[above - 1]) / (ocv[above] - ocv[above - 1])
    inside = []
    for knot in range(KNOTS_PER_SOC + 1):
        place = knot / KNOTS_PER_SOC * top
        low = int(place)
        inside.append(coefficient[low] + (place - low) * (coefficient[low + 1] - coefficient[low]))
    return _over_soc(inside, lambda soc: inside[0] if soc < 0.0 else inside[-1])


@cache
def nmc811_graphite() -> Chemistry:
    """The LG M50 pair of Chen2020: 2.5 V at 0 and 4.2 V at 100 % SOC."""
    x_span, y_span = _CHEN_X[1] - _CHEN_X[0], _CHEN_Y[0] - _CHEN_Y[1]
    positive = _over_soc(_column("ocv_Chen2020.csv", "u_pos_V"), lambda soc: nmc811_v(_CHEN_Y[0] - soc * y_span))
    negative = _over_soc(
        _column("ocv_Chen2020.csv", "u_neg_V"), lambda soc: _plated_graphite_v(_CHEN_X[0] + soc * x_span)
    )
    return Chemistry(
        "NMC811 / graphite-SiOx",
        positive,
        negative,
        _difference(positive, negative),
        _entropic_nmc811_graphite(),
        _CHEN_X[0],
        x_span,
        y_span,
    )


@cache
def lfp_graphite() -> Chemistry:
    """LFP with the graphite of Chen2020 (as PyBaMM installs Prada2013): 2.0 V at 0 and 3.6 V at 100 % SOC."""
    x_span, y_span = _PRADA_X[1] - _PRADA_X[0], _PRADA_Y[0] - _PRADA_Y[1]
    positive = _over_soc(
        _column("ocv_Prada2013.csv", "u_pos_V"),
        lambda soc: min(lfp_v(_PRADA_Y[0] - soc * y_span), ELECTROLYTE_OXIDATION_V),
    )
    negative = _over_soc(
        _column("ocv_Prada2013.csv", "u_neg_V"), lambda soc: _plated_graphite_v(_PRADA_X[0] + soc * x_span)
    )
    return Chemistry(
        "LFP / graphite",
        positive,
        negative,
        _difference(positive, negative),
        _constant(0.0),
        _PRADA_X[0],
        x_span,
        y_span,
    )


@cache
def nmc811_lithium() -> Chemistry:
    """NMC811 of Chen2020 against lithium metal (0 V), 2.5 V at 0 and 4.292 V at 100 % SOC.

    The table's potential ends at 3.605 V. ASSUMED: a straight knee over the last per cent leads from there to 2.5 V
    at 0 % SOC, and on at the same slope down to 0 V.
    """
    y_span = _CHEN_Y[0] - _CHEN_Y[1]
    inside = _column("ocv_Chen2020.csv", "u_pos_V")
    inside[0] = 2.5
    knee_v_per_soc = (inside[1] - inside[0]) * KNOTS_PER_SOC
    positive = _over_soc(
        inside,
        lambda soc: (
            max(inside[0] + soc * knee_v_per_soc, SOLID_STATE_FLOOR_V)
            if soc < 0.0
            else nmc811_v(_CHEN_Y[0] - soc * y_span)
        ),
    )
    negative = _constant(0.0)
    return Chemistry(
        "NMC811 / lithium metal", positive, negative, _difference(positive, negative), _constant(0.0), 0.0, 0.0, y_span
    )
