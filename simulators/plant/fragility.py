"""How each kind of cell fails: what its presets add to the electrical ones. All ASSUMED unless docs/simulation.md
names a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from simulators.plant.kinetics import Reaction, lfp, nmc, solid_state


@dataclass(frozen=True, slots=True)
class Fragility:
    """One kind of cell under abuse.

    ``nail_ohm`` is the short that a fast nail through all layers leaves, the median of a log-normal of ``spread``;
    ``crush_share`` the displacement over thickness at which crushed layers begin to touch. Above ``collapse_c`` the
    layers short everywhere and a full cell gives its charge up in about ``release_s``. ``gas_mol_ah`` is what it vents
    at full charge; it vents where the pressure in ``free_ml_ah`` passes ``burst_kpa``. ``ignites`` and ``ruptures``
    are probabilities, given that it vents above ``ignites_c`` and that it runs away. ``radiating_share`` is emissivity
    times the part of the surface that its fixture leaves free. ``ejects`` is the part of the heat that leaves with
    what is thrown out, once the layers have melted together.
    """

    reactions: Callable[[float], tuple[Reaction, ...]]
    nail_ohm: float
    spread: float
    layer_mm: float
    skin_mm: float
    crush_share: float
    collapse_c: float
    release_s: float
    gas_mol_ah: float
    free_ml_ah: float
    burst_kpa: float
    liquid: bool
    ignites: float
    ruptures: float
    radiating_share: float
    ignites_c: float = 150.0
    ejects: float = 0.0


_NMC = Fragility(
    reactions=nmc,
    nail_ohm=2e-3,
    spread=0.35,
    layer_mm=0.25,
    skin_mm=0.8,
    crush_share=0.11,
    collapse_c=260.0,
    release_s=10.5,
    gas_mol_ah=1.66 / 24.06,
    free_ml_ah=0.4,
    burst_kpa=800.0,
    liquid=True,
    ignites=0.9,
    ruptures=0.02,
    radiating_share=0.4,
)


# Iron phosphate holds its oxygen: slower release, less gas, hardly a flame.
_LFP_BLOCK = replace(
    _NMC,
    reactions=lfp,
    nail_ohm=20e-3,
    spread=0.15,
    collapse_c=400.0,
    release_s=120.0,
    gas_mol_ah=0.6 / 24.06,
    ignites=0.02,
    ruptures=0.01,
)

_SOLID = Fragility(
    reactions=solid_state,
    nail_ohm=60e-3,
    spread=0.9,
    layer_mm=0.3,
    skin_mm=0.2,
    crush_share=0.12,
    collapse_c=320.0,
    release_s=40.0,
    gas_mol_ah=0.5 / 24.06,
    free_ml_ah=0.1,
    burst_kpa=250.0,
    liquid=False,
    ignites=0.5,
    ruptures=0.05,
    radiating_share=0.3,
    ignites_c=300.0,
    ejects=0.5,
)

#: By the name of the preset.
FRAGILITY: MappingProxyType[str, Fragility] = MappingProxyType(
    {
        "nmc-25ah": _NMC,
        "nmc-21700": replace(
            _NMC, nail_ohm=10e-3, skin_mm=0.3, burst_kpa=3000.0, ruptures=0.15, radiating_share=0.8, ejects=0.7
        ),
        "lfp-block": _LFP_BLOCK,
        # Thin, long layers: the contact burns free at once, and what is left is a weak short.
        "lfp-blade": replace(_LFP_BLOCK, nail_ohm=200e-3, spread=0.1),
        "solid-state-gen1": _SOLID,
        "solid-state-gen2": replace(_SOLID, nail_ohm=50e-3),
        "solid-state-gen3": replace(_SOLID, nail_ohm=40e-3),
    }
)
