"""How fast the cells that stand behind ``[simulation] preset`` can move at worst: one row a preset.

``volts_per_soc`` is the steepest voltage per state of charge from 1 V below to 1.5 V above the preset's window, at rest
or at 1 C; ``heat_capacity_j_kg_k`` what warms it. They are the preset's own tables read at their steepest, rounded up
(a heat capacity down), and compared with them by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Slopes:
    """The steepest of one preset."""

    volts_per_soc: float
    heat_capacity_j_kg_k: float


STEEPEST: Mapping[str, Slopes] = MappingProxyType(
    {
        "solid-state-gen1": Slopes(111.1, 950.0),
        "solid-state-gen2": Slopes(111.1, 950.0),
        "solid-state-gen3": Slopes(111.1, 950.0),
        "nmc-25ah": Slopes(59.1, 1100.0),
        "nmc-21700": Slopes(59.1, 629.0),
        "lfp-block": Slopes(98.2, 1100.0),
        "lfp-blade": Slopes(98.2, 1100.0),
    }
)
