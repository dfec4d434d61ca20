"""The plant's own book-keeping of one channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Totals:
    """What passed the cell's terminals since the plant began, and the hottest its surface has been (truth)."""

    charged_ah: float
    discharged_ah: float
    charged_wh: float
    discharged_wh: float
    peak_surface_c: float


@dataclass(frozen=True, slots=True)
class Energies:
    """Truth: what the instrument put in since the plant began, what left through a short contactor, what the OCV curve
    holds, the electrical heat inside, and that of reactions, which have a reservoir of their own."""

    taken_j: float
    shorted_j: float
    stored_j: float
    heat_j: float
    chemical_j: float
