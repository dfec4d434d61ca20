"""What a hot cell's components do to each other: lumped reactions with Arrhenius rates, and one node that they heat.

    rate = A exp(-Ea / RT) f(amount)        heat = H d(amount)
    m cp dT/dt = heat + power - h A (T - Tair) - eps sigma A (T^4 - Tair^4)

``hatchard_kim`` is the set of Hatchard 2001 as Kim 2007 gives it (LCO/graphite 18650), kept to compare the integrator
with a published model. ``nmc`` is the set of Feng 2015 for a 25 Ah NMC cell in the form of Bilyaz 2020. ``lfp`` and
``solid_state`` are ASSUMED: docs/simulation.md gives the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from types import MappingProxyType
from typing import Literal

from simulators.plant.presets import GAS_J_MOL_K

KELVIN = 273.15
STEFAN_W_M2_K4 = 5.670374419e-8
#: No substep moves the node by more than this.
SUBSTEP_K = 1.0
#: An amount less than this of its start has been used up.
USED_UP = 1e-9

#: f(amount): ``first`` order c; ``film`` c exp(-z / z0), z grows by what reacted; ``logistic`` a (1 - a), a grows;
#: ``waning`` c (1 - c), c falls; ``covered`` c exp(-c_film), as it reacts the film grows again.
Form = Literal["first", "film", "logistic", "waning", "covered"]


@dataclass(frozen=True, slots=True)
class Reaction:
    """One reaction. ``heat_j`` is for a whole unit of its amount, of which ``start`` is there at first.

    It runs above ``above_c``; ``lithium`` says that what there is of it follows the state of charge. ``fast_above_c``
    and ``fast_a_1_s`` replace the frequency factor when hot. ``regrows`` (of a ``covered`` reaction) is how much of the
    first reaction's amount, the film, each unit makes anew below ``fast_above_c``. ``slowest_s`` is the time
    that it takes at least to spread through the cell.
    """

    name: str
    a_1_s: float
    ea_j_mol: float
    heat_j: float
    start: float
    form: Form
    above_c: float = -273.15
    lithium: bool = False
    oxygen: bool = False
    fast_above_c: float = 1e9
    fast_a_1_s: float = 0.0
    regrows: float = 0.0
    slowest_s: float = 0.0
    film_start: float = 0.0
    film_width: float = 1.0


@dataclass(frozen=True, slots=True)
class Node:
    """One lumped body. ``convective_w_k`` is h A without radiation, ``radiating_m2`` is emissivity times area."""

    heat_capacity_j_k: float
    convective_w_k: float
    radiating_m2: float

    def loss_w(self, celsius: float, air_c: float) -> float:
        """What it gives to its surroundings at this temperature."""
        hot, cold = celsius + KELVIN, air_c + KELVIN
        hot *= hot
        cold *= cold
        return self.convective_w_k * (celsius - air_c) + STEFAN_W_M2_K4 * self.radiating_m2 * (hot * hot - cold * cold)

    def loss_slope_w_k(self, celsius: float) -> float:
        """Its derivative."""
        return self.convective_w_k + 4.0 * STEFAN_W_M2_K4 * self.radiating_m2 * (celsius + KELVIN) ** 3


class Reactions:
    """The amounts that are left of a set of reactions, in a cell whose ``lithium`` is that share of a full one's.

    ``step`` gives the heat of a short time at one temperature; ``released_j`` is all that they have given.
    """

    __slots__ = ("_amounts", "_films", "_set", "lithium", "released_j")

    def __init__(self, reactions: tuple[Reaction, ...]) -> None:
        self._set = reactions
        self._amounts = [reaction.start for reaction in reactions]
        self._films = [reaction.film_start for reaction in reactions]
        self.lithium = 1.0
        self.released_j = 0.0

    @property
    def most_j(self) -> float:
        """The heat of all that gives heat, but for what grows again."""
        return sum(
            reaction.heat_j * (1.0 - reaction.start if reaction.form == "logistic" else reaction.start)
            for reaction in self._set
            if reaction.heat_j > 0.0
        )

    def left(self) -> Mapping[str, float]:
        """The amounts by name."""
        return MappingProxyType({r.name: amount for r, amount in zip(self._set, self._amounts, strict=True)})

    def save(self) -> tuple[tuple[float, ...], tuple[float, ...], float]:
        """All that a step changes, for ``restore``."""
        return tuple(self._amounts), tuple(self._films), self.released_j

    def restore(self, saved: tuple[tuple[float, ...], tuple[float, ...], float]) -> None:
        """Go back to a saved state."""
        self._amounts, self._films, self.released_j = list(saved[0]), list(saved[1]), saved[2]

    def power_w(self, celsius: float) -> float:
        """The heat they give at this temperature."""
        kelvin = celsius + KELVIN
        watts = 0.0
        for at, r in enumerate(self._set):
            if celsius > r.above_c and self._amounts[at] > USED_UP:
                watts += r.heat_j * self._rate_1_s(at, r, celsius, kelvin)
        return watts

    def step(self, dt_s: float, celsius: float) -> float:
        """Let them run at this temperature; the heat in J. No amount goes below nothing or above all."""
        kelvin = celsius + KELVIN
        amounts, heat_j, regrown = self._amounts, 0.0, 0.0
        for at, r in enumerate(self._set):
            amount = amounts[at]
            if celsius <= r.above_c or amount <= USED_UP:
                continue
            rate = self._rate_1_s(at, r, celsius, kelvin)
            if r.form == "logistic":
                grown = exp(min(rate / (amount * (1.0 - amount)) * dt_s, 500.0)) if amount < 1.0 else 1.0
                after = amount * grown / (1.0 - amount + amount * grown)
            elif r.form == "waning":
                faded = exp(-min(rate / (amount * (1.0 - amount)) * dt_s, 500.0)) if amount < 1.0 else 1.0
                after = amount * faded / (1.0 - amount + amount * faded)
            else:
                after = amount * exp(-rate / amount * dt_s)
            moved = abs(after - amount)
            amounts[at] = after
            heat_j += r.heat_j * moved
            if r.form == "film":
                self._films[at] += moved
            if celsius < r.fast_above_c:
                regrown += r.regrows * moved
        if regrown:
            amounts[0] += regrown
        self.released_j += heat_j
        return heat_j

    def _rate_1_s(self, at: int, r: Reaction, celsius: float, kelvin: float) -> float:
        amount = self._amounts[at]
        rate = (r.a_1_s if celsius < r.fast_above_c else r.fast_a_1_s) * exp(-r.ea_j_mol / (GAS_J_MOL_K * kelvin))
        if r.slowest_s:
            rate /= 1.0 + rate * r.slowest_s
        if r.form in ("logistic", "waning"):
            rate *= amount * (1.0 - amount)
        else:
            rate *= amount
        if r.form == "film":
            rate *= exp(-self._films[at] / r.film_width)
        elif r.form == "covered":
            rate *= exp(-self._amounts[0])
        if r.lithium:
            rate *= min(self.lithium, 1.0)
        if r.oxygen and self.lithium > 1.0:
            # doubled for each tenth of overcharge (ASSUMED)
            rate *= 2.0 ** ((self.lithium - 1.0) * 10.0)
        return rate


@dataclass(frozen=True, slots=True)
class Warmed:
    """A node after a while: its temperature and what went through its surface."""

    celsius: float
    lost_j: float


def warm(
    node: Node, reactions: Reactions, celsius: float, air_c: float, power_w: float, dt_s: float, *, kept: float = 1.0
) -> Warmed:
    """Heat a node by this power and by what it keeps of its reactions' heat for a while, in air of this temperature.

    Substeps are as short as it takes to move at most 1 K in each; the loss is linearised in each.
    """
    lost_j, left_s = 0.0, dt_s
    while left_s > 1e-12:
        loss_w = node.loss_w(celsius, air_c)
        net_w = power_w + kept * reactions.power_w(celsius) - loss_w
        substep_s = min(left_s, SUBSTEP_K * node.heat_capacity_j_k / max(abs(net_w), 1e-6))
        heat_j = power_w * substep_s + kept * reactions.step(substep_s, celsius)
        slope_w_k = node.loss_slope_w_k(celsius)
        rate = slope_w_k / node.heat_capacity_j_k * substep_s
        settling = (1.0 - exp(-rate)) / rate if rate > 1e-9 else 1.0
        moved_k = (heat_j - loss_w * substep_s) * settling / node.heat_capacity_j_k
        lost_j += heat_j - moved_k * node.heat_capacity_j_k
        celsius += moved_k
        left_s -= substep_s
    return Warmed(celsius, lost_j)


def hatchard_kim(volume_m3: float) -> tuple[Reaction, ...]:
    """Set A: Hatchard 2001 with the constants of Kim 2007, for a jelly roll of this volume."""
    carbon_g, cathode_g, electrolyte_g = 610.4e3 * volume_m3, 1221e3 * volume_m3, 406.9e3 * volume_m3
    return (
        Reaction("sei", 1.667e15, 1.3508e5, 257.0 * carbon_g, 0.15, "first"),
        Reaction("anode", 2.5e13, 1.3508e5, 1714.0 * carbon_g, 0.75, "film", film_start=0.033, film_width=0.033),
        Reaction("cathode", 6.667e13, 1.396e5, 314.0 * cathode_g, 0.04, "logistic"),
        Reaction("electrolyte", 5.14e25, 2.74e5, 155.0 * electrolyte_g, 1.0, "first"),
    )


def nmc(rated_ah: float) -> tuple[Reaction, ...]:
    """Set B: the NMC cell of Feng 2015 in the form of Bilyaz 2020, its masses (of 25 Ah) scaled by charge."""
    size = rated_ah / 25.0
    anode_g, cathode_g, electrolyte_g, separator_g = 100.58 * size, 179.12 * size, 108.0 * size, 17.6 * size
    return (
        Reaction("sei", 1.667e15, 1.3508e5, 257.0 * anode_g, 0.15, "first", above_c=50.0),
        Reaction(
            "anode",
            0.035,
            3.3e4,
            1714.0 * anode_g,
            1.0,
            "covered",
            above_c=50.0,
            lithium=True,
            fast_above_c=260.0,
            fast_a_1_s=5.0,
            regrows=5.0,
        ),
        Reaction("separator", 1.5e50, 4.2e5, -233.2 * separator_g, 1.0, "first", above_c=120.0),
        Reaction(
            "cathode 1", 1.75e9, 1.1495e5, 77.0 * cathode_g, 0.999, "waning", above_c=180.0, lithium=True, oxygen=True
        ),
        Reaction(
            "cathode 2", 1.077e12, 1.5888e5, 84.0 * cathode_g, 0.999, "waning", above_c=220.0, lithium=True, oxygen=True
        ),
        Reaction("electrolyte", 3e15, 1.7e5, 800.0 * electrolyte_g, 1.0, "first", above_c=140.0),
    )


def lfp(rated_ah: float) -> tuple[Reaction, ...]:
    """The graphite side of ``nmc`` with a quarter of the anode's heat and a tenth of the electrolyte's, and no oxygen
    from the cathode (ASSUMED)."""
    weaker = {"sei": 1.0, "anode": 0.25, "separator": 1.0, "electrolyte": 0.1}
    return tuple(
        replace(reaction, heat_j=reaction.heat_j * weaker[reaction.name], regrows=0.0)
        for reaction in nmc(rated_ah)
        if reaction.name in weaker
    )


#: Heat of a charged solid-state cell, and the part of it that the interface gives first (ASSUMED).
SOLID_J_AH, INTERFACE_SHARE = 5_000.0, 0.05


def solid_state(rated_ah: float) -> tuple[Reaction, ...]:
    """Two stages, tuned to published onsets: at the interface from 160 to 200 degC (1e-3 1/s at 180 degC), then oxygen
    and lithium through the solid from 300 degC (1e-2 1/s at 327 degC, and 5 s at least). No
    table of such a cell is known to us: ASSUMED.
    """
    heat_j = SOLID_J_AH * rated_ah
    return (
        Reaction("interface", 2.8e15, 1.6e5, INTERFACE_SHARE * heat_j, 1.0, "first", above_c=120.0, lithium=True),
        Reaction(
            "bulk",
            2.6e15,
            2.0e5,
            (1 - INTERFACE_SHARE) * heat_j,
            1.0,
            "first",
            above_c=200.0,
            lithium=True,
            oxygen=True,
        ),
    )
