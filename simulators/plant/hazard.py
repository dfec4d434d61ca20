"""What becomes of one cell under abuse: its inner shorts, its reactions, venting, flame, and the sensors on it.

There is one reservoir of charge: a nail, crushed layers and molten ones are conductances across the terminals of the
electrical model (simulators/plant/shunt.py), so whatever they turn into heat is gone from the OCV curve. The reactions
are a reservoir of their own, sized by the lithium that is left in the cell when its layers melt together.

    nail      G = layers cut / all layers / R, R log-normal by seed, larger if slow and as it burns back
    crush     G rises from nothing at ``crush_share`` of the thickness to that of a nail a tenth of it further
    melting   above ``collapse_c``: G that empties a full cell in about ``release_s``
    pressure  p = vapour(T) + n R T / V; past ``burst_kpa``, or a nail's hole, it vents: gas follows the reactions
    plating   lithium on a full negative gives heat, and grows into a short as strong as a nail's
    flame     of vented gas, if this cell is one that ignites: by seed, or as its file says
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import exp, inf
from random import Random

from simulators.plant.cell import Cell
from simulators.plant.fragility import FRAGILITY, Fragility
from simulators.plant.kinetics import KELVIN, STEFAN_W_M2_K4, Node, Reactions, warm
from simulators.plant.presets import GAS_J_MOL_K, REFERENCE_K
from simulators.plant.surroundings import Surroundings
from simulators.spec import CellSpec

#: Below this an untouched cell's reactions stand still (ASSUMED: slower than 0.01 K/min there).
ACTIVE_C = 80.0
#: Above this state of charge the cell is overcharged; a charge held at its limit ends a little above 100 %.
OVERFULL = 1.02
#: The longest step while a short is fresh, or heat or current are large.
FINE_S, VIOLENT_S = 0.1, 0.02
#: A nail slower than this leaves a weaker short, in proportion; and a contact burns back by its R in this time.
FAST_MM_S, BURN_BACK_S = 10.0, 900.0
#: Part of a nail's short that stays when it is pulled out.
DEBRIS = 0.3
#: Displacement in parts of the thickness over which crushed layers come to touch.
CRUSH_WIDTH, CRUSH_SPREAD = 0.1, 0.25
#: Conductance of molten layers times the time in which they empty a cell at 3.7 V, per Ah (Feng 2015: 317 kJ of 25 Ah
#: within 10 s).
MOLTEN_S_S_AH = 3600.0 / 3.7
#: Vapour pressure of the solvents: 101 kPa at 90 degC, 38 kJ/mol.
BOILS_K, VAPOUR_J_MOL = 363.15, 38e3
PIERCED_KPA = 150.0
#: Reactions make gas above this; what they do below it is too little to tell.
GASSES_C = 130.0
#: Overcharged beyond this, plated lithium grows through: past the stoichiometry where it plates, or sooner in a cell
#: whose file gives the resistance of its short.
GROWS_PAST, GROWS_SOONER = 0.05, 1.05
#: Solvent that boils off when a cell vents, in mol/Ah, and how fast.
FLASH_MOL_AH, FLASH_S = 0.010, 8.0
FLAME_S, FLAME_K, BURNING_J_MOL = 20.0, 100.0, 150e3
#: A vent of more than this feeds a flame (mol/(s Ah)).
FEEDS_MOL_S_AH = 1e-5
RUPTURE_K_S = 20.0
#: Heat of lithium that plates, per coulomb (V).
PLATING_V = 1.0
#: A bead of the usual wire is lost above about this.
BEAD_C, BEAD_SPREAD_K = 1050.0, 100.0
#: Beads further from the nail: how much later, and by which part cooler.
BEADS, BEAD_S, BEAD_SHARE = 8, 2.0, 0.03


@dataclass(slots=True)
class _State:
    struck: bool = False
    nail_s: float = 0.0
    nail_most_s: float = 0.0
    since_s: float = 0.0
    collapsed: bool = False
    pierced: bool = False
    gas_mol: float = 0.0
    vented: bool = False
    flash_mol: float = 0.0
    out_mol: float = 0.0
    flame_s: float = 0.0
    lit: bool = False
    fire: bool = False
    explosion: bool = False
    rupture: bool = False
    rate_k_s: float = 0.0
    shunt_a: float = 0.0
    inner_j: float = 0.0
    outer_j: float = 0.0
    plated_j: float = 0.0
    grown: bool = False
    lost: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Vented:
    """What came out in the last step."""

    gas_mol: float = 0.0
    gas_k: float = 300.0
    flame: bool = False
    heat_j: float = 0.0


NOTHING = Vented()


class Hazard:
    """The abused side of one cell. Use in a step: ``save``, ``siemens``, ``commit``.

    ``vented`` is what the last step gave to the place.
    """

    def __init__(self, cell: Cell, spec: CellSpec, *, channel: str, seed: int) -> None:
        self.cell = cell
        self.fragility: Fragility = FRAGILITY[cell.preset.name]
        self.vented = NOTHING
        preset, fragility = cell.preset, self.fragility
        size_ah = cell.capacity_ah / preset.window_ah * preset.rated_ah
        self._size_ah = size_ah
        self._thickness_mm = spec.thickness_mm
        self.reactions = Reactions(fragility.reactions(size_ah))
        self._all_j = self.reactions.most_j
        draw = Random(f"{seed}/{channel}/short")  # noqa: S311 - repeatable scatter is wanted, not secrecy
        scattered_ohm = fragility.nail_ohm * exp(draw.gauss(0.0, fragility.spread))
        self._crush_share = fragility.crush_share * exp(draw.gauss(0.0, CRUSH_SPREAD))
        self._given = spec.short_resistance_ohm is not None
        self.nail_ohm = scattered_ohm if spec.short_resistance_ohm is None else spec.short_resistance_ohm
        draw = Random(f"{seed}/{channel}/ignition")  # noqa: S311
        by_seed = draw.random() < fragility.ignites
        self.ignites = by_seed if spec.ignites is None else spec.ignites
        self._ruptures = draw.random() < fragility.ruptures
        draw = Random(f"{seed}/{channel}/thermocouples")  # noqa: S311
        self._beads_c = tuple(draw.gauss(BEAD_C, BEAD_SPREAD_K) for _ in range(BEADS))
        self._layers = max(int((spec.thickness_mm - fragility.skin_mm) / fragility.layer_mm), 1)
        self._molten_s = MOLTEN_S_S_AH * size_ah / fragility.release_s
        radiating_m2 = fragility.radiating_share * preset.area_m2
        radiated_w_k = 4.0 * STEFAN_W_M2_K4 * radiating_m2 * REFERENCE_K**3
        self._node = Node(cell.heat_capacity_j_k, max(cell.conductance_w_k - radiated_w_k, 0.0), radiating_m2)
        chemistry = preset.chemistry
        self._plates_at = (1.0 - chemistry.x_empty) / chemistry.x_span if preset.i0_a is not None else inf
        self._grows_at = GROWS_SOONER if self._given else self._plates_at + GROWS_PAST
        self._forced = spec.ignites is True
        self._now = self._saved = _State()
        self._saved_reactions = self.reactions.save()

    # What an observer, a sensor or a book-keeper sees

    def seen(self) -> dict[str, bool]:
        """What has become of the cell until now. A leak is seen where something came out."""
        now = self._now
        return {
            "fire": now.fire,
            "explosion": now.explosion,
            "rupture": now.rupture,
            "leak": now.vented or now.rupture,
            "vent": now.vented,
        }

    def lost(self, index: int) -> bool:
        """Whether the thermocouple of this index has burnt off."""
        return index in self._now.lost

    @property
    def inner_j(self) -> float:
        """Heat of the shorts inside."""
        return self._now.inner_j

    @property
    def outer_j(self) -> float:
        """What went out through a short contactor."""
        return self._now.outer_j

    @property
    def chemical_j(self) -> float:
        """Heat of reactions and of plated lithium."""
        return self.reactions.released_j + self._now.plated_j

    def loss_w(self, air_c: float) -> float:
        """What the cell gives to air of this temperature."""
        return self._node.loss_w(self.cell.temperature_c, air_c)

    # Steps

    def pace_s(self, *, shorted: bool) -> float:
        """How long the next step may be for this cell's sake, ``shorted`` by a contactor or not."""
        now = self._now
        if not now.struck:
            return FINE_S if shorted else inf
        rate_k_s = abs(now.rate_k_s)
        if rate_k_s > 5.0:
            return VIOLENT_S
        c_rate = abs(now.shunt_a) / self._size_ah
        if rate_k_s > 0.02 or c_rate > 0.5 or now.flame_s > 0.0:
            return FINE_S
        settled = rate_k_s < 1e-6 and c_rate < 1e-6 and not now.flash_mol and self.cell.temperature_c < ACTIVE_C
        return inf if settled else 1.0

    def save(self) -> None:
        """Keep what is, for ``rewind``."""
        self._saved = self._now
        self._now = copy(self._saved)
        self._saved_reactions = self.reactions.save()

    def rewind(self) -> None:
        """Undo the last step."""
        self._now = self._saved
        self.reactions.restore(self._saved_reactions)
        self.vented = NOTHING

    def siemens(self, around: Surroundings, dt_s: float) -> float:
        """The inner shorts' conductance in the coming step."""
        now = self._now
        if not now.struck:
            now.struck = True
        if around.deepest_mm > 0.0:
            now.pierced = now.pierced or around.tool == "nail"
            self._press(around, dt_s)
        now.grown = now.grown or self.cell.soc > self._grows_at
        grown_s = 1.0 / self.nail_ohm if now.grown else 0.0
        return now.nail_s + grown_s + (self._molten_s if now.collapsed else 0.0)

    def _press(self, around: Surroundings, dt_s: float) -> None:
        """The conductance that the tool has made: what it made at most comes back with depth, its debris stays."""
        now = self._now
        if around.tool == "nail":
            share = self._cut(around.depth_mm)
            most = self._cut(around.deepest_mm)
        else:
            share = most = self._crushed(around.deepest_mm)
        if most <= 0.0:
            return
        now.since_s += dt_s
        ohm = self.nail_ohm
        if not self._given:
            if around.tool == "nail":
                ohm *= max(FAST_MM_S / max(around.contact_mm_s, 1e-3), 1.0)
            ohm *= 1.0 + now.since_s / BURN_BACK_S
        now.nail_s = max(share, DEBRIS * most) / ohm

    def _cut(self, depth_mm: float) -> float:
        """Layers that a nail as deep as this has cut, as a part of all."""
        layers = int((depth_mm - self.fragility.skin_mm) / self.fragility.layer_mm + 1e-9)
        return min(max(layers, 0) / self._layers, 1.0)

    def _crushed(self, depth_mm: float) -> float:
        share = (depth_mm / self._thickness_mm - self._crush_share) / CRUSH_WIDTH
        return min(max(share, 0.0), 1.0)

    def commit(
        self,
        dt_s: float,
        start_c: float,
        around: Surroundings,
        *,
        cell_w: float,
        inner_w: float,
        outer_w: float,
        charge_a: float,
        shunt_a: float,
        air_c: float,
    ) -> None:
        """Heat the cell through a step that began at ``start_c``: ``cell_w`` of its polarisation, ``inner_w`` of the
        shorts within; ``charge_a`` flowed in, ``shunt_a`` through all shorts."""
        now, cell = self._now, self.cell
        plated_w = PLATING_V * charge_a if charge_a > 0.0 and cell.soc > self._plates_at else 0.0
        now.inner_j += inner_w * dt_s
        now.outer_j += outer_w * dt_s
        now.plated_j += plated_w * dt_s
        now.shunt_a = shunt_a
        if not now.collapsed:
            self.reactions.lithium = max(cell.soc, 0.0)
        before_j = self.reactions.released_j
        kept = 1.0 - self.fragility.ejects if now.collapsed else 1.0
        power_w = kept * (cell_w + inner_w + plated_w) + around.heater_w
        warmed = warm(self._node, self.reactions, start_c, air_c, power_w, dt_s, kept=kept)
        cell.temperature_c = celsius = warmed.celsius
        now.rate_k_s = (celsius - start_c) / dt_s
        if celsius > self.fragility.collapse_c:
            now.collapsed = True
        if self._ruptures and now.vented and now.rate_k_s > RUPTURE_K_S:
            now.rupture = True
        chemical_j = self.reactions.released_j - before_j
        share = max(chemical_j, 0.0) / self._all_j if celsius > GASSES_C else 0.0
        made_mol = share * self.fragility.gas_mol_ah * self._size_ah
        ejected_j = (1.0 - kept) * (chemical_j + (cell_w + inner_w + plated_w) * dt_s)
        self._breathe(dt_s, celsius, made_mol, ejected_j, around)
        hottest_c = celsius + (FLAME_K if now.flame_s > 0.0 else 0.0)
        if hottest_c > BEAD_C - 4.0 * BEAD_SPREAD_K:
            now.lost |= {at for at, most_c in enumerate(self._beads_c) if hottest_c > most_c}

    def _breathe(self, dt_s: float, celsius: float, made_mol: float, ejected_j: float, around: Surroundings) -> None:
        """Gas within, the vent, the gas that comes out, and its flame."""
        now, fragility, kelvin = self._now, self.fragility, celsius + KELVIN
        out_mol = 0.0
        if not now.vented:
            now.gas_mol += made_mol
            volume_m3 = fragility.free_ml_ah * self._size_ah * 1e-6
            kpa = 101.3 + now.gas_mol * GAS_J_MOL_K * kelvin / volume_m3 / 1000.0
            if fragility.liquid:
                kpa += 101.3 * exp(VAPOUR_J_MOL / GAS_J_MOL_K * (1.0 / BOILS_K - 1.0 / kelvin))
            if kpa > (101.3 + PIERCED_KPA if now.pierced else fragility.burst_kpa):
                now.vented = True
                out_mol, now.gas_mol = now.gas_mol, 0.0
                now.flash_mol = FLASH_MOL_AH * self._size_ah if fragility.liquid else 0.0
        else:
            flash_mol = now.flash_mol * (1.0 - exp(-dt_s / FLASH_S))
            now.flash_mol = now.flash_mol - flash_mol if now.flash_mol > 1e-9 else 0.0
            out_mol = made_mol + flash_mol
        if not out_mol and not ejected_j and now.flame_s <= 0.0:
            self.vented = NOTHING
            return
        now.out_mol += out_mol
        feeds = out_mol > FEEDS_MOL_S_AH * self._size_ah * dt_s
        if feeds and self.ignites and (self._forced or celsius > fragility.ignites_c):
            now.lit = now.fire = True
            now.flame_s = FLAME_S
            now.explosion = now.explosion or (around.gas_lel > 100.0 and not self._saved.lit)
        else:
            now.flame_s = max(now.flame_s - dt_s, 0.0)
        burning = now.flame_s > 0.0
        self.vented = Vented(out_mol, kelvin, burning, ejected_j + (out_mol * BURNING_J_MOL if burning else 0.0))
